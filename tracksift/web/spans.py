"""Which times are told of what a grounder says: its best windows, runs of relevant frames, and highlights.

Knows times and scores. Does not know models or pages. Axis letters: T frames or stretches of time.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.moment_files import clip_saliency
from core.types import TimeSpan
from tracksift.grounding import CLIP

Numbers = NDArray[np.float64]
LISTED: Final = 5  # spans that are told
LEAST: Final = 0.3  # score of a span that is told; the best always is
SAME: Final = 0.5  # temporal IoU from which two spans are one
SHARE: Final = 0.15  # of a video that its highlights take


def best_spans(spans: tuple[TimeSpan, ...]) -> tuple[TimeSpan, ...]:
    """The spans that are told, by start: the best, and others that score enough and are no better one once more."""
    kept: list[TimeSpan] = []
    for span in sorted(spans, key=_score, reverse=True)[: 4 * LISTED]:
        if (not kept or _score(span) >= LEAST) and all(_iou(span, other) < SAME for other in kept):
            kept.append(span)
    return tuple(sorted(kept[:LISTED], key=lambda span: (span.start, span.end)))


def relevant_spans(times: Numbers, end: float, relevance: Numbers) -> tuple[TimeSpan, ...]:
    """The runs of frames more than half as relevant as the most relevant one, each scored as its own best frame."""
    return _runs(times, end, relevance, relevance > relevance.max() / 2)


def highlights(times: Numbers, end: float, relevance: Numbers) -> tuple[TimeSpan, ...]:
    """The most relevant clips of two seconds, a share of the video or one at least, those that touch as one span."""
    starts = np.arange(0, max(end - 1e-6, CLIP / 2), CLIP)
    worth = clip_saliency(times, relevance, len(starts))
    best = np.argsort(-worth, kind="stable")[: max(1, round(SHARE * len(starts)))]
    chosen = np.zeros(len(starts), dtype=bool)
    chosen[best] = True
    return _runs(starts, end, worth, chosen)


def _runs(starts: Numbers, end: float, worth: Numbers, chosen: NDArray[np.bool_]) -> tuple[TimeSpan, ...]:
    """Runs of chosen stretches [T] as spans, scored as the best of each."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
    bounds = np.append(starts, end)
    return tuple(
        TimeSpan(float(bounds[first]), float(bounds[last]), float(worth[first:last].max()))
        for first, last in edges.reshape(-1, 2)
    )


def _score(span: TimeSpan) -> float:
    return 1.0 if span.score is None else span.score


def _iou(one: TimeSpan, other: TimeSpan) -> float:
    both = min(one.end, other.end) - max(one.start, other.start)
    return max(0.0, both) / (max(one.end, other.end) - min(one.start, other.start))
