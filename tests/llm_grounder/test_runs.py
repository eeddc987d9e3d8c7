"""Runs of tracks that fit a question: where they begin and end, pauses, doubles, who follows whom."""

import numpy as np
import torch

from llm_grounder.readouts.runs import LEAST, LIKELY, PAUSE, SURE, runs_of
from llm_grounder.types import Clip

FRAMES, RATE = 80, 2.0


def clip_of(boxes):
    where = torch.tensor(boxes)[:, None].expand(-1, FRAMES, 4)
    times = np.arange(FRAMES) / RATE
    return Clip("c", torch.zeros(FRAMES, 1, 1), times, FRAMES / RATE, torch.zeros(len(boxes), FRAMES, 2), where)


LEFT, RIGHT = [0.0, 0.0, 0.3, 0.3], [0.6, 0.6, 0.9, 0.9]


def fits(tracks, *stretches):
    """[N, T], where (track, first, stop, chance) say so."""
    out = np.zeros((tracks, FRAMES))
    for track, first, stop, chance in stretches:
        out[track, first:stop] = chance
    return out


def told(clip, chances):
    return [(run.track, run.start, run.end) for run in runs_of(clip, chances)]


def test_a_run_goes_on_while_it_is_likely_and_is_none_where_it_is_never_sure():
    clip = clip_of([LEFT])
    low, high = (LIKELY + SURE) / 2, SURE + 0.1
    assert told(clip, fits(1, (0, 10, 40, low), (0, 20, 21, high))) == [(0, 5.0, 20.0)]
    assert told(clip, fits(1, (0, 10, 40, low))) == []
    short = int(LEAST * RATE) - 1
    assert told(clip, fits(1, (0, 10, 10 + short, high))) == []
    assert told(clip, fits(1, (0, 76, 80, high))) == [(0, 38.0, 40.0)]
    (run,) = runs_of(clip, fits(1, (0, 0, 10, 0.8), (0, 10, 20, 0.6)))
    assert (run.first, run.stop, round(run.score, 6)) == (0, 20, 0.7)


def test_short_pauses_do_not_end_a_run():
    clip, pause = clip_of([LEFT]), int(PAUSE * RATE)
    assert told(clip, fits(1, (0, 10, 20, 0.9), (0, 20 + pause, 40, 0.9))) == [(0, 5.0, 20.0)]
    assert len(told(clip, fits(1, (0, 10, 20, 0.9), (0, 21 + pause, 40, 0.9)))) == 2


def test_an_object_that_two_tracks_follow_acts_once_from_the_first_to_the_last():
    both = fits(2, (0, 10, 40, 0.9), (1, 30, 50, 0.9))
    assert told(clip_of([LEFT, RIGHT]), both) == [(0, 5.0, 20.0), (1, 15.0, 25.0)]
    assert told(clip_of([LEFT, LEFT]), both) == [(0, 5.0, 25.0)]
    after = fits(2, (0, 10, 40, 0.9), (1, 38, 60, 0.9))  # hardly at the same time
    assert len(told(clip_of([LEFT, LEFT]), after)) == 2


def test_runs_come_by_time():
    clip = clip_of([LEFT, RIGHT])
    assert told(clip, fits(2, (0, 40, 60, 0.9), (1, 4, 20, 0.9))) == [(1, 2.0, 10.0), (0, 20.0, 30.0)]
    assert told(clip, fits(2)) == []
