"""Calibration error, reliability bins and Brier score by hand; merging; what is refused."""

import numpy as np
import pytest

from benchmarks.metrics.calibration import CalibrationTotals
from core.errors import InputError


def totals(probabilities, events, bins=10):
    made = CalibrationTotals(bins)
    made.update(np.array(probabilities, dtype=np.float64), np.array(events, dtype=bool))
    return made


def test_by_hand():
    figures = totals([0.95, 0.95, 0.95, 0.95, 0.15], [1, 1, 0, 0, 0]).compute()
    assert figures.ece == pytest.approx((4 * 0.45 + 0.15) / 5)
    assert figures.mce == pytest.approx(0.45)
    assert figures.brier == pytest.approx((2 * 0.0025 + 2 * 0.9025 + 0.0225) / 5)
    assert figures.n == 5


def test_a_bin_includes_its_upper_edge_and_the_first_zero():
    bins = totals([0.0, 0.5, 1.0], [0, 1, 1], bins=2).compute().bins
    assert [(b.low, b.high, b.n) for b in bins] == [(0.0, 0.5, 2), (0.5, 1.0, 1)]
    assert (bins[0].probability, bins[0].frequency) == (0.25, 0.5)


def test_empty_bins_have_no_means_and_no_weight():
    figures = totals([1.0], [1]).compute()
    assert (figures.bins[0].n, figures.bins[0].probability, figures.bins[0].frequency) == (0, None, None)
    assert figures.ece == 0


def test_probabilities_that_are_frequencies_are_calibrated_and_shifted_ones_are_not():
    rng = np.random.default_rng(0)
    p = rng.random(40_000)
    event = rng.random(40_000) < p
    assert totals(p, event, 15).compute().ece < 0.02
    assert totals(p**3, event, 15).compute().ece > 0.2


def test_parts_merge():
    rng = np.random.default_rng(1)
    p, event = rng.random(100), rng.random(100) < 0.5
    left, right, whole = totals(p[:30], event[:30]), totals(p[30:], event[30:]), totals(p, event)
    right.merge(left)
    assert right.compute().ece == pytest.approx(whole.compute().ece)
    assert [b.n for b in right.compute().bins] == [b.n for b in whole.compute().bins]


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(InputError, match=r"expected probabilities in 0\.\.1"):
        totals([1.5], [1])
    with pytest.raises(InputError, match="expected probabilities"):
        totals([float("nan")], [1])
    with pytest.raises(InputError, match=r"events: expected shape \[1\], got \[2\]"):
        totals([0.5], [1, 0])
    with pytest.raises(InputError, match="expected at least one case"):
        totals([], []).compute()
    with pytest.raises(InputError, match="expected at least one bin"):
        CalibrationTotals(0)
    with pytest.raises(InputError, match="expected 10 bins in both, got 5"):
        totals([], []).merge(CalibrationTotals(5))
