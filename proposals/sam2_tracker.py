"""SAM2 as a `Tracker`: cohorts of objects that share a birth, batched wherever they remember equally much.

The result equals the package's `SAM2VideoPredictor` with one object at a time (add_new_mask, forward, then backward;
no hole filling), rounding apart. Knows which memories SAM2 reads when. Does not know sweeps, videos or tracks.
Axis letters: N objects, P pixels of the coarsest map, F memory frames, R pointer tokens, C model width, M memory width.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, groupby

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend

from core.errors import CheckpointError
from core.replay import Replay
from proposals.batches import Batches
from proposals.compilation import compilable, portions
from proposals.features import normalise, precision
from proposals.memories import MemoryCohort, Remembered
from proposals.memory_attention import Frame, Memory, SharedAttention
from proposals.recollection import Recall, Recollection, padded, rows_of
from proposals.sam2_heads import Heads, Readout
from proposals.settings import Resources
from proposals.tracker import Maps, Moment, Step

REPLAYED = 16  # objects with all memories, up to whose work a batch is replayed as a CUDA graph


class Sam2Tracker:
    """One model, ready to track: weights in bfloat16 on a GPU (as autocast would make them at each call)."""

    def __init__(
        self,
        model: SAM2Base,
        resources: Resources | None = None,
        *,
        narrow: bool | None = None,
        half: bool | None = None,
        plain: bool | None = None,
        backends: Sequence[SDPBackend] | None = None,
    ) -> None:
        """narrow: keep memory values narrow in attention; by default where it is quicker.   half: in bfloat16; by
        default on a GPU.   plain: as the package computes, to the bit on a CPU, without what makes batches on a GPU
        quick; by default for one object at a time, where nothing is compiled.
        backends: of memory attention, in order of preference; by default the quickest.

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
        if plain is None:
            plain = resources.objects == 1 and not self._compiled
        self._recollection = Recollection(self._model, self._dtype)
        side = self.image_size // int(model.backbone_stride)
        with torch.no_grad():
            self._attention = SharedAttention(
                model.memory_attention, self._positions(side), side, self._dtype,
                narrow=narrow, compiled=self._compiled,
                plain=plain, backends=backends,
            )  # fmt: skip
            self._place = (
                model.image_encoder.neck.position_encoding(torch.zeros(1, 1, side, side, device=self.device))
                .flatten(2)
                .transpose(1, 2)
            )  # [1, P, C]
        self._encode = compilable(self._model.forward_image, self._compiled)
        self._heads: Callable[..., Sequence[Tensor]] = compilable(
            Heads(self._model, half=half, plain=plain), self._compiled
        )
        self._remember: Callable[..., Sequence[Tensor]] = self._recollect
        if resources.replayed and on_gpu:
            pixels, wide = side * side, int(model.hidden_dim)
            each = model.num_maskmem * pixels * int(model.mem_dim) + model.max_obj_ptrs_in_encoder * wide
            self._remember = Replay(self._recollect, REPLAYED * each)
            self._heads = Replay(self._heads, REPLAYED * pixels * wide)

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
        frame = self._frame(maps)
        recalls = [self._recollection.recall(cohort, moment) for cohort in cohorts]
        # Cohorts that remember equally much lie beside each other: they are one batch of memory attention.
        shapes = list(dict.fromkeys(recall.shape for recall in recalls))
        order = sorted(range(len(recalls)), key=lambda number: shapes.index(recalls[number].shape))
        members = [recalls[number] for number in order]
        total = sum(recall.cohort.objects for recall in members)
        parts = self._batches.run(total, partial(self._follow, frame, maps, members))
        outcome = joined(parts)
        steps: dict[int, Step] = {}
        at = 0
        for number, recall in zip(order, members, strict=True):
            mine = Readout(*(each[at : at + recall.cohort.objects] for each in outcome))
            steps[number] = recall.cohort.keep(moment.frame, mine, copied=len(members) > 1)
            at += recall.cohort.objects
        return [steps[number] for number in range(len(cohorts))]

    def _frame(self, maps: Maps) -> Frame:
        """What the frames of `maps` ask of memories."""
        with precision(self.device):
            coarse = maps[-1].flatten(2).transpose(1, 2)
            return self._attention.frame(coarse, self._place.to(coarse.dtype))

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

    def _follow(self, frame: Frame, maps: Maps, members: Sequence[Recall], start: int, stop: int) -> Readout:
        """Objects start to stop of cohorts: attention for those that remember equally much, the heads for all."""
        rows = rows_of([recall.cohort.objects for recall in members], start, stop)
        with precision(self.device):
            found = [
                self._recalled(frame, members, list(group))
                for _, group in groupby(rows, key=lambda row: members[row[0]].shape)
            ]
            x = torch.cat(found) if len(found) > 1 else found[0]
            return joined([self._read_out(x[first:last], size, maps) for first, last, size in self._cuts(len(x))])

    def _read_out(self, x: Tensor, size: int, maps: Maps) -> Readout:
        """The heads for features [N, P, C], their last object repeated up to `size`."""
        return Readout(*(each[: len(x)] for each in self._heads(padded(x, size), *maps)))

    def _recalled(self, frame: Frame, members: Sequence[Recall], rows: Sequence[tuple[int, int, int]]) -> Tensor:
        """The frame's features conditioned on the memories of objects that remember equally much, [N, P, C]."""
        sizes = [last - first for _, first, last in rows]
        found = []
        for first, last, size in self._cuts(sum(sizes)):
            mine = [(rows[i][0], rows[i][1] + begin, rows[i][1] + end) for i, begin, end in rows_of(sizes, first, last)]
            (x,) = self._remember(*self._recollection.gather(members, mine, size)[:3], *frame)
            found.append(x[: last - first])
        return torch.cat(found) if len(found) > 1 else found[0]

    def _recollect(self, *tensors: Tensor) -> tuple[Tensor]:
        """Memory attention, for the tensors of a Memory and a Frame."""
        return (self._attention(Frame(*tensors[3:]), Memory(*tensors[:3])),)

    def _cuts(self, objects: int) -> list[tuple[int, int, int]]:
        """First, last and padded size of batches; one batch as it is where nothing is compiled."""
        if not self._compiled:
            return [(0, objects, objects)]
        taken = portions(objects)
        ends = list(accumulate(count for count, _ in taken))
        return [(end - count, end, size) for end, (count, size) in zip(ends, taken, strict=True)]


def halved(model: SAM2Base) -> SAM2Base:
    """A copy whose matrix products and convolutions hold bfloat16 weights; norms and embeddings stay float32.

    Autocast would make the same numbers anew at every call, which costs hundreds of small kernels a frame.
    """
    copied = copy.deepcopy(model)
    for module in copied.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.to(torch.bfloat16)
    return copied


def joined(parts: Sequence[Readout]) -> Readout:
    """Read-outs of some objects after each other."""
    return parts[0] if len(parts) == 1 else Readout(*(torch.cat(each) for each in zip(*parts, strict=True)))
