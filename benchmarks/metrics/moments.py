"""Moment retrieval: R@n at IoU, mean IoU, and the mean average precision of QVHighlights, whole and by length.

Definitions: Charades-STA's R@n at IoU (Gao et al., ICCV 2017) and QVHighlights' evaluator (Lei et al., NeurIPS 2021),
which agree on R@1. Knows windows and scores. Does not know datasets. K predicted and M true windows, C thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.intervals import Windows, as_windows, overlap
from core.errors import InputError

THRESHOLDS: Final = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
MOST_WINDOWS: Final = 10  # of a prediction, in the order given, that count for mAP
LENGTHS: Final[Mapping[str, tuple[float, float]]] = {"short": (0, 10), "middle": (10, 30), "long": (30, 150)}
"""QVHighlights' ranges in seconds, (low, high]; "full" is every window whatever its length."""


@dataclass(frozen=True)
class RangeScore:
    """One query against the true windows of one range: IoU of the first n windows at best, AP at each threshold [C]."""

    best: Mapping[int, float]
    ap: NDArray[np.float64]


@dataclass(frozen=True)
class MomentScore:
    """One query: its score in each range that holds a true window, "full" always. failed: there was no prediction."""

    ranges: Mapping[str, RangeScore]
    failed: bool = False


@dataclass(frozen=True)
class MomentFigures:
    """Figures of one range, in 0..1.

    recall: (n, threshold) -> share of queries of which one of the first n windows reaches the threshold (>=).
    miou: mean IoU of the first window.   ap: threshold -> mean AP.   map: the mean of `ap`.   n: queries.
    failures: those without a prediction, counted as 0.
    """

    recall: Mapping[tuple[int, float], float]
    miou: float
    ap: Mapping[float, float]
    map: float
    n: int
    failures: int


def score_moments(
    windows: Windows,
    truth: Windows,
    scores: Sequence[float] | NDArray[np.float64] | None = None,
    *,
    ranks: Sequence[int] = (1, 5),
    thresholds: Sequence[float] = THRESHOLDS,
) -> MomentScore:
    """Score the answer `windows` [K, 2] to one query against `truth` [M, 2].

    R@n takes the windows in the order given, the first being the answer, whatever the scores [K] say; mAP takes the
    first ten and sorts them by score (in the order given without scores). K = 0 is a failure: all figures 0. As in the
    official code, a length range leaves out true windows of other lengths but no predicted ones.

    Raises:
        InputError: without a true window, for other shapes, or for numbers that are not finite.
    """
    windows, truth = as_windows("predicted windows", windows), as_windows("true windows", truth)
    if len(truth) == 0:
        raise InputError("moments: expected at least one true window, got none")
    order = _by_score(scores, len(windows))
    lengths = truth[:, 1] - truth[:, 0]
    iou = overlap(windows, truth)  # [K, M]
    kept = {"full": np.ones(len(truth), dtype=bool)}
    kept |= {name: (lengths > low) & (lengths <= high) for name, (low, high) in LENGTHS.items()}
    ranges = {
        name: RangeScore(
            {n: float(iou[:n, keep].max(initial=0.0)) for n in ranks},
            average_precision(iou[np.ix_(order, keep)], thresholds),
        )
        for name, keep in kept.items()
        if keep.any()
    }
    return MomentScore(ranges, failed=len(windows) == 0)


def average_precision(iou: NDArray[np.float64], thresholds: Sequence[float] = THRESHOLDS) -> NDArray[np.float64]:
    """AP at each threshold [C] of predictions, best first, whose IoU [K, M] with the true windows is given.

    Each prediction takes the free true window that it overlaps most, if IoU >= threshold; AP is the area under the
    precision made falling from the right (VOC 2011).
    """
    return np.array([_area(_hits(iou, t), iou.shape[1]) for t in thresholds])


def _hits(iou: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """Which predictions [K] take a true window."""
    free = np.ones(iou.shape[1], dtype=bool)
    hits = np.zeros(iou.shape[0], dtype=bool)
    for k, row in enumerate(iou):
        # Of true windows overlapped the same, the official code takes the last.
        for m in np.argsort(row, kind="stable")[::-1]:
            if row[m] < threshold:
                break
            if free[m]:
                free[m], hits[k] = False, True
                break
    return hits


def _area(hits: NDArray[np.bool_], positives: int) -> float:
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float(falling[hits].sum() / positives)  # recall rises by 1 / positives at each hit


def _by_score(scores: Sequence[float] | NDArray[np.float64] | None, windows: int) -> NDArray[np.intp]:
    kept = min(windows, MOST_WINDOWS)
    if scores is None:
        return np.arange(kept)
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (windows,) or not np.isfinite(values).all():
        raise InputError(f"moments: expected {windows} finite scores, one a window, got shape {values.shape}")
    return np.argsort(-values[:kept], kind="stable")


@dataclass
class MomentTotals:
    """Collects the scores of queries; parts collected apart are merged, in any order, to the same figures."""

    thresholds: Sequence[float] = THRESHOLDS
    _scores: list[MomentScore] = field(default_factory=list, repr=False)

    def update(self, *scores: MomentScore) -> None:
        """Add queries."""
        self._scores.extend(scores)

    def merge(self, other: MomentTotals) -> None:
        """Add all that `other` has collected; InputError when its thresholds differ."""
        if tuple(other.thresholds) != tuple(self.thresholds):
            raise InputError(f"moments: expected thresholds {self.thresholds} in both parts, got {other.thresholds}")
        self._scores.extend(other._scores)

    def compute(self) -> dict[str, MomentFigures]:
        """Figures of "full" and of each length range that any query has; InputError without a query."""
        if not self._scores:
            raise InputError("moments: expected at least one query, got none")
        names = [n for n in ("full", *LENGTHS) if any(n in s.ranges for s in self._scores)]
        return {name: self._figures(name) for name in names}

    def _figures(self, name: str) -> MomentFigures:
        kept = [s for s in self._scores if name in s.ranges]
        parts = [s.ranges[name] for s in kept]
        ranks = sorted(parts[0].best)
        recall = {(n, t): _mean(float(p.best[n] >= t) for p in parts) for n in ranks for t in (0.3, *self.thresholds)}
        ap = {t: _mean(float(p.ap[i]) for p in parts) for i, t in enumerate(self.thresholds)}
        return MomentFigures(
            recall=recall,
            miou=_mean(p.best[ranks[0]] for p in parts),
            ap=ap,
            map=_mean(ap.values()),
            n=len(parts),
            failures=sum(s.failed for s in kept),
        )


def _mean(values: Iterable[float]) -> float:
    # fsum is exact, so that the order of merging does not show.
    listed = list(values)
    return math.fsum(listed) / len(listed)
