"""Predicted importance of frames -> summaries within the budget -> F1 with people's, beside baselines.

Knows the reader of summaries and its metric. Does not know who scored frames. T frames, K picks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from benchmarks.annotation_files import entries
from benchmarks.evaluation.report import RESULT, TRUTH, Choices, Report, plain
from benchmarks.metrics.summaries import BUDGET, Among, SummaryTotals, choose_shots, summary_f1
from benchmarks.summaries.reader import SummarisedVideo, SummaryReader
from core.errors import AnnotationError, InputError
from core.reporting import Progress

EVEN: Final = "even importance"
PERSON: Final = "one person against the others"
_Scores = TypeAdapter(list[Annotated[float, Field(allow_inf_nan=False)]])


def evaluate_summaries(
    reader: SummaryReader, predictions: Path, choices: Choices, progress: Progress, *, among: Among
) -> Report:
    """F1 of the best shots within 15 % of the frames; a video without usable scores counts 0 and is named.

    Predictions are a JSON object of video -> importance, of each pick [K] or of each frame [T]. The row of the truth is
    the share of people who kept a frame, taken as its importance: with people who disagree it stays below 1.

    Raises:
        InputError: for unreadable predictions, one of no video, or a file without videos.
        AnnotationError: where the split's own file is malformed.
    """
    said = read_importance(predictions)
    totals = {name: SummaryTotals() for name in (RESULT, *((EVEN, PERSON, TRUTH) if choices.baselines else ()))}
    failures, left, done = list[str](), set(said), 0
    for done, video in enumerate(reader.videos(), start=1):
        left.discard(video.id)
        try:
            summary = choose_shots(_spread(video, said.get(video.id)), video.starts)
            totals[RESULT].update(summary_f1(summary, video.people, among))
        except InputError as error:
            failures.append(f"video {video.id!r}: {error}")
            totals[RESULT].update(None)
        for name, f1 in _baselines(video, among) if choices.baselines else ():
            totals[name].update(f1)
        progress(done, None)
    if left:
        raise InputError(f"{predictions}: expected videos of the split, got one of {min(left)!r}")
    rows = {name: plain(total.compute()) for name, total in totals.items()}
    return Report(rows, tuple(failures), rules={"budget": BUDGET, "among": among.value})


def read_importance(path: Path) -> dict[str, NDArray[np.float64]]:
    """Importance by video id; AnnotationError where it is no array of finite numbers, with file and key."""
    found = {}
    for key, value in entries(Path(path), dict).items():
        try:
            found[key] = np.array(_Scores.validate_python(value, strict=True), dtype=np.float64)
        except ValidationError as error:
            raise AnnotationError(f"{path}: {key}: expected an array of finite numbers, got others") from error
    return found


def _spread(video: SummarisedVideo, scores: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Importance of each frame [T]: that of the last pick before it."""
    if scores is None:
        raise InputError("expected importance of its frames, got none")
    if len(scores) == video.frames:
        return scores
    if len(scores) != len(video.picks):
        raise InputError(f"expected {len(video.picks)} scores, one a pick, or {video.frames}, got {len(scores)}")
    return np.repeat(scores, np.diff(np.append(video.picks, video.frames)))


def _baselines(video: SummarisedVideo, among: Among) -> Iterator[tuple[str, float]]:
    even = choose_shots(np.ones(video.frames), video.starts)
    yield EVEN, summary_f1(even, video.people, among)
    others = video.people[1:] if len(video.people) > 1 else video.people
    yield PERSON, summary_f1(video.people[0], others, among)
    yield TRUTH, summary_f1(choose_shots(video.people.mean(axis=0), video.starts), video.people, among)
