"""Boxes and points on one frame -> SAM2's masks of the objects that they mean.

Knows SAM2's prompt encoder and mask decoder. Does not know who clicked. The frame's features are those that tracking
uses, so that a prompt costs no pass of the image encoder. Axis letters: K objects, P points of an object, h w the
low-resolution logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor
from torch.nn import functional

from core.devices import autocast
from proposals.tracker import Maps

BESIDE, ON, CORNER_1, CORNER_2 = 0, 1, 2, 3
"""Labels of points: beside the object, on it, the upper left and the lower right corner of its box."""
Box = tuple[float, float, float, float]
CLAMP = 32.0  # the package's, of low-resolution logits
OBJECTS_AT_ONCE = 64


@dataclass(frozen=True)
class Clicks:
    """What is told of one object: points [P, 2] (x, y in pixels of the frame) and their labels [P]."""

    points: tuple[tuple[float, float], ...]
    labels: tuple[int, ...]

    @classmethod
    def of_box(cls, box: Box) -> Clicks:
        """A box x1, y1, x2, y2."""
        return cls(((box[0], box[1]), (box[2], box[3])), (CORNER_1, CORNER_2))


@dataclass(frozen=True)
class Meant:
    """A mask [H, W] bool, the IoU that the model predicts for it, and its stability: |logit > 1| / |logit > -1|."""

    mask: NDArray[np.bool_]
    score: float
    stability: float


def masks_of(model: SAM2Base, maps: Maps, size: tuple[int, int], clicks: Sequence[Clicks]) -> list[Meant]:
    """The mask that each of `clicks` means, in order; all of them have the same number of points.

    maps: the frame's features, [1, C, ., .] fine to coarse.   size: (H, W) of the frame.
    Of a single point, which may mean a part or the whole, the best of three masks by predicted IoU is taken; of more
    points the one mask, as in the package (Ravi et al. 2024, arXiv 2408.00714).
    """
    found: list[Meant] = []
    for start in range(0, len(clicks), OBJECTS_AT_ONCE):
        some = clicks[start : start + OBJECTS_AT_ONCE]
        assert len({click.labels for click in some}) == 1, "one form of clicks a call"
        logits, scores = _decode(model, maps, size, some)
        stability = _share(logits, 1.0)
        fine = functional.interpolate(logits[:, None], size, mode="bilinear", align_corners=False)[:, 0] > 0
        masks = fine.cpu().numpy()
        found += [
            Meant(mask, float(score), float(stable))
            for mask, score, stable in zip(masks, scores.clamp(0, 1).tolist(), stability.tolist(), strict=True)
        ]
    return found


def decode(
    model: SAM2Base, coarse: Tensor, fine: Sequence[Tensor], points: Tensor, labels: Tensor, *, several: bool
) -> tuple[Tensor, Tensor]:
    """Low-resolution logits [K, M, h, w] and predicted IoU [K, M] of prompts: M is 3 where several are asked for, or 1.

    coarse, fine: features of one frame, [1, C, ., .], the coarse ones with what stands for no memory.
    points: [K, P, 2] in pixels of the model's image.   labels: [K, P].
    """
    sparse, dense = model.sam_prompt_encoder(points=(points, labels), boxes=None, masks=None)
    logits, scores, _, _ = model.sam_mask_decoder(
        image_embeddings=coarse,
        image_pe=model.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=several,
        repeat_image=True,
        high_res_features=list(fine),
    )
    return logits, scores


def promising(scores: Tensor, limit: float) -> Tensor:
    """Which predicted IoUs are above `limit`, bool; all where it is 0."""
    return scores > limit if limit > 0 else torch.ones_like(scores, dtype=torch.bool)


@torch.inference_mode()
def _decode(model: SAM2Base, maps: Maps, size: tuple[int, int], clicks: Sequence[Clicks]) -> tuple[Tensor, Tensor]:
    """Logits [K, h, w] and predicted IoU [K]."""
    side, device = int(model.image_size), maps[-1].device
    scale = torch.tensor([side / size[1], side / size[0]], device=device)
    points = torch.tensor([click.points for click in clicks], dtype=torch.float32, device=device) * scale
    labels = torch.tensor([click.labels for click in clicks], dtype=torch.int32, device=device)
    coarse = maps[-1]
    if model.directly_add_no_mem_embed:
        coarse = coarse + model.no_mem_embed.view(1, -1, 1, 1)
    fine = [level.float() for level in maps[:-1]]
    with autocast(device):
        logits, scores = decode(model, coarse, fine, points, labels, several=points.shape[1] == 1)
    best = scores.float().argmax(dim=1)
    rows = torch.arange(len(clicks), device=device)
    return logits.float().clamp(-CLAMP, CLAMP)[rows, best], scores.float()[rows, best]


def _share(logits: Tensor, offset: float) -> Tensor:
    """|logit > offset| / |logit > -offset| of logits [K, h, w]; 0 where nothing is above (SOLA's stability)."""
    above = (logits > offset).flatten(1).sum(dim=1)
    below = (logits > -offset).flatten(1).sum(dim=1)
    return above / below.clamp(min=1)
