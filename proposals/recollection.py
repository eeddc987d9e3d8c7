"""Which memories and pointers SAM2 reads at a moment, and how objects of several cohorts become one batch.

Knows the package's rules of reading and its weights for distances. Does not know attention, heads or frames' features.
Axis letters: N objects, P tokens of one frame's memory, M memory width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from proposals.memories import MemoryCohort, Pointers, Remembered, on_device, sines
from proposals.memory_attention import Memory
from proposals.tracker import Moment


@dataclass(frozen=True)
class Recall:
    """What one cohort reads at one frame: memories by age (0: told), and pointers."""

    cohort: MemoryCohort
    ages: tuple[int, ...]
    memories: tuple[Remembered, ...]
    pointers: Pointers

    @property
    def shape(self) -> tuple[tuple[int, ...], int]:
        """What cohorts of one batch have in common."""
        return self.ages, len(self.pointers)


class Recollection:
    """One model's reading, in the precision of its attention."""

    def __init__(self, model: SAM2Base, dtype: torch.dtype) -> None:
        self._model, self._dtype, self._device = model, dtype, model.device

    def recall(self, cohort: MemoryCohort, moment: Moment) -> Recall:
        """The memories and pointers that the package would read, in its order."""
        model, t = self._model, moment.frame
        sign = 1 if moment.reverse else -1
        stride = model.memory_temporal_stride_for_eval
        ages, memories = [0], [cohort.told]
        for age in range(1, model.num_maskmem):
            back = model.num_maskmem - age
            if back == 1:
                read = t + sign
            elif moment.reverse:
                read = -(-(t + 2) // stride) * stride + (back - 2) * stride
            else:
                read = (t - 2) // stride * stride - (back - 2) * stride
            if read in cohort.found:
                ages.append(age)
                memories.append(cohort.found[read])
        pointers = cohort.pointers(moment, model.max_obj_ptrs_in_encoder)
        return Recall(cohort, tuple(ages), tuple(memories), pointers)

    def gather(self, members: Sequence[Recall], rows: Sequence[tuple[int, int, int]], size: int) -> Memory:
        """What some objects remember as one batch, its last object repeated up to `size`."""
        split = int(self._model.hidden_dim) // self.width  # tokens of a pointer
        parts, told, owners = [], [], []
        for at, (number, first, last) in enumerate(rows):
            recall = members[number]
            memories = [each.kept[first:last].to(self._dtype) for each in recall.memories]
            told.append(recall.pointers.tokens(self.width, torch.float32, first, last))
            parts.append(torch.cat([*memories, told[-1].to(self._dtype)], dim=1))
            owners += [at] * (last - first)
        owners += owners[-1:] * (size - len(owners))
        pointers = [members[number].pointers for number, _, _ in rows]
        codes = self.codes(sines(pointers, self.sine_width, self._device)).repeat_interleave(split, dim=1)
        # Rounded once, as in the package: an absent object's pointer is no sum of bfloat16, and would be rounded twice.
        placed = padded(torch.cat(told), size) + codes[on_device(owners, torch.int64, self._device)]
        ages = on_device(members[rows[0][0]].ages, torch.int64, self._device)
        return Memory(padded(torch.cat(parts), size), ages, placed.to(self._dtype))

    @property
    def width(self) -> int:
        """M."""
        return int(self._model.mem_dim)

    @property
    def sine_width(self) -> int:
        """Of the codes of distances that `codes` takes."""
        return int(self._model.hidden_dim) if self._model.proj_tpos_enc_in_obj_ptrs else self.width

    def codes(self, distances: Tensor) -> Tensor:
        """Position codes of pointers [..., R, M] by the sine codes of their distances [..., R, sine_width]."""
        if not self._model.add_tpos_enc_to_obj_ptrs:
            return distances.new_zeros(*distances.shape[:-1], self.width)
        code: Tensor = self._model.obj_ptr_tpos_proj(distances)
        return code


def rows_of(sizes: Sequence[int], start: int, stop: int) -> list[tuple[int, int, int]]:
    """Objects start to stop of cohorts of `sizes`, as (cohort, first, last)."""
    rows, begin = [], 0
    for number, size in enumerate(sizes):
        first, last = max(start - begin, 0), min(stop - begin, size)
        if first < last:
            rows.append((number, first, last))
        begin += size
    return rows


def padded(x: Tensor, size: int) -> Tensor:
    """[N, ...] with its last row repeated up to `size` rows."""
    return x if size == len(x) else torch.cat([x, x[-1:].expand(size - len(x), *x.shape[1:])])
