"""Predicted moments and highlights of a split against its own: the figures of any dataset of moments.

Knows queries and predictions as values. Does not know files. K windows of a prediction, B clips of a video.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.highlights import HighlightFigures, HighlightTotals, score_highlights
from benchmarks.metrics.moments import MomentFigures, MomentTotals, score_moments
from benchmarks.moment_baselines import constant_saliency, whole_video
from benchmarks.moment_protocol import MomentQuery
from core.errors import InputError

NO_WINDOWS: Final[NDArray[np.float64]] = np.zeros((0, 2))


@dataclass(frozen=True)
class MomentPrediction:
    """An answer to one query: windows [K, 2] in seconds, the first being the answer, scores [K], saliency of clips.

    None is a part that the model was not asked for; K = 0 and no saliency are an answer that failed. Windows
    may end before they start or lie outside the video: a model said so, and the score will tell.
    """

    query_id: str
    windows: NDArray[np.float64] | None = None
    scores: NDArray[np.float64] | None = None
    saliency: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class SplitFigures:
    """moments: by length range; highlights: by level; {} where the predictions or the split have no such part."""

    moments: Mapping[str, MomentFigures]
    highlights: Mapping[str, HighlightFigures]


def score_split(
    queries: Iterable[MomentQuery], predictions: Mapping[str, MomentPrediction], *, only_answered: bool = False
) -> SplitFigures:
    """Score all queries; those without a prediction count as 0 and as failures.

    only_answered: leave them out instead, as evaluators with `match_number=False` do: such figures cannot be compared.

    Raises:
        InputError: for a prediction of no query, a query whose truth is hidden, or no query at all.
    """
    moments, highlights, left = MomentTotals(), HighlightTotals(), set(predictions)
    with_windows = not predictions or any(p.windows is not None for p in predictions.values())
    with_saliency = not predictions or any(p.saliency is not None for p in predictions.values())
    counted, with_clips = 0, False
    for query in queries:
        found = predictions.get(query.id)
        left.discard(query.id)
        if found is None and only_answered:
            continue
        if query.windows is None:
            raise InputError(f"query {query.id!r}: expected true windows, got none: its split hides them")
        counted += 1
        if with_windows:
            windows = NO_WINDOWS if found is None or found.windows is None else found.windows
            moments.update(score_moments(windows, query.windows, found.scores if found else None))
        if with_saliency and query.saliency is not None:
            said = np.zeros(0) if found is None or found.saliency is None else found.saliency
            highlights.update(score_highlights(said, query.saliency))
            with_clips = True
    if left:
        raise InputError(f"predictions: expected queries of the split, got one of {min(left)!r}")
    if not counted:
        raise InputError("predictions: expected at least one query, got none")
    return SplitFigures(moments.compute() if with_windows else {}, highlights.compute() if with_clips else {})


def blind(query: MomentQuery) -> MomentPrediction:
    """The baseline that looks at nothing: the whole video as the moment, one saliency for all clips."""
    saliency = None if query.saliency is None else constant_saliency(query)
    return MomentPrediction(query.id, whole_video(query), np.ones(1), saliency)
