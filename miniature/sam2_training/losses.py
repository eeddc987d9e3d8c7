"""The losses of one decode: masks on all tokens and on the answer, predicted IoU, object presence.

Knows logits and ground truth. Does not know where either comes from.

Binary cross-entropy and dice as in SAM 2 (arXiv 2408.00714, section 4 and appendix D), here on every mask token, since
inference takes the one of the highest predicted IoU.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

BCE_WEIGHT = 10.0


@dataclass(frozen=True)
class Losses:
    """Scalars, each a mean: masks over visible objects, the rest over all objects; `total` is their sum.

    overlap: mean IoU of the answers of visible objects at the decoder's resolution, a figure and not a loss.
    """

    total: Tensor
    masks: Tensor
    answer: Tensor
    iou: Tensor
    present: Tensor
    overlap: Tensor


def measure(masks: Tensor, answer: Tensor, ious: Tensor, score: Tensor, chosen: Tensor, truth: Tensor) -> Tensor:
    """The six figures of `Losses` as sums over M decodes and the count of visible ones, [6] float32.

    masks: [M, 4, h, w] logits.   answer: [M, 1, h, w], the chosen of them.   ious: [M, 4].   score: [M, 1] logits.
    chosen: [M].   truth: [M, H, W] bool with H a multiple of h.
    """
    full = truth[:, None].float()
    scale = full.shape[-1] // masks.shape[-1]
    small = F.avg_pool2d(full, scale)  # [M, 1, h, w], the share of each cell that is covered
    visible = truth.flatten(1).any(dim=1).float()
    coarse = _mask_loss(masks, small.expand_as(masks)).mean(dim=1)
    size = full.shape[-2:]
    fine = _mask_loss(F.interpolate(answer, size=size, mode="bilinear", align_corners=False), full)[:, 0]
    overlap = intersection_over_union(masks > 0, small > 0.5)  # [M, 4]; 0 where the object is absent
    quality = (ious - overlap).abs().mean(dim=1)
    present = F.binary_cross_entropy_with_logits(score[:, 0], visible, reduction="none")
    best = overlap.gather(1, chosen[:, None])[:, 0]
    sums = ((coarse * visible), (fine * visible), quality, present, best * visible, visible)
    return torch.stack([value.sum() for value in sums])


def pack(losses: Losses) -> Tensor:
    """The figures as one vector, `total` first."""
    return torch.stack([getattr(losses, f.name) for f in fields(Losses)])


def unpack(values: Tensor) -> Losses:
    """What `pack` packed."""
    return Losses(*values)


def combine(sums: Tensor, count: int) -> Losses:
    """Means and their weighted total from what `measure` gave for `count` decodes."""
    visible = sums[5].clamp(min=1)
    masks, answer = sums[0] / visible, sums[1] / visible
    iou, present = sums[2] / count, sums[3] / count
    return Losses(masks + answer + iou + present, masks, answer, iou, present, sums[4].detach() / visible)


def intersection_over_union(predicted: Tensor, truth: Tensor) -> Tensor:
    """IoU of bool masks [..., h, w] over the last two axes; 0 where both are empty."""
    both = (predicted & truth).flatten(-2).sum(-1).float()
    either = (predicted | truth).flatten(-2).sum(-1).float()
    return both / either.clamp(min=1)


def _mask_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """10 x cross-entropy + dice of logits [M, K, h, w] against shares 0..1 of the same shape, [M, K]."""
    logits, truth = logits.flatten(2), truth.flatten(2)
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(-1)
    shares = logits.sigmoid()
    dice = 1 - (2 * (shares * truth).sum(-1) + 1) / (shares.sum(-1) + truth.sum(-1) + 1)
    return BCE_WEIGHT * entropy + dice
