"""Spans as frames: which spans of a grounder count, which frames lie in them, and key frames shared out among them.

Knows times and frame indices. Does not know tracks or scores of tracks. The sharing out is DTOS's ("moment first"):
spans are united, key frames go to them in proportion to their length, and within each they are evenly spread.
T frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.types import MomentScores, TimeSpan, VideoMeta
from fusion.settings import MomentSettings

_SECURE = 1.0  # a span without a score is one that the grounder stands by


def kept_spans(moments: MomentScores, settings: MomentSettings) -> tuple[TimeSpan, ...]:
    """The best spans that score enough, by start time."""
    able = [span for span in moments.spans if _score(span) >= settings.least]
    best = sorted(able, key=lambda span: (-_score(span), span.start))[: settings.spans]
    return tuple(sorted(best, key=lambda span: (span.start, span.end)))


def certainty(moments: MomentScores) -> float:
    """How sure the grounder is that the words happen at all, 0..1: its best span or its most relevant frame."""
    return max([0.0, *(_score(span) for span in moments.spans), *(float(value) for value in moments.relevance)])


def inside(video: VideoMeta, spans: Sequence[TimeSpan], pad: float = 0.0) -> NDArray[np.bool_]:
    """Frames [T] of which at least half of the time that they are shown lies in one of the spans, grown by `pad`."""
    edges = np.append(video.timestamps, video.end)
    shown = np.zeros(video.frames)  # the most time that any one span covers
    for span in spans:
        start, end = np.maximum(edges[:-1], span.start - pad), np.minimum(edges[1:], span.end + pad)
        shown = np.maximum(shown, end - start)
    return np.asarray(shown >= np.diff(edges) / 2 - 1e-9)


def allot(frames: NDArray[np.bool_], count: int) -> tuple[int, ...]:
    """`count` frames of the runs of True in [T], in proportion to the runs' lengths, rising, none twice.

    All of them where there are no more than `count`. Shares are rounded; where they do not sum to `count`, the longest
    share gives and the shortest takes, one at a time. A run shows its ends, and its middle where it has one frame.
    """
    steps = np.flatnonzero(np.diff(np.concatenate([[False], frames, [False]]).astype(np.int8)))
    runs = [(int(start), int(stop)) for start, stop in steps.reshape(-1, 2)]
    lengths = np.array([stop - start for start, stop in runs], dtype=np.int64)
    if lengths.sum() <= count:
        return tuple(int(t) for t in np.flatnonzero(frames))
    shares = np.minimum(np.floor(count * lengths / lengths.sum() + 0.5).astype(np.int64), lengths)
    while shares.sum() > count:
        shares[np.argmax(shares)] -= 1
    while shares.sum() < count:
        shares[np.argmin(np.where(shares < lengths, shares, count + 1))] += 1
    return tuple(t for run, share in zip(runs, shares, strict=True) for t in _spread(*run, int(share)))


def _spread(start: int, stop: int, count: int) -> list[int]:
    if count == 1:
        return [(start + stop - 1) // 2]
    return [int(t) for t in np.floor(np.linspace(start, stop - 1, count) + 0.5)] if count else []


def relevance_of_frames(video: VideoMeta, moments: MomentScores) -> NDArray[np.float64]:
    """Relevance at each frame's middle [T], between the times looked at; zeros where none was."""
    if not len(moments.times):
        return np.zeros(video.frames)
    middles = (video.timestamps + np.append(video.timestamps[1:], video.end)) / 2
    return np.asarray(np.interp(middles, moments.times, moments.relevance), dtype=np.float64)


def _score(span: TimeSpan) -> float:
    return _SECURE if span.score is None else span.score
