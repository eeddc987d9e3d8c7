"""GOT-10k: AO, the mean overlap, and SR, the share of frames whose overlap is above a threshold.

The rules are those of GOT-10k's toolkit (Huang et al., TPAMI 2019): the first frame and frames in which the target is
not visible are left out, boxes are cut to the picture first, and every frame of every sequence weighs the same.

Knows boxes. Does not know files. T frames; boxes are x, y, w, h in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.boxes import Boxes, box_iou, form
from core.errors import InputError

THRESHOLDS = (0.5, 0.75)


@dataclass(frozen=True)
class OverlapScore:
    """One sequence: the overlaps of the judged frames, in 0..1; zeros where there is no result."""

    sequence: str
    overlaps: NDArray[np.float64]
    failed: bool = False


@dataclass(frozen=True)
class OverlapFigures:
    """Shares in 0..1 over all frames.   n: frames.   sequences: all, of which `failures` have no result and score 0."""

    ao: float
    sr_50: float
    sr_75: float
    n: int
    sequences: int
    failures: int


def score_overlap(
    sequence: str, predicted: Boxes | None, truth: Boxes, cover: NDArray[np.int64] | None, size: tuple[int, int]
) -> OverlapScore:
    """Score one sequence.

    predicted: [T, 4]; None for no result.   cover: the visible share of the target, [T], 0 for out of sight; None for
    always in sight.   size: (W, H) of the picture.

    Raises:
        InputError: when lengths differ, a box is not finite, or fewer than two frames are there.
    """
    if truth.ndim != 2 or truth.shape[1:] != (4,) or len(truth) < 2 or not np.isfinite(truth).all():
        raise InputError(f"sequence {sequence!r}: expected at least two finite true boxes [T, 4], got {form(truth)}")
    if cover is not None and cover.shape != truth.shape[:1]:
        raise InputError(f"sequence {sequence!r}: expected {len(truth)} visible shares, got {form(cover)}")
    judged = np.ones(len(truth), dtype=np.bool_) if cover is None else cover > 0
    judged[0] = False
    if predicted is None:
        return OverlapScore(sequence, np.zeros(int(judged.sum())), failed=True)
    if predicted.shape != truth.shape or not np.isfinite(predicted).all():
        raise InputError(f"sequence {sequence!r}: expected finite boxes {list(truth.shape)}, got {form(predicted)}")
    return OverlapScore(sequence, box_iou(_cut(predicted, size), _cut(truth, size))[judged])


class OverlapTotal:
    """Collects sequences; parts scored apart are merged, in any order, to the same figures."""

    def __init__(self, scores: Iterable[OverlapScore] = ()) -> None:
        self._scores = list(scores)

    def update(self, score: OverlapScore) -> None:
        """Add one sequence."""
        self._scores.append(score)

    def merge(self, other: OverlapTotal) -> None:
        """Add all that `other` has collected."""
        self._scores.extend(other._scores)

    def compute(self) -> OverlapFigures:
        """The figures over all frames; InputError when there is none."""
        overlaps = np.sort(np.concatenate([np.zeros(0), *(s.overlaps for s in self._scores)]))  # in any order the same
        if not len(overlaps):
            raise InputError("score: expected at least one judged frame, got none")
        low, high = (float((overlaps > threshold).mean()) for threshold in THRESHOLDS)
        failures = sum(s.failed for s in self._scores)
        return OverlapFigures(float(overlaps.mean()), low, high, len(overlaps), len(self._scores), failures)


def _cut(boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """Boxes within the picture as the toolkit cuts them: the corner moves inside, width and height stay as they fit."""
    bound = np.array(size, dtype=np.float64)
    corner = boxes[:, :2].clip(0, bound)
    return np.concatenate([corner, boxes[:, 2:].clip(0, bound - corner)], axis=1)
