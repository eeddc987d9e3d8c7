"""How tracks turn: about themselves, by the harmonics of their outlines, and on their way, by the steps they take.

Knows box numbers and `selector.outline`'s numbers. Does not know words or models. Axis letters: V videos, N tracks, T
frames. All numbers are of order 1; what cannot be told is 0. Counterclockwise is positive.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from selector.outline import ORDERS

LAGS = (1, 2)
STRIDE = 2  # frames of a step of the way
TURN_WIDTH = 2 * len(LAGS) + 2
TURNED_WIDTH = 6
LITTLE = 0.05  # of a product of two harmonics: what counts for nothing
SHORT = 1e-4  # of a product of two steps, each a share of the frame


def turns(geometry: Tensor, outline: Tensor) -> Tensor:
    """How each track turned since `lag` frames ago, [V, N, T, 6], of geometry [V, N, T, 8] and outline [V, N, T, 11].

    For each of LAGS: the turn about itself (radians x 4) and how surely it can be told. Then sine and cosine between
    the last step of the way and the one before, each of two frames.
    """
    parts = []
    for lag in LAGS:
        angle, sure = _turn(geometry, outline, lag)
        parts += [angle * 4, sure]
    return torch.stack([*parts, *_bend(geometry)], dim=-1)


def turned(geometry: Tensor, outline: Tensor, told: Tensor) -> Tensor:
    """Each track as a whole, [V, N, 6]: rounds about itself, mean turn a frame either way (radians x 10), how surely
    these can be told, rounds of its way, and mean and greatest covered share.

    told: `turns` of the same, whose first lag is one frame.
    """
    seen = geometry[..., 7].sum(-1).clamp(min=1)
    angle, sure, sine, cosine = told[..., 0] / 4, told[..., 1], told[..., -2], told[..., -1]
    way = torch.atan2(sine, cosine.where(sine != 0, 1)) / STRIDE  # each frame begins a step, so that steps overlap
    covered = outline[..., -1]
    rounds = [part.sum(-1) / (2 * math.pi) for part in (angle, way)]
    own = [angle.abs().sum(-1) / seen * 10, sure.sum(-1) / seen]
    return torch.stack([rounds[0], *own, rounds[1], covered.sum(-1) / seen, covered.amax(-1)], dim=-1)


def _turn(geometry: Tensor, outline: Tensor, lag: int) -> tuple[Tensor, Tensor]:
    """Radians about itself since `lag` frames ago, and 0..1 how surely they are told, [V, N, T] each.

    Each order tells the turn up to a whole part of a round; the strongest tell most.
    """
    real, imaginary = outline[..., :-1:2], outline[..., 1:-1:2]  # [V, N, T, orders]
    real_before, imaginary_before = _before(real, lag), _before(imaginary, lag)
    along = real * real_before + imaginary * imaginary_before
    across = imaginary * real_before - real * imaginary_before
    weight = (along.square() + across.square()).sqrt()
    order = torch.arange(ORDERS[0], ORDERS[-1] + 1, device=outline.device)
    angle = torch.atan2(across, along.where(weight > 0, 1)) / order
    both = geometry[..., 7] * _before(geometry[..., 7:8], lag)[..., 0]
    total = weight.sum(-1)
    return (weight * angle).sum(-1) / (total + LITTLE) * both, total / (total + LITTLE) * both


def _bend(geometry: Tensor) -> tuple[Tensor, Tensor]:
    """Sine and cosine between the last step and the one before, [V, N, T] each, less where both are short."""
    centre, present = geometry[..., :2], geometry[..., 7:8]
    middle, first = _before(centre, STRIDE), _before(centre, 2 * STRIDE)
    there = (present * _before(present, STRIDE) * _before(present, 2 * STRIDE))[..., 0]
    step, past = centre - middle, middle - first
    across = past[..., 1] * step[..., 0] - past[..., 0] * step[..., 1]  # rows go down
    size = step.norm(dim=-1) * past.norm(dim=-1) + SHORT
    return across / size * there, (past * step).sum(-1) / size * there


def _before(values: Tensor, lag: int) -> Tensor:
    """values [V, N, T, K] of `lag` frames ago, 0 before the first."""
    return F.pad(values, (0, 0, lag, 0))[..., : values.shape[-2], :]
