"""Summary F1 by hand, and the choice of shots against every other choice."""

from itertools import chain, combinations

import numpy as np
import pytest

from benchmarks.metrics.summaries import Among, SummaryTotals, choose_shots, summary_f1
from core.errors import InputError


def frames(text):
    return np.array([c == "#" for c in text])


def test_f1_with_several_people_is_the_mean_or_the_best():
    people = np.stack([frames("##.."), frames("..##")])
    assert summary_f1(frames("##.."), people) == 0.5
    assert summary_f1(frames("##.."), people, Among.BEST) == 1.0
    assert summary_f1(frames("#..."), people[:1]) == pytest.approx(2 / 3)
    assert summary_f1(frames("...."), people) == 0.0


def test_the_choice_of_shots_is_the_best_within_the_budget():
    rng = np.random.default_rng(0)
    for _ in range(30):
        lengths = rng.integers(1, 6, 7)
        starts, total = np.cumsum(lengths) - lengths, int(lengths.sum())
        scores = rng.random(total)
        chosen = choose_shots(scores, starts, budget=0.4)
        values = [scores[a : a + n].mean() for a, n in zip(starts, lengths, strict=True)]
        sets = chain.from_iterable(combinations(range(7), n) for n in range(8))
        best = max(sum(values[i] for i in s) for s in sets if sum(lengths[i] for i in s) <= int(0.4 * total))
        taken = [i for i in range(7) if chosen[starts[i]]]
        assert sum(values[i] for i in taken) == pytest.approx(best)
        assert chosen.sum() == sum(lengths[i] for i in taken) <= 0.4 * total


def test_a_shot_longer_than_the_budget_is_never_taken():
    assert choose_shots(np.array([9.0, 9, 9, 1]), np.array([0, 3]), budget=0.25).tolist() == [False, False, False, True]
    assert not choose_shots(np.ones(4), np.array([0]), budget=0.5).any()


def test_failures_count_as_zero_and_parts_merge():
    totals, other = SummaryTotals(), SummaryTotals()
    totals.update(0.5)
    other.update(None)
    totals.merge(other)
    figures = totals.compute()
    assert (figures.f1, figures.n, figures.failures) == (0.25, 2, 1)


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(InputError, match=r"expected shape \[any, 2\], got \[1, 3\]"):
        summary_f1(frames("##"), np.ones((1, 3), dtype=bool))
    with pytest.raises(InputError, match="expected the summary of at least one person"):
        summary_f1(frames("##"), np.ones((0, 2), dtype=bool))
    with pytest.raises(InputError, match="expected shot starts that rise from 0 to below 4"):
        choose_shots(np.ones(4), np.array([0, 4]))
    with pytest.raises(InputError, match="expected shot starts"):
        choose_shots(np.ones(4), np.array([1, 2]))
    with pytest.raises(InputError, match=r"expected a budget in 0\.\.1"):
        choose_shots(np.ones(4), np.array([0]), budget=15)
    with pytest.raises(InputError, match="expected at least one video"):
        SummaryTotals().compute()
