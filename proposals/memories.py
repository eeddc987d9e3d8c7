"""What trackers with SAM2's memories keep of objects that share a birth, and which pointers they read when.

Knows frames, distances and what may be freed. Does not know any model, nor which memories a model reads.
Axis letters: N objects, P tokens of one frame's memory, M memory width, D token width, R pointer tokens of width M.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from sam2.modeling.sam2_utils import get_1d_sine_pe
from torch import Tensor

from proposals.sam2_heads import Readout
from proposals.tracker import Moment, Step


@dataclass
class Remembered:
    """One frame of N objects: memory [N, P, M] (freed first) and pointers [N, D]."""

    memory: Tensor | None
    pointer: Tensor

    @property
    def kept(self) -> Tensor:
        """The memory, of a frame near enough to be read."""
        assert self.memory is not None, "freed while it could still be read"
        return self.memory


@dataclass(frozen=True)
class Pointers:
    """What one cohort reads at one frame as pointers: the told ones first, then those found by rising distance.

    distances: in frames.   longest: the distance that position codes call 1.
    """

    distances: tuple[int, ...]
    held: tuple[Remembered, ...]
    longest: int

    def __len__(self) -> int:
        """How many frames they come from."""
        return len(self.held)

    def tokens(self, width: int, dtype: torch.dtype, first: int, last: int) -> Tensor:
        """Pointers of objects first to last, cut into tokens of a memory's width: [last - first, R, width]."""
        stacked = torch.stack([each.pointer[first:last] for each in self.held], dim=1)  # [n, pointers, D]
        return stacked.reshape(last - first, -1, width).to(dtype)


@dataclass
class MemoryCohort:
    """Objects prompted on one frame; `told` is their memory of the prompts, `found` of the frames tracked since."""

    frame: int
    objects: int
    told: Remembered
    memory_reach: int
    pointer_reach: int
    found: dict[int, Remembered] = field(default_factory=dict)

    def forget(self, coming: Sequence[int]) -> None:
        """Free what no frame from one of `coming` on (away from the prompts' frame) will read."""
        for frame in list(self.found):
            distance = min((abs(frame - start) for start in coming), default=self.pointer_reach + 1)
            if distance > self.pointer_reach:
                del self.found[frame]
            elif distance > self.memory_reach:
                self.found[frame].memory = None

    def pointers(self, moment: Moment, most: int) -> Pointers:
        """The pointers that the packages would read at `moment`, in their order; at most `most`, the told included."""
        longest, back = min(moment.frames, most) - 1, 1 if moment.reverse else -1
        distances, held = [abs(moment.frame - self.frame)], [self.told]
        for distance in range(1, longest + 1):
            if (found := self.found.get(moment.frame + back * distance)) is not None:
                distances.append(distance)
                held.append(found)
        return Pointers(tuple(distances), tuple(held), longest)

    def keep(self, frame: int, mine: Readout, *, copied: bool) -> Step:
        """Remember the cohort's part of a batch, and its read-out; `copied`, as a view would keep the whole batch."""
        memory, pointer = (mine.memory.clone(), mine.pointer.clone()) if copied else (mine.memory, mine.pointer)
        self.found[frame] = Remembered(memory, pointer)
        return Step(frame, mine.logits, pointer, mine.object_score, mine.predicted_iou)


def sines(several: Sequence[Pointers], dim: int, device: torch.device) -> Tensor:
    """Sine codes of the distances of some cohorts' pointers, equally many each: [cohorts, pointers, dim] float32."""
    shares = [[distance / each.longest for distance in each.distances] for each in several]
    codes: Tensor = get_1d_sine_pe(on_device(shares, torch.float32, device), dim=dim)
    return codes


def on_device(values: Sequence[Any], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers as a tensor on a device; through page-locked memory, or the host would wait for all that is under way."""
    tensor = torch.tensor(values, dtype=dtype, pin_memory=device.type == "cuda")
    return tensor.to(device, non_blocking=True)
