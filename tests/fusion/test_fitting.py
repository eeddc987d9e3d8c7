import numpy as np
import pytest

from core.errors import InputError
from core.types import MomentScores, TimeSpan, TrackScores
from fusion.fitting import BLOCKS, GRID, Case, fit, mean_scores
from fusion.modes import MODES, Evidence
from fusion.settings import FusionSettings, GrounderSettings, Weights
from tests.factories import make_track_set


def case(probability, wanted, *, presence=0.9, span=None):
    """An expression that is answered well by exactly the tracks `wanted`."""
    scores = TrackScores("clip", "e", np.array(probability), presence, "s", "c")
    word = MomentScores("clip", "e", np.zeros(0), np.zeros(0), () if span is None else (TimeSpan(*span, 0.9),))
    tracks = make_track_set(2, absent=[[3, 4, 5], [0, 1, 2]])
    return Case(Evidence(tracks, scores, word), lambda choice: float(set(choice.chosen) == set(wanted)))


def test_a_threshold_between_right_and_wrong_is_found():
    cases = [case([0.35, 0.2], [0]), case([0.15, 0.4], [1]), case([0.3, 0.33], [0, 1])]
    found = fit(cases, Weights("tracks"))
    assert mean_scores(cases, Weights("tracks"))[0] == pytest.approx(2 / 3)
    assert 0.2 <= found.rule.threshold < 0.3
    assert found.fitted == {"expressions": 3, "score": 1.0}


def test_no_target_and_threshold_are_told_apart():
    cases = [case([0.2, 0.1], [], presence=0.35), case([0.2, 0.1], [0], presence=0.45)]
    found = fit(cases, Weights("tracks"))
    assert mean_scores(cases, found)[0] == 1
    assert found.rule.no_target_threshold == 0.6


def test_the_grounders_share_is_found_where_the_moment_decides():
    late, early = (0.375, 0.75), (0.0, 0.375)
    cases = [case([0.8, 0.6], [1], span=late), case([0.6, 0.8], [0], span=early), case([0.9, 0.1], [0], span=early)]
    found = fit(cases, Weights("dtos", grounder=GrounderSettings(tracks=0.0)))
    assert mean_scores(cases, found)[0] == 1
    assert found.grounder.tracks > 0


def test_numbers_stay_where_nothing_is_better():
    start = Weights("tracks", FusionSettings(0.42, 0.77))
    assert fit([case([0.9, 0.1], [0])], start).rule == start.rule


def test_progress_counts_every_candidate():
    told = []
    fit([case([0.9, 0.1], [0])], Weights("tracks"), lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == list(range(1, len(told) + 1))
    assert {total for _, total in told} == {len(told)}


def test_every_mode_has_blocks_of_numbers_that_the_grid_knows():
    assert BLOCKS.keys() == MODES.keys()
    assert {name for blocks in BLOCKS.values() for block in blocks for name in block} == GRID.keys()


def test_nothing_to_fit_on_is_refused():
    with pytest.raises(InputError, match="at least one expression"):
        fit([], Weights())


@pytest.mark.parametrize("mode", ["gated", "dtos", "reranked"])
def test_spans_that_change_no_mask_are_told_apart_by_the_time_alone(mode):
    """Three spans, of which the best alone is right; every choice of tracks scores the same."""
    spans = (TimeSpan(0.0, 0.25, 0.9), TimeSpan(0.25, 0.5, 0.5), TimeSpan(0.5, 0.75, 0.3))
    scores = TrackScores("clip", "e", np.array([0.9, 0.1]), 0.9, "s", "c")
    given = Evidence(make_track_set(2), scores, MomentScores("clip", "e", np.array([0.1]), np.array([0.9]), spans))
    timely = Case(given, lambda choice: 0.5, lambda choice: float(choice.moments == spans[:1]))
    found = fit([timely], Weights(mode))
    assert mean_scores([timely], found) == (0.5, 1.0)
    assert found.moments.spans == 1 or found.moments.least > 0.5
    blind = fit([Case(given, lambda choice: 0.5)], Weights(mode))
    assert blind.moments == Weights(mode).moments
