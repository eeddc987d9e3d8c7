"""Video summarisation: F1 of a summary with those of people, and the choice of shots under a budget.

Definitions: SumMe (Gygli et al., ECCV 2014) and TVSum (Song et al., CVPR 2015), as followed since Zhang et al., ECCV
2016. Knows frames that are in a summary. Does not know videos. T frames, U people, S shots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.validators import check_array, check_finite

BUDGET: Final = 0.15  # of the frames


class Among(StrEnum):
    """How the F1 with several people becomes one: TVSum takes the mean, SumMe the best."""

    MEAN = "mean"
    BEST = "best"


def summary_f1(predicted: NDArray[np.bool_], people: NDArray[np.bool_], among: Among = Among.MEAN) -> float:
    """F1 in 0..1 of the frames `predicted` [T] with those of each person [U, T]; 0 where no frame is shared.

    Raises:
        InputError: for other shapes, or nobody to compare with.
    """
    check_array("predicted summary", predicted, [None], "b")
    check_array("people's summaries", people, [None, len(predicted)], "b")
    if not len(people):
        raise InputError("summary: expected the summary of at least one person, got none")
    shared = (people & predicted).sum(axis=1)
    # 2pr / (p + r) with p = shared / predicted and r = shared / wanted
    f1 = 2 * shared / np.maximum(people.sum(axis=1) + predicted.sum(), 1)
    return float(f1.max() if among is Among.BEST else f1.mean())


def choose_shots(scores: NDArray[np.float64], starts: NDArray[np.int64], budget: float = BUDGET) -> NDArray[np.bool_]:
    """The frames [T] of the shots whose mean scores sum highest within `budget` x T frames: an exact knapsack.

    scores: importance of each frame [T].   starts: first frame of each shot [S], rising from 0.

    Raises:
        InputError: for other shapes, starts that are no shots, or a budget outside 0..1.
    """
    check_array("summary scores", scores, [None], "f")
    check_finite("summary scores", scores)
    check_array("shot starts", starts, [None], "i")
    frames = len(scores)
    if not len(starts) or starts[0] != 0 or (np.diff(starts) <= 0).any() or starts[-1] >= frames:
        raise InputError(f"summary: expected shot starts that rise from 0 to below {frames}, got {starts.tolist()[:8]}")
    if not 0 <= budget <= 1:
        raise InputError(f"summary: expected a budget in 0..1 of the frames, got {budget}")
    ends = np.append(starts[1:], frames)
    values = [float(scores[a:b].mean()) for a, b in zip(starts, ends, strict=True)]
    chosen = _knapsack(values, (ends - starts).tolist(), int(budget * frames))
    summary = np.zeros(frames, dtype=bool)
    for shot in chosen:
        summary[starts[shot] : ends[shot]] = True
    return summary


def _knapsack(values: list[float], weights: list[int], capacity: int) -> list[int]:
    """Indices of the items of the highest total value within the capacity."""
    best = np.zeros(capacity + 1)
    taken = np.zeros((len(values), capacity + 1), dtype=bool)
    for i, (value, weight) in enumerate(zip(values, weights, strict=True)):
        if weight > capacity:
            continue
        with_it = best[: capacity + 1 - weight] + value
        taken[i, weight:] = with_it > best[weight:]
        best[weight:] = np.maximum(best[weight:], with_it)
    chosen, left = [], capacity
    for i in reversed(range(len(values))):
        if taken[i, left]:
            chosen.append(i)
            left -= weights[i]
    return chosen


@dataclass
class SummaryTotals:
    """Collects the F1 of videos; None is a video without a summary, counted as 0."""

    _scores: list[float | None] = field(default_factory=list, repr=False)

    def update(self, *scores: float | None) -> None:
        """Add videos."""
        self._scores.extend(scores)

    def merge(self, other: SummaryTotals) -> None:
        """Add all that `other` has collected."""
        self._scores.extend(other._scores)

    def compute(self) -> SummaryFigures:
        """Mean F1 over videos; InputError without a video."""
        if not self._scores:
            raise InputError("summary: expected at least one video, got none")
        n = len(self._scores)
        return SummaryFigures(math.fsum(s or 0.0 for s in self._scores) / n, n, self._scores.count(None))


@dataclass(frozen=True)
class SummaryFigures:
    """Mean F1 in 0..1 over n videos, of which `failures` had no summary and count as 0."""

    f1: float
    n: int
    failures: int
