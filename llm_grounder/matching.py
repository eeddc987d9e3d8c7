"""Spans and boxes against each other: overlap, also generalised, and the best one-to-one match.

Knows numbers. Does not know heads or units. Axis letters: K predictions, M truths.
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def span_giou(one: Tensor, other: Tensor) -> Tensor:
    """Generalised IoU [..] in -1..1 of spans [.., 2], start before end, broadcast (Rezatofighi et al. 2019, in 1-D)."""
    inside = (torch.minimum(one[..., 1], other[..., 1]) - torch.maximum(one[..., 0], other[..., 0])).clamp(min=0)
    hull = torch.maximum(one[..., 1], other[..., 1]) - torch.minimum(one[..., 0], other[..., 0])
    union = (one[..., 1] - one[..., 0]) + (other[..., 1] - other[..., 0]) - inside
    return _giou(inside, union, hull)


def box_iou(one: Tensor, other: Tensor) -> Tensor:
    """IoU [..] in 0..1 of boxes [.., 4] as x1, y1, x2, y2, broadcast; 0 where one is not there (NaN)."""
    inside, union = _areas(one, other)
    return (inside / union.clamp(min=torch.finfo(union.dtype).eps)).nan_to_num()


def box_giou(one: Tensor, other: Tensor) -> Tensor:
    """Generalised IoU [..] in -1..1 of boxes [.., 4] as x1, y1, x2, y2, broadcast (Rezatofighi et al. 2019)."""
    low, high = torch.minimum(one[..., :2], other[..., :2]), torch.maximum(one[..., 2:], other[..., 2:])
    return _giou(*_areas(one, other), (high - low).prod(-1))


def best_pairs(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of predictions and truths that together cost least, min(K, M) of each, on the CPU; cost [K, M]."""
    rows, columns = linear_sum_assignment(cost.detach().float().cpu().numpy())
    return torch.as_tensor(rows), torch.as_tensor(columns)


def _areas(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """What boxes share, and what they cover together."""
    low, high = torch.maximum(one[..., :2], other[..., :2]), torch.minimum(one[..., 2:], other[..., 2:])
    inside = (high - low).clamp(min=0).prod(-1)
    return inside, (one[..., 2:] - one[..., :2]).prod(-1) + (other[..., 2:] - other[..., :2]).prod(-1) - inside


def _giou(inside: Tensor, union: Tensor, hull: Tensor) -> Tensor:
    small = torch.finfo(union.dtype).eps
    return inside / union.clamp(min=small) - (hull - union) / hull.clamp(min=small)
