"""Heads' replies become each frame's worth and windows by score, in the manner's way."""

import numpy as np
import pytest

from core.errors import InputError
from core.types import TimeSpan
from llm_grounder.types import Reply, Task
from tests.llm_grounder.tiny_grounder import make_clip
from tracksift.grounding import Manner
from tracksift.reading import APART, BORDER, saliency, weighed, worth_keeping


def test_saliency_is_relevance_smoothed_over_seconds():
    clip = make_clip(frames=40, rate=2.0)
    relevance = np.zeros(40)
    relevance[10:20] = 1.0
    plain = saliency(clip, Reply(relevance=relevance), Manner())
    assert plain is relevance
    smooth = saliency(clip, Reply(relevance=relevance), Manner(smooth=1.5))
    assert smooth.argmax() in (14, 15)  # the middle of what is relevant
    assert (np.diff(smooth[10:15]) > 0).all()
    assert smooth.sum() == pytest.approx(relevance.sum(), abs=1e-6)
    slower = make_clip(frames=40, rate=1.0)
    np.testing.assert_allclose(saliency(slower, Reply(relevance=relevance), Manner(smooth=3.0)), smooth)
    with pytest.raises(InputError, match="expected one with frame heads"):
        saliency(clip, Reply(), Manner())


def test_windows_count_for_more_where_their_frames_are_relevant():
    clip = make_clip(frames=40, rate=2.0)
    relevance = np.full(40, 0.04)
    relevance[20:30] = 0.64  # seconds 10 to 15
    spans = (TimeSpan(0.0, 5.0, 0.8), TimeSpan(10.0, 15.0, 0.5), TimeSpan(3.01, 3.02, 0.1))
    reply = Reply(spans=spans, relevance=relevance)
    assert weighed(clip, reply, Manner()) is spans
    assert weighed(clip, Reply(spans=spans), Manner(weigh=0.5)) is spans  # no frame heads
    best, second, last = weighed(clip, reply, Manner(weigh=0.5))
    assert (best.start, best.end, best.score) == (10.0, 15.0, pytest.approx(0.5 * 0.8))
    assert (second.start, second.end, second.score) == (0.0, 5.0, pytest.approx(0.8 * 0.2))
    assert (last.start, last.score) == (3.01, 0.0)  # between two frames nothing is seen
    fits = np.zeros((2, 40))
    fits[0, :10], fits[1, 20:25] = 0.49, 0.8  # what a track does that fits, seconds 0 to 5 and 10 to 12.5
    first, other, _ = weighed(clip, Reply(spans=spans, relevance=relevance, fits=fits), Manner(weigh=0.5))
    assert (first.start, first.score) == (10.0, pytest.approx(0.5 * 0.8 * 0.4**0.5))
    assert (other.start, other.score) == (0.0, pytest.approx(0.8 * 0.2 * 0.7))
    assert weighed(clip, Reply(spans=spans, relevance=relevance, fits=fits[:0]), Manner(weigh=0.5))[0] == best


def test_a_summary_keeps_the_middles_of_what_tracks_do():
    clip = make_clip(frames=40, tracks=2, rate=2.0)
    fits = np.zeros((2, 40))
    fits[0, 4:14] = 0.9  # seconds 2 to 7
    fits[1, 10:20] = 0.9  # and 5 to 10
    asked = []

    def ask(samples):
        asked.extend(sample.request.task for sample in samples)
        return [
            Reply(relevance=np.full(40, 0.5), fits=fits if s.request.task is Task.CAPTIONS else None) for s in samples
        ]

    worth = worth_keeping(clip, Manner(events=True), ask)
    assert asked == [Task.SUMMARY, Task.CAPTIONS]
    assert worth[:4].tolist() == worth[20:].tolist()[:4] == [0.5 * APART] * 4
    assert worth[[8, 9]] == pytest.approx(0.5 * (BORDER + (1 - BORDER) * 0.9))  # a quarter of a second off the middle
    assert worth[4] == worth[19] == pytest.approx(0.5 * (BORDER + (1 - BORDER) * 0.1))
    assert worth[10] > worth[4]  # the first goes on when the second begins

    asked.clear()
    plain = worth_keeping(clip, Manner(), ask)
    assert asked == [Task.SUMMARY]
    assert plain.tolist() == [0.5] * 40


def test_without_tracks_that_tell_of_events_relevance_decides_alone():
    relevance = np.linspace(0, 1, 40)
    spans = (TimeSpan(0.0, 5.0, 0.9),)
    replies = [Reply(relevance=relevance), Reply(relevance=relevance, spans=spans)]
    assert worth_keeping(make_clip(frames=40), Manner(events=True), lambda samples: replies) is relevance
