import numpy as np
import pytest

from core.types import MomentScores, TimeSpan
from fusion.moments import allot, certainty, inside, kept_spans, relevance_of_frames
from fusion.settings import MomentSettings
from tests.factories import make_video


def moments(*spans, times=(), relevance=()):
    return MomentScores("clip", "e", np.array(times, dtype=float), np.array(relevance, dtype=float), spans)


def window(*runs, frames=70):
    out = np.zeros(frames, dtype=bool)
    for first, last in runs:
        out[first : last + 1] = True
    return out


def test_the_best_spans_that_score_enough_are_kept_by_start():
    word = moments(TimeSpan(3, 4, 0.5), TimeSpan(1, 2, 0.9), TimeSpan(0, 1), TimeSpan(2, 3, 0.1))
    assert [s.start for s in kept_spans(word, MomentSettings())] == [0, 1, 2, 3]
    assert [s.start for s in kept_spans(word, MomentSettings(spans=2))] == [0, 1]  # no score counts as 1
    assert [s.start for s in kept_spans(word, MomentSettings(least=0.4))] == [0, 1, 3]


@pytest.mark.parametrize(
    ("word", "sure"),
    [
        (moments(), 0.0),
        (moments(TimeSpan(0, 1, 0.25)), 0.25),
        (moments(TimeSpan(0, 1)), 1.0),
        (moments(TimeSpan(0, 1, 0.25), times=[0.0], relevance=[0.75]), 0.75),
    ],
)
def test_a_grounder_is_as_sure_as_its_best_span_or_frame(word, sure):
    assert certainty(word) == sure


@pytest.mark.parametrize(
    ("span", "pad", "expected"),
    [
        (TimeSpan(0.125, 0.375), 0, [1, 2]),  # frames of 1/8 s
        (TimeSpan(0.18, 0.32), 0, [1, 2]),  # 0.07 s of each: more than half
        (TimeSpan(0.2, 0.3), 0, []),  # 0.05 s of each
        (TimeSpan(0.2, 0.3), 0.125, [1, 2]),
        (TimeSpan(0.7, 9), 0, []),  # 0.05 s of the last frame, which ends at 0.75
        (TimeSpan(0.6, 9), 0, [5]),
    ],
)
def test_a_frame_is_inside_when_half_of_its_time_is(span, pad, expected):
    assert np.flatnonzero(inside(make_video(), [span], pad)).tolist() == expected


@pytest.mark.parametrize(
    ("runs", "count", "expected"),
    [
        (((10, 40), (60, 64)), 7, (10, 16, 22, 28, 34, 40, 62)),  # DTOS's example: six and one
        (((10, 40),), 3, (10, 25, 40)),
        (((5, 5), (9, 9), (20, 20)), 7, (5, 9, 20)),  # no more frames than there are, none twice
        (((0, 0), (2, 2), (4, 4)), 2, (2, 4)),  # shares round to three ones, and the first gives its own
        (((0, 9), (20, 29), (40, 49)), 4, (0, 9, 24, 44)),  # shares round to three, and the first takes one more
        ((), 7, ()),
    ],
)
def test_key_frames_are_shared_out_by_length_without_doubles(runs, count, expected):
    assert allot(window(*runs), count) == expected


def test_key_frames_are_as_many_as_asked_for_rising_and_inside_whatever_the_runs():
    rng = np.random.default_rng(0)
    for _ in range(200):
        frames = rng.random(60) < rng.random()
        keys = allot(frames, 7)
        assert len(keys) == min(7, frames.sum())
        assert all(frames[t] for t in keys)
        assert list(keys) == sorted(set(keys))


def test_relevance_is_read_between_the_times_that_were_looked_at():
    word = moments(times=[0.0, 0.75], relevance=[0.0, 0.75])
    assert relevance_of_frames(make_video(), word).tolist() == [0.0625, 0.1875, 0.3125, 0.4375, 0.5625, 0.6875]
    assert relevance_of_frames(make_video(), moments()).tolist() == [0.0] * 6
