"""Predicted moments in any of the forms in which they come: our score files, QVHighlights', Charades-STA's, TimeLens's.

Which form a file has is seen from it: JSON lines with "kind" are a score file (`core/SCORES.md`), with "qid"
QVHighlights'; a JSON object whose keys hold ">>>" is TimeLens's, another Charades-STA's. Knows forms. Does not know
scores. B clips of a video.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.annotation_files import read_json, read_lines
from benchmarks.charades import submission as charades
from benchmarks.moment_protocol import MomentQuery
from benchmarks.moment_scores import NO_WINDOWS, MomentPrediction
from benchmarks.qvhighlights import submission as qvhighlights
from benchmarks.qvhighlights.reader import CLIP
from benchmarks.timelens import submission as timelens
from core.errors import InputError
from core.scores import read_scores
from core.types import MomentScores


def read_moments(path: Path, queries: Sequence[MomentQuery]) -> dict[str, MomentPrediction]:
    """Predictions by query id, the first window being the answer.

    Raises:
        InputError: when the file cannot be read in its form, or a score is of no query.
    """
    if path.suffix == ".jsonl":
        first = next((line for _, line in read_lines(path)), "")
        return from_scores(path, queries) if '"kind"' in first else qvhighlights.read_predictions(path)
    value = read_json(path)
    if isinstance(value, list):
        return qvhighlights.read_predictions(path)
    if isinstance(value, dict) and any(">>>" in key for key in value):
        return timelens.read_results(path, queries)
    return charades.read_predictions(path)


def from_scores(path: Path, queries: Iterable[MomentQuery]) -> dict[str, MomentPrediction]:
    """The moments of a score file by query id: a line's video and expression are a query's video and id.

    Lines of tracks are left out; spans are sorted by score where all have one, and the relevance of sampled times
    becomes the saliency of clips of two seconds.

    Raises:
        InputError: when the file is malformed, or a line is of no query.
    """
    known = {(query.video_id, query.id): query for query in queries}
    found = {}
    for score in read_scores(path):
        if not isinstance(score, MomentScores):
            continue
        key = (score.video_id, score.expression_id)
        if key not in known:
            raise InputError(f"{path}: expected videos and expressions of the split, got {key}")
        found[score.expression_id] = _prediction(score, known[key])
    return found


def texts_of(path: Path) -> Mapping[str, str]:
    """What the model wrote, by query id."""
    return {s.expression_id: s.text for s in read_scores(path) if isinstance(s, MomentScores)}


def clip_saliency(times: NDArray[np.float64], relevance: NDArray[np.float64], clips: int) -> NDArray[np.float64]:
    """Relevance [T'] at rising times [T'] in seconds -> saliency of clips [B] of two seconds.

    A clip takes the mean of the times within it; one without any the value of the time nearest to its middle.
    """
    place = (times // CLIP).astype(np.int64)
    middles = (np.arange(clips) + 0.5) * CLIP
    nearest = np.abs(times[None] - middles[:, None]).argmin(axis=1)
    return np.array(
        [relevance[place == b].mean() if (place == b).any() else relevance[nearest[b]] for b in range(clips)],
        dtype=np.float64,
    )


def _prediction(score: MomentScores, query: MomentQuery) -> MomentPrediction:
    spans, values, saliency = list(score.spans), None, None
    if spans and all(span.score is not None for span in spans):
        spans.sort(key=lambda span: -(span.score or 0.0))
        values = np.array([span.score for span in spans], dtype=np.float64)
    windows = np.array([[s.start, s.end] for s in spans], dtype=np.float64) if spans else NO_WINDOWS
    if query.duration is not None and len(score.times):
        saliency = clip_saliency(score.times, score.relevance, int(query.duration / CLIP))
    return MomentPrediction(query.id, windows, values, saliency)
