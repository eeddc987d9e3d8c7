"""SOLA's three losses over padded batches, as pure functions.

Knows logits, embeddings and labels. Does not know the module. Axis letters: B expressions, N tracks, E embedding width,
J negatives. Every mean is taken over an expression's real tracks first and over expressions then, so that padding and
company in a batch change nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

LOGIT_SCALE = math.exp(0.07)  # SOLA's temperature parameter, which its training never moves


def selection_loss(logits: Tensor, labels: Tensor, mask: Tensor, positive_weight: float) -> Tensor:
    """Binary cross-entropy with a weight on positives: logits, labels (bool, or 0..1) and mask [B, N] -> scalar."""
    weight = torch.full((), positive_weight, device=logits.device)
    return _mean(F.binary_cross_entropy_with_logits(logits, labels.float(), pos_weight=weight, reduction="none"), mask)


def presence_loss(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of whether any track is meant, from the soft best logit: logits, labels, mask [B, N] -> scalar.

    The soft best is the softmax-weighted mean: it lies between the mean and the best, and does not grow with N.
    """
    masked = logits.masked_fill(~mask, float("-inf"))
    best = (masked.softmax(-1) * logits.masked_fill(~mask, 0.0)).sum(-1)
    there = (labels.bool() & mask).any(-1).float()
    return F.binary_cross_entropy_with_logits(best, there)


def moment_loss(logits: Tensor, held: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of when an expression holds, over its targets' tracks and the frames of which that is known.

    logits [B, N, T]; held [B, T], 1, 0 or -1 for unknown; labels (bool) and mask [B, N] -> scalar. Expressions without
    known frames or tracks count 0, so that parts of a batch add up.
    """
    known = ((labels & mask)[..., None] & (held >= 0)[:, None]).to(logits.dtype)
    wanted = (held == 1).to(logits.dtype)[:, None].expand_as(logits)
    values = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * known
    return (values.sum((1, 2)) / known.sum((1, 2)).clamp(min=1)).mean()


def ramp_labels(overlap: Tensor, middle: float, half: float) -> Tensor:
    """Labels 0..1 that rise over the IoU from `middle` - `half` to `middle` + `half`: overlap [B, N] -> [B, N]."""
    return ((overlap - middle + half) / (2 * half)).clamp(0, 1)


def alignment_losses(
    objects: Tensor, sentence: Tensor, negatives: Tensor, labels: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """(L+, L-): positive tracks lie near the sentence, each negative track near one learned negative.

    objects [B, N, E], sentence [B, E] (mean of the real words), negatives [J, E]; labels (bool) and mask [B, N].
    L+ = mean BCE(s <o, p>, y); L- = mean over tracks and negatives of BCE(s <o, n_j>, z), where z is 1 only for a
    negative track's best n_j.
    """
    near = LOGIT_SCALE * torch.einsum("bne,be->bn", objects, sentence)
    positive = _mean(F.binary_cross_entropy_with_logits(near, labels.float(), reduction="none"), mask)
    far = LOGIT_SCALE * objects @ negatives.T  # [B, N, J]
    every = torch.arange(far.shape[-1], device=far.device)
    best = (far.argmax(-1, keepdim=True) == every) & ~labels[..., None]
    negative = F.binary_cross_entropy_with_logits(far, best.float(), reduction="none").mean(-1)
    return positive, _mean(negative, mask)


def total_loss(selection: Tensor, positive: Tensor, negative: Tensor, alignment_weight: float) -> Tensor:
    """BCE + 0.3 (1.5 L+ + L-), with SOLA's 0.3 as the argument."""
    return selection + alignment_weight * (1.5 * positive + negative)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    real = mask.to(values.dtype)
    return ((values * real).sum(1) / real.sum(1).clamp(min=1)).mean()
