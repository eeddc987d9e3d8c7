"""SAM2 as a `Tracker`: cohorts of objects that share a birth, batched wherever they remember equally much.

The result equals the package's `SAM2VideoPredictor` with one object at a time (add_new_mask, forward, then backward;
no hole filling), rounding apart. Knows which memories SAM2 reads when. Does not know sweeps, videos or tracks.
Axis letters: N objects, P pixels of the coarsest map, F memory frames, R pointer tokens, C model width, M memory width.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, groupby

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor
from torch.nn import functional

from core.errors import CheckpointError
from proposals.batches import Batches
from proposals.compilation import compilable, portions
from proposals.features import normalise, precision
from proposals.memories import MemoryCohort, Pointers, Remembered, on_device, sines
from proposals.memory_attention import Frame, Memory, SharedAttention
from proposals.sam2_heads import Heads, Readout
from proposals.settings import Resources
from proposals.tracker import Maps, Moment, Step


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


class Sam2Tracker:
    """One model, ready to track: weights in bfloat16 on a GPU (as autocast would make them at each call)."""

    def __init__(
        self,
        model: SAM2Base,
        resources: Resources | None = None,
        *,
        narrow: bool | None = None,
        half: bool | None = None,
    ) -> None:
        """narrow: keep memory values narrow in attention; by default where it is quicker.   half: in bfloat16; by
        default on a GPU.

        Raises:
            CheckpointError: for a model that objects cannot share a batch of, or whose parts are built otherwise than
                in every released SAM2.
        """
        if model.non_overlap_masks_for_mem_enc:
            raise CheckpointError("tracker: expected non_overlap_masks_for_mem_enc to be off, got a model with it on")
        if not model.directly_add_no_mem_embed or model.num_maskmem < 1 or not model.use_obj_ptrs_in_encoder:
            raise CheckpointError("tracker: expected a SAM2 with memories and object pointers, got one without")
        resources = resources or Resources()
        self.device = model.device
        self.image_size = int(model.image_size)
        on_gpu = self.device.type == "cuda"
        half = on_gpu if half is None else half
        self._model = halved(model) if half else model
        self._compiled = resources.compiled
        self._batches = Batches(resources.objects)
        self._dtype = torch.bfloat16 if half else torch.float32
        side = self.image_size // int(model.backbone_stride)
        with torch.no_grad():
            self._attention = SharedAttention(
                model.memory_attention, self._positions(side), side, self._dtype,
                narrow=False if narrow is None and not on_gpu else narrow, compiled=self._compiled,
            )  # fmt: skip
            self._place = (
                model.image_encoder.neck.position_encoding(torch.zeros(1, 1, side, side, device=self.device))
                .flatten(2)
                .transpose(1, 2)
            )  # [1, P, C]
        self._encode = compilable(self._model.forward_image, self._compiled)
        self._heads = compilable(Heads(self._model), self._compiled)

    @torch.inference_mode()
    def encode(self, images: NDArray[np.uint8]) -> Maps:
        """Features of frames uint8 [B, S, S, 3] RGB: maps [B, channels, height, width], fine to coarse."""
        with precision(self.device):
            encoded = self._encode(normalise(images, self.device))
        return tuple(encoded["backbone_fpn"][-self._model.num_feature_levels :])

    @torch.inference_mode()
    def prompt(self, maps: Maps, masks: Tensor, moment: Moment) -> tuple[MemoryCohort, Step]:
        """New objects from masks, float [N, 1, S, S] of 0 and 1, on the frame of `maps`."""
        model = self._model
        parts = self._batches.run(len(masks), lambda start, stop: self._told(maps, masks[start:stop], moment))
        logits, pointers, scores, ious, memories = (torch.cat(each) for each in zip(*parts, strict=True))
        reach = model.num_maskmem * model.memory_temporal_stride_for_eval
        cohort = MemoryCohort(
            moment.frame, len(masks), Remembered(memories, pointers), reach, max(reach, model.max_obj_ptrs_in_encoder)
        )
        return cohort, Step(moment.frame, logits, pointers, scores, ious)

    @torch.inference_mode()
    def step(self, maps: Maps, cohorts: Sequence[MemoryCohort], moment: Moment) -> list[Step]:
        """Find every cohort's objects on the frame of `maps` and remember them; a read-out for each, in order."""
        if not cohorts:
            return []
        with precision(self.device):
            coarse = maps[-1].flatten(2).transpose(1, 2)
            frame = self._attention.frame(coarse, self._place.to(coarse.dtype))
        recalls = [self._recall(cohort, moment) for cohort in cohorts]
        # Cohorts that remember equally much lie beside each other: they are one batch of memory attention.
        shapes = list(dict.fromkeys(recall.shape for recall in recalls))
        order = sorted(range(len(recalls)), key=lambda number: shapes.index(recalls[number].shape))
        members = [recalls[number] for number in order]
        total = sum(recall.cohort.objects for recall in members)
        parts = self._batches.run(total, partial(self._follow, frame, maps, members))
        outcome = _joined(parts)
        steps: dict[int, Step] = {}
        at = 0
        for number, recall in zip(order, members, strict=True):
            mine = Readout(*(each[at : at + recall.cohort.objects] for each in outcome))
            steps[number] = recall.cohort.keep(moment.frame, mine, copied=len(members) > 1)
            at += recall.cohort.objects
        return [steps[number] for number in range(len(cohorts))]

    def _positions(self, side: int) -> Tensor:
        """Positions of memory tokens by age, [memories, P, M]."""
        model = self._model
        grid = model.memory_encoder.position_encoding(torch.zeros(1, 1, side, side, device=self.device))
        # The package makes them beside the memories, in their precision.
        rows: Tensor = grid.flatten(2).transpose(1, 2).to(self._dtype).float()  # [1, P, M]
        # The package's row for age a is num_maskmem - a - 1, so that told memories (age 0) have the last row.
        ages: Tensor = model.maskmem_tpos_enc.detach().float().flip(0)[:, 0]
        return rows + ages

    def _told(self, maps: Maps, masks: Tensor, moment: Moment) -> Readout:
        """A part of the prompts: the model is told the masks, remembers them and makes a pointer of each."""
        model, count = self._model, len(masks)
        with precision(self.device):
            levels = [level.expand(count, -1, -1, -1) for level in maps]
            sizes = [(level.shape[-2], level.shape[-1]) for level in levels]
            flat = [level.flatten(2).permute(2, 0, 1) for level in levels]
            _, outcome, _, _ = model._track_step(
                frame_idx=moment.frame, is_init_cond_frame=True, current_vision_feats=flat,
                current_vision_pos_embeds=flat, feat_sizes=sizes, point_inputs=None, mask_inputs=masks, output_dict={},
                num_frames=moment.frames, track_in_reverse=moment.reverse, prev_sam_mask_logits=None,
            )  # fmt: skip
            _, _, ious, logits, _, pointer, score = outcome
            # The package remembers a told mask through its low-resolution logits.
            fine = functional.interpolate(
                logits.float(), (self.image_size, self.image_size), mode="bilinear", align_corners=False
            )
            memory, _ = model._encode_new_memory(
                current_vision_feats=flat, feat_sizes=sizes, pred_masks_high_res=fine,
                object_score_logits=score, is_mask_from_pts=True,
            )  # fmt: skip
        tokens = memory.to(torch.bfloat16).flatten(2).transpose(1, 2).contiguous()
        return Readout(logits.float(), pointer.float(), score[:, 0].float(), ious.float().amax(dim=1), tokens)

    def _recall(self, cohort: MemoryCohort, moment: Moment) -> Recall:
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

    def _follow(self, frame: Frame, maps: Maps, members: Sequence[Recall], start: int, stop: int) -> Readout:
        """Objects start to stop of cohorts: attention for those that remember equally much, the heads for all."""
        rows = rows_of([recall.cohort.objects for recall in members], start, stop)
        with precision(self.device):
            found = [
                self._recalled(frame, members, list(group))
                for _, group in groupby(rows, key=lambda row: members[row[0]].shape)
            ]
            x = torch.cat(found) if len(found) > 1 else found[0]
            return _joined([self._read_out(x[first:last], size, maps) for first, last, size in self._cuts(len(x))])

    def _read_out(self, x: Tensor, size: int, maps: Maps) -> Readout:
        """The heads for features [N, P, C], their last object repeated up to `size`."""
        outcome: Readout = self._heads(_padded(x, size), maps)
        return Readout(*(each[: len(x)] for each in outcome))

    def _recalled(self, frame: Frame, members: Sequence[Recall], rows: Sequence[tuple[int, int, int]]) -> Tensor:
        """The frame's features conditioned on the memories of objects that remember equally much, [N, P, C]."""
        sizes = [last - first for _, first, last in rows]
        found = []
        for first, last, size in self._cuts(sum(sizes)):
            mine = [(rows[i][0], rows[i][1] + begin, rows[i][1] + end) for i, begin, end in rows_of(sizes, first, last)]
            found.append(self._attention(frame, self._gather(members, mine, size))[: last - first])
        return torch.cat(found) if len(found) > 1 else found[0]

    def _cuts(self, objects: int) -> list[tuple[int, int, int]]:
        """First, last and padded size of batches; one batch as it is where nothing is compiled."""
        if not self._compiled:
            return [(0, objects, objects)]
        taken = portions(objects)
        ends = list(accumulate(count for count, _ in taken))
        return [(end - count, end, size) for end, (count, size) in zip(ends, taken, strict=True)]

    def _gather(self, members: Sequence[Recall], rows: Sequence[tuple[int, int, int]], padded: int) -> Memory:
        """What some objects remember as one batch, its last object repeated up to `padded`."""
        split = int(self._model.hidden_dim) // self._width  # tokens of a pointer
        parts, owners = [], []
        for at, (number, first, last) in enumerate(rows):
            recall = members[number]
            memories = [each.kept[first:last].to(self._dtype) for each in recall.memories]
            parts.append(torch.cat([*memories, recall.pointers.tokens(self._width, self._dtype, first, last)], dim=1))
            owners += [at] * (last - first)
        owners += owners[-1:] * (padded - len(owners))
        codes = self._distances([members[number].pointers for number, _, _ in rows]).repeat_interleave(split, dim=1)
        place = codes.to(self._dtype)[on_device(owners, torch.int64, self.device)]
        ages = on_device(members[rows[0][0]].ages, torch.int64, self.device)
        return Memory(_padded(torch.cat(parts), padded), ages, place)

    @property
    def _width(self) -> int:
        """M."""
        return int(self._model.mem_dim)

    def _distances(self, several: Sequence[Pointers]) -> Tensor:
        """Position codes of some cohorts' pointers, equally many each, by their distance: [cohorts, pointers, M]."""
        model = self._model
        if not model.add_tpos_enc_to_obj_ptrs:
            return torch.zeros(len(several), len(several[0]), self._width, device=self.device)
        wide = model.hidden_dim if model.proj_tpos_enc_in_obj_ptrs else self._width
        code: Tensor = model.obj_ptr_tpos_proj(sines(several, wide, self.device))
        return code


def halved(model: SAM2Base) -> SAM2Base:
    """A copy whose matrix products and convolutions hold bfloat16 weights; norms and embeddings stay float32.

    Autocast would make the same numbers anew at every call, which costs hundreds of small kernels a frame.
    """
    copied = copy.deepcopy(model)
    for module in copied.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.to(torch.bfloat16)
    return copied


def rows_of(sizes: Sequence[int], start: int, stop: int) -> list[tuple[int, int, int]]:
    """Objects start to stop of cohorts of `sizes`, as (cohort, first, last)."""
    rows, begin = [], 0
    for number, size in enumerate(sizes):
        first, last = max(start - begin, 0), min(stop - begin, size)
        if first < last:
            rows.append((number, first, last))
        begin += size
    return rows


def _padded(x: Tensor, size: int) -> Tensor:
    """[N, ...] with its last row repeated up to `size` rows."""
    return x if size == len(x) else torch.cat([x, x[-1:].expand(size - len(x), *x.shape[1:])])


def _joined(parts: Sequence[Readout]) -> Readout:
    """Read-outs of some objects after each other."""
    return parts[0] if len(parts) == 1 else Readout(*(torch.cat(each) for each in zip(*parts, strict=True)))
