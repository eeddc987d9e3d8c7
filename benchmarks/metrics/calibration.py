"""Calibration: whether what is given probability p happens in a share p of cases.

Expected calibration error over bins of equal width (Guo et al., ICML 2017) and the Brier score. Knows probabilities of
an event and whether it happened. Does not know models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.validators import check_array, check_probability

BINS: Final = 15


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability diagram: probabilities in (low, high], the first with 0; means None where n is 0."""

    low: float
    high: float
    n: int
    probability: float | None
    frequency: float | None


@dataclass(frozen=True)
class CalibrationFigures:
    """ece: gap of mean probability and frequency, bins weighed by their cases.   mce: the widest gap of a bin.

    brier: mean squared error of the probabilities.   All in 0..1; n cases.
    """

    ece: float
    mce: float
    brier: float
    bins: tuple[Bin, ...]
    n: int


class CalibrationTotals:
    """Counts cases by bin; memory does not grow, and parts counted apart are merged."""

    def __init__(self, bins: int = BINS) -> None:
        """bins: number of bins of equal width."""
        if bins < 1:
            raise InputError(f"calibration: expected at least one bin, got {bins}")
        self._counts = np.zeros(bins, dtype=np.int64)
        self._events = np.zeros(bins, dtype=np.int64)
        self._sums = np.zeros(bins)
        self._squares = 0.0

    def update(self, probability: NDArray[np.float64], event: NDArray[np.bool_]) -> None:
        """Add cases: probabilities [n] in 0..1 of an event and whether it happened [n].

        Raises:
            InputError: for other shapes or values.
        """
        check_array("calibration probabilities", probability, [None], "f")
        check_array("calibration events", event, [len(probability)], "b")
        check_probability("calibration probabilities", probability)
        bins = len(self._counts)
        edges = np.linspace(0, 1, bins + 1)
        place = np.clip(np.searchsorted(edges, probability, side="left") - 1, 0, bins - 1)
        self._counts += np.bincount(place, minlength=bins)
        self._events += np.bincount(place[event], minlength=bins)
        self._sums += np.bincount(place, weights=probability, minlength=bins)
        self._squares += float(((probability - event) ** 2).sum())

    @property
    def n(self) -> int:
        """Cases counted."""
        return int(self._counts.sum())

    def merge(self, other: CalibrationTotals) -> None:
        """Add all that `other` has counted; InputError when its bins differ."""
        if len(other._counts) != len(self._counts):
            raise InputError(f"calibration: expected {len(self._counts)} bins in both, got {len(other._counts)}")
        self._counts += other._counts
        self._events += other._events
        self._sums += other._sums
        self._squares += other._squares

    def compute(self) -> CalibrationFigures:
        """The figures of all cases; InputError when there is none."""
        n = self.n
        if not n:
            raise InputError("calibration: expected at least one case, got none")
        full = np.maximum(self._counts, 1)
        gaps = np.abs(self._sums - self._events)  # times the bin's cases
        return CalibrationFigures(
            ece=float(gaps.sum() / n),
            mce=float((gaps / full).max()),
            brier=self._squares / n,
            bins=tuple(self._bin(i) for i in range(len(self._counts))),
            n=n,
        )

    def _bin(self, i: int) -> Bin:
        bins, n = len(self._counts), int(self._counts[i])
        means = (float(self._sums[i] / n), float(self._events[i] / n)) if n else (None, None)
        return Bin(i / bins, (i + 1) / bins, n, *means)
