"""Overlaps from run lengths are those of pixels, and the best cut is the best of all prefixes."""

import numpy as np
import pytest

from core import rle
from core.types import Expression
from tests.factories import make_track_set, moving_masks
from tracksift.video_scores import VideoScorer, mean_j

SIZE = (16, 20)


def truth_of(*indices, absent=()):
    masks = np.zeros((6, *SIZE), dtype=bool)
    for index in indices:
        masks |= moving_masks(index, 6, SIZE, absent)
    return rle.encode(masks)


def test_mean_j_is_that_of_pixels():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 5, *SIZE)) < 0.4
    a[0] = b[0] = a[1] = False
    pixels = [1.0, 0.0, *((x & y).sum() / (x | y).sum() for x, y in zip(a[2:], b[2:], strict=True))]
    assert mean_j(rle.encode(a), rle.encode(b), SIZE) == pytest.approx(np.mean(pixels))


@pytest.mark.parametrize(
    ("order", "targets", "cut"),
    [
        ([0, 1, 2], [0], (0,)),
        ([1, 0, 2], [0, 1], (1, 0)),
        ([0, 2, 1], [0, 1], (0,)),  # what stands behind a wrong track is out of a threshold's reach
        ([2, 0, 1], [1], ()),
        ([2, 0], [1], ()),
        ([], [1], ()),
    ],
)
def test_the_best_cut_is_the_best_prefix(order, targets, cut):
    scorer = VideoScorer(make_track_set(3))
    assert scorer.best_cut(order, truth_of(*targets)) == cut


def test_the_best_cut_for_no_target_takes_nothing():
    assert VideoScorer(make_track_set(3)).best_cut([0, 1], truth_of()) == ()


def test_a_track_alone_overlaps_by_its_own_masks():
    scorer = VideoScorer(make_track_set(2, absent=[[0, 1, 2], []]))
    assert scorer.overlap(0, truth_of(0)) == pytest.approx(0.5)
    assert scorer.overlap(1, truth_of(1)) == 1


def test_precision_is_a_tracks_share_within_the_target():
    scorer = VideoScorer(make_track_set(2, absent=[[], [0, 1, 2, 3, 4, 5]]))
    assert scorer.precision(0, truth_of(0, 1)) == 1
    assert scorer.precision(0, truth_of(0, absent=[0, 1, 2])) == pytest.approx(0.5)
    assert scorer.precision(1, truth_of(0)) == 1


def test_choices_score_as_their_union_and_carry_the_kind():
    scorer, expression = VideoScorer(make_track_set(3)), Expression("e", "both", ("a", "b"), kind="motion")
    score = scorer.score((0, 1), truth_of(0, 1), expression)
    assert (score.j, score.f, score.kind, score.empty) == (1, 1, "motion", False)
    assert scorer.score((1, 0), truth_of(0, 1), expression) == score
    assert scorer.oracle(truth_of(2), expression) == (2,)
