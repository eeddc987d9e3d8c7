"""Spatio-temporal grounding: vIoU, how well a tube of boxes fits in space and time, and tIoU, in time alone.

The definitions are those of VidSTG (Zhang et al., CVPR 2020) and HC-STVG: with the frames of the predicted and of the
true tube, tIoU is their intersection over their union, vIoU the sum of the box IoU over the intersection divided by the
number of frames in the union.

Knows boxes. Does not know files. T frames; a box of NaN means that the tube is not there in that frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics.boxes import Boxes, box_iou, form
from core.errors import InputError

THRESHOLDS = (0.3, 0.5)


@dataclass(frozen=True)
class TubeScore:
    """One expression, in 0..1."""

    viou: float
    tiou: float
    failed: bool = False


@dataclass(frozen=True)
class TubeFigures:
    """Means over expressions in 0..1.   viou_30, viou_50: share of expressions with vIoU above it (vIoU@0.3, @0.5)."""

    viou: float
    tiou: float
    viou_30: float
    viou_50: float
    n: int
    failures: int


def score_tube(predicted: Boxes, truth: Boxes) -> TubeScore:
    """Score tubes of boxes x y w h, [T, 4] each. Both empty, the answer to a no-target expression, score 1.

    Raises:
        InputError: when the shapes differ or a box is partly NaN.
    """
    for name, boxes in (("predicted", predicted), ("true", truth)):
        if boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.shape != truth.shape:
            raise InputError(f"tube: expected {name} boxes {list(truth.shape)} as [T, 4], got {form(boxes)}")
        missing = np.isnan(boxes)
        if (missing.any(axis=1) != missing.all(axis=1)).any():
            raise InputError(f"tube: expected {name} boxes of numbers or of NaN, got a mixed one")
    said, there = ~np.isnan(predicted[:, 0]), ~np.isnan(truth[:, 0])
    union = int((said | there).sum())
    if union == 0:
        return TubeScore(1.0, 1.0)
    both = said & there
    return TubeScore(float(box_iou(predicted[both], truth[both]).sum()) / union, int(both.sum()) / union)


class TubeTotal:
    """Collects expressions; parts scored apart are merged, in any order, to the same figures."""

    def __init__(self, scores: Iterable[TubeScore] = ()) -> None:
        self._scores = list(scores)

    def update(self, score: TubeScore) -> None:
        """Add one expression; `TubeScore(0, 0, failed=True)` where there is no answer."""
        self._scores.append(score)

    def merge(self, other: TubeTotal) -> None:
        """Add all that `other` has collected."""
        self._scores.extend(other._scores)

    def compute(self) -> TubeFigures:
        """The figures of all expressions; InputError when there is none."""
        if not self._scores:
            raise InputError("score: expected at least one expression, got none")
        viou = [s.viou for s in self._scores]
        low, high = (_mean([float(v > threshold) for v in viou]) for threshold in THRESHOLDS)
        failures = sum(s.failed for s in self._scores)
        return TubeFigures(_mean(viou), _mean([s.tiou for s in self._scores]), low, high, len(viou), failures)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)  # exact, so that the order of merging does not show
