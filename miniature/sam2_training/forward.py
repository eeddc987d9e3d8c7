"""The training forward of SAM2, built from the parts of the package's own `track_step`, with logits before the gate.

Knows SAM2Base. Does not know losses, data or schedules.

The package overwrites the mask of an object whose score is not positive by a large negative constant; no loss can act
on that, so here every decode keeps its logits, and only what goes into the memory is gated. Gated by the score alone,
outputs, memories and pointers are those of the package (tests/miniature/test_train_sam2.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from sam2.modeling.sam2_base import NO_OBJ_SCORE, SAM2Base
from sam2.modeling.sam2_utils import get_1d_sine_pe
from torch import Tensor
from torch.nn import functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
POINTERS = 16
"""Most pointers read at once; their times are divided by one less, as the package does in clips of 16 frames on."""

MaskDecoder = Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]]


@dataclass(frozen=True)
class Prompts:
    """First-frame prompts of N objects in three groups, each of whole clips: masks, then boxes, then points.

    masks: [M, 1, H, W] float 0 or 1.   boxes: [K, 2, 2] float pixels, (x, y) of two corners.   points: [P, 1, 2] float
    pixels, every one a positive click.   Any group may have length 0.
    """

    masks: Tensor
    boxes: Tensor
    points: Tensor


@dataclass(frozen=True)
class Features:
    """Backbone features of a batch of images, as the package lays them out: levels of [HW, B, C], fine to coarse."""

    levels: tuple[Tensor, ...]
    positions: tuple[Tensor, ...]
    sizes: tuple[tuple[int, int], ...]

    def pick(self, index: Tensor) -> Features:
        """The features of the images at `index` [N], repeats allowed."""
        return Features(
            tuple(level[:, index] for level in self.levels),
            tuple(position[:, index] for position in self.positions),
            self.sizes,
        )

    def coarse(self) -> Tensor:
        """The coarsest level as [B, C, h, w]."""
        return _planes(self.levels[-1], self.sizes[-1])

    def fine(self) -> list[Tensor]:
        """The finer levels as [B, C, h, w]."""
        return [_planes(level, size) for level, size in zip(self.levels[:-1], self.sizes[:-1], strict=True)]


@dataclass(frozen=True)
class Decoded:
    """What the decoder says of N objects on one frame, before any gate.

    masks: [N, 4, h, w] logits of the single-mask token and the three others.   ious: [N, 4] in 0..1.   chosen: [N]
    which of the four is the answer.   score: [N, 1] object-present logit.   pointer: [N, C] before the gate.
    """

    masks: Tensor
    ious: Tensor
    chosen: Tensor
    score: Tensor
    pointer: Tensor

    def answer(self) -> Tensor:
        """The chosen masks, [N, 1, h, w]."""
        return self.masks[torch.arange(len(self.chosen), device=self.chosen.device), self.chosen].unsqueeze(1)


@dataclass(frozen=True)
class Memory:
    """What one frame leaves of N objects, gated: mask memory [N, M, h, w], its position code, pointer [N, C]."""

    features: Tensor
    position: Tensor
    pointer: Tensor


@cache
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation on a device; kept, because a copy from the host cannot be part of a captured step."""
    return torch.tensor(MEAN, device=device), torch.tensor(STD, device=device)


def normalise(frames: Tensor) -> Tensor:
    """Images [..., H, W, 3] uint8 to the float [..., 3, H, W] that the encoder expects."""
    mean, std = _statistics(frames.device)
    return ((frames.float() / 255 - mean) / std).movedim(-1, -3)


def encode(model: SAM2Base, images: Tensor) -> Features:
    """Backbone features of images [B, 3, H, W]."""
    _, levels, positions, sizes = model._prepare_backbone_features(model.forward_image(images))
    return Features(tuple(levels), tuple(positions), tuple(sizes))


def decode(
    model: SAM2Base,
    pixels: Tensor,
    fine: list[Tensor],
    *,
    points: tuple[Tensor, Tensor] | None = None,
    masks: Tensor | None = None,
    multimask: bool = True,
    decoder: MaskDecoder | None = None,
) -> Decoded:
    """One decode of N objects: `pixels` [N, C, h, w] with or without memory, prompts as the package takes them.

    points: coordinates [N, P, 2] and labels [N, P].   masks: [N, 1, 4h, 4w] logits.   multimask: choose among the three
    tokens by predicted IoU, instead of the single-mask token.
    """
    count, device = len(pixels), pixels.device
    if points is None:
        points = (
            torch.zeros(count, 1, 2, device=device),
            -torch.ones(count, 1, dtype=torch.int32, device=device),
        )
    sparse, dense = model.sam_prompt_encoder(points=points, boxes=None, masks=masks)
    logits, ious, tokens, score = (decoder or model.sam_mask_decoder.predict_masks)(
        image_embeddings=pixels,
        image_pe=model.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        repeat_image=False,
        high_res_features=fine,
    )
    chosen = ious[:, 1:].argmax(dim=1) + 1 if multimask else torch.zeros(count, dtype=torch.long, device=device)
    token = tokens[torch.arange(count, device=device), chosen]
    return Decoded(logits.float(), ious.float(), chosen, score.float(), model.obj_ptr_proj(token))


def decode_prompts(model: SAM2Base, features: Features, prompts: Prompts) -> Decoded:
    """Decode the first frame of N objects from their prompts; `features` holds the N objects' images in that order."""
    parts, start = [], 0
    bare, fine = features.coarse(), features.fine()
    fused = bare + model.no_mem_embed.view(1, -1, 1, 1)
    for kind, value in (("masks", prompts.masks), ("boxes", prompts.boxes), ("points", prompts.points)):
        here = slice(start, start + len(value))
        start = here.stop
        if not len(value):
            continue
        levels = [level[here] for level in fine]
        if kind == "masks":  # the package adds no memory embedding on this path, and takes the single-mask token
            dense = model.mask_downsample(value)
            parts.append(decode(model, bare[here], levels, masks=dense, multimask=False))
        else:
            corners = kind == "boxes"
            first, last = (2, 4) if corners else (1, 2)  # the package's labels of two corners, and of a positive click
            labels = torch.arange(first, last, dtype=torch.int32, device=value.device)
            points = (value, labels.expand(len(value), -1))
            parts.append(decode(model, fused[here], levels, points=points, multimask=not corners))
    return Decoded(*(torch.cat([getattr(p, name) for p in parts]) for name in Decoded.__dataclass_fields__))


def first_answer(decoded: Decoded, prompts: Prompts) -> tuple[Tensor, Tensor]:
    """What the first frame answers: mask logits [N, 1, h, w] and object score [N, 1].

    A mask prompt is its own answer with logits of 10, as in the package; the other prompts keep what was decoded.
    """
    logits, score, given = decoded.answer(), decoded.score, len(prompts.masks)
    if not given:
        return logits, score
    size = logits.shape[-2:]
    sharp = F.interpolate(prompts.masks * 20 - 10, size=size, mode="bilinear", align_corners=False, antialias=True)
    present = prompts.masks.flatten(1).any(dim=1, keepdim=True).float() * 20 - 10
    return torch.cat([sharp, logits[given:]]), torch.cat([present, score[given:]])


def remember(
    model: SAM2Base, features: Features, logits: Tensor, gate: Tensor, pointer: Tensor, pointer_gate: Tensor
) -> Memory:
    """The memory of one frame in the package's layout, from mask logits [N, 1, h, w] and pointers [N, C], ungated.

    gate, pointer_gate: [N] bool, whether the object counts as present for the mask memory and for the pointer. In the
    package both are `score > 0`, but for a mask prompt the first is "the mask is not empty".
    """
    kept = torch.where(gate[:, None, None, None], logits, NO_OBJ_SCORE)
    size = (model.image_size, model.image_size)
    memory, positions = model._encode_new_memory(
        current_vision_feats=list(features.levels),
        feat_sizes=list(features.sizes),
        pred_masks_high_res=F.interpolate(kept.float(), size=size, mode="bilinear", align_corners=False),
        object_score_logits=torch.where(gate[:, None], 1.0, -1.0),
        is_mask_from_pts=False,
    )
    return Memory(memory, positions[-1], torch.where(pointer_gate[:, None], pointer, model.no_obj_ptr))


def recall(model: SAM2Base, features: Features, memories: Sequence[Memory], distance: Tensor) -> Tensor:
    """Features [N, C, h, w] of the frame after `memories`, conditioned on them by the package's memory attention.

    memories: of the prompted frame, then of every frame since, in order. Read are the prompted one, the last
    `num_maskmem - 1` masks and the last 15 pointers, as by the package.   distance: scalar, frames back to the
    prompted one.
    """
    prompted, since = memories[0], memories[1:]
    recent = since[-(model.num_maskmem - 1) :]
    # The prompted frame has the last time code; the others the code of their distance, 1 frame back the first.
    codes = [model.maskmem_tpos_enc[-1], *(model.maskmem_tpos_enc[d - 1] for d in range(len(recent), 0, -1))]
    kept = [prompted, *recent]
    values = [_rows(m.features) for m in kept]
    places = [_rows(m.position) + code for m, code in zip(kept, codes, strict=True)]
    told = list(since[:-POINTERS:-1])  # nearest first
    pointers = torch.stack([prompted.pointer, *(m.pointer for m in told)])  # [P, N, C]
    back = torch.arange(1, len(told) + 1, device=distance.device, dtype=torch.float32)
    times = torch.cat([distance.float().view(1), back]) / (POINTERS - 1)
    code = model.obj_ptr_tpos_proj(get_1d_sine_pe(times, dim=model.hidden_dim))  # [P, M]
    split, width = model.hidden_dim // model.mem_dim, model.mem_dim
    count = pointers.shape[1]
    tokens = pointers.reshape(-1, count, split, width).permute(0, 2, 1, 3).flatten(0, 1)  # [P * split, N, M]
    fused = model.memory_attention(
        curr=[features.levels[-1]],
        curr_pos=[features.positions[-1]],
        memory=torch.cat([*values, tokens]),
        memory_pos=torch.cat([*places, code[:, None].expand(-1, count, -1).repeat_interleave(split, dim=0)]),
        num_obj_ptr_tokens=len(tokens),
    )
    return _planes(fused, features.sizes[-1])


def _rows(plane: Tensor) -> Tensor:
    """A plane [B, C, H, W] as [HW, B, C]."""
    return plane.flatten(2).permute(2, 0, 1)


def _planes(level: Tensor, size: tuple[int, int]) -> Tensor:
    """A level [HW, B, C] as [B, C, H, W]."""
    return level.permute(1, 2, 0).reshape(level.shape[1], level.shape[2], *size)
