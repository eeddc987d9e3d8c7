"""Highlight mAP and HIT@1 on cases small enough to do by hand; a literal restatement; what is refused."""

import numpy as np
import pytest

from benchmarks.metrics.highlights import HighlightTotals, clip_ap, score_highlights
from core.errors import InputError


def truth(*scores):
    """[B, 3]: three annotators who agree."""
    return np.repeat(np.array(scores, dtype=np.float64)[:, None], 3, axis=1)


@pytest.mark.parametrize(
    ("scores", "positive", "ap"),
    [
        ([0.9, 0.1], [1, 0], 1.0),
        ([0.1, 0.9], [1, 0], 0.5),
        ([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0], 0.25),
        ([0.1, 0.2], [0, 0], 0.0),
        ([0.1, 0.2], [1, 1], 1.0),
        ([0.9, 0.8, 0.7], [1, 0, 1], (1 + 2 / 3) / 2),
        ([0.9, 0.9, 0.7], [1, 1, 0], 1.0),  # two of one score enter together: one value of recall
    ],
)
def test_clip_ap(scores, positive, ap):
    assert clip_ap(np.array(scores), np.array(positive, dtype=bool)) == pytest.approx(ap)


def test_clip_ap_equals_its_definition_at_every_cut():
    rng = np.random.default_rng(1)
    for _ in range(300):
        size = int(rng.integers(2, 12))
        scores, positive = rng.integers(0, 5, size) / 4, rng.random(size) < 0.4
        if positive.any() and not positive.all():
            assert clip_ap(scores, positive) == pytest.approx(restated(scores, positive))


def restated(scores, positive):
    best = {}
    for cut in set(scores):
        taken = scores >= cut
        recall = (taken & positive).sum() / positive.sum()
        best[recall] = max(best.get(recall, 0.0), (taken & positive).sum() / taken.sum())
    levels = [r for r in best if r > 0]
    return np.mean([max(p for r, p in best.items() if r >= level) for level in levels])


def test_levels_are_least_scores():
    score = score_highlights([0.9, 0.1], truth(3, 0))
    assert score.hit == {"Fair": True, "Good": True, "VeryGood": False}
    assert score.ap == {"Fair": 1.0, "Good": 1.0, "VeryGood": 0.0}


def test_one_annotator_is_enough_for_a_hit_and_a_third_of_the_ap():
    true = np.array([[4.0, 0, 0], [0, 0, 0]])
    score = score_highlights([1, 0], true)
    assert (score.hit["VeryGood"], score.ap["VeryGood"]) == (True, pytest.approx(1 / 3))


def test_missing_clips_are_zero_which_beats_negative_scores():
    score = score_highlights([-1.0], truth(4, 0))
    assert score.ap["VeryGood"] == 0.5
    assert score.hit["VeryGood"]  # HIT@1 looks at what was predicted


def test_clips_beyond_the_video_are_cut_and_miss():
    score = score_highlights([0.5, 0.1, 0.9], truth(4, 0))
    assert (score.ap["VeryGood"], score.hit["VeryGood"]) == (1.0, False)


def test_figures_count_failures_and_merge():
    totals, other = HighlightTotals(), HighlightTotals()
    totals.update(score_highlights([1, 0], truth(4, 0)))
    other.update(score_highlights([], truth(4, 0)))
    totals.merge(other)
    figures = totals.compute()["VeryGood"]
    assert (figures.map, figures.hit1, figures.n, figures.failures) == (0.5, 0.5, 2, 1)


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(InputError, match="expected finite numbers"):
        score_highlights([float("nan")], truth(1))
    with pytest.raises(InputError, match="expected at least one clip"):
        score_highlights([1.0], np.zeros((0, 3)))
    with pytest.raises(InputError, match="expected shape"):
        score_highlights([[1.0]], truth(1))
    with pytest.raises(InputError, match="expected at least one query"):
        HighlightTotals().compute()
