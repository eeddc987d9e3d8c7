"""Our own answers (`fusion/ANSWER.md`) as predictions: masks, boxes and moments of a split's expressions.

Knows answer files and what evaluations and submissions want. Does not know metrics or formats. T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.evaluation.mask_files import MaskSource, open_mask_files
from benchmarks.metrics.bits import Masks
from benchmarks.metrics.boxes import Boxes
from benchmarks.moment_files import read_moments
from benchmarks.moment_protocol import MomentQuery
from benchmarks.moment_scores import NO_WINDOWS, MomentPrediction
from benchmarks.protocol import BenchmarkVideo
from core import rle
from core.errors import InputError
from core.ids import safe_name
from core.types import Answer, Expression
from fusion.writers import read_answers

NAME = "answers.json"


@dataclass
class AnswerFiles:
    """Answers by video: one file of all, or a folder of <video>/answers.json as `predict` writes, a video at a time."""

    place: Path
    _video: str = ""
    _held: dict[tuple[str, str], Answer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read a single file at once."""
        if self.place.is_file():
            self._hold(self.place)

    def find(self, video_id: str, expression_id: str) -> Answer | None:
        """The answer to an expression, None where there is none; InputError where its file is malformed."""
        if not self.place.is_file() and video_id != self._video:
            self._held.clear()
            self._video, path = video_id, self.place / safe_name(video_id) / NAME
            if path.is_file():
                self._hold(path)
        return self._held.get((video_id, expression_id))

    def masks(self, video: BenchmarkVideo, expression: Expression, size: rle.Size) -> Masks:
        """The answer's masks [T, H, W]; InputError where there is none, or of another size or number of frames."""
        answer, frames = self.find(video.id, expression.id), len(video.frame_names or ())
        if answer is None:
            raise InputError(f"{self.place}: expected an answer, found none")
        if answer.video.size != size or len(answer.masks) != frames:
            got = f"{len(answer.masks)} of {answer.video.size}"
            raise InputError(f"{self.place}: expected {frames} masks of {size} pixels, got {got}")
        return rle.decode(answer.masks, size)

    def _hold(self, path: Path) -> None:
        for answer in read_answers(path):
            key = (answer.video.id, answer.expression.id)
            if key in self._held:
                raise InputError(f"{path}: expected one answer a video and expression, got {key} twice")
            self._held[key] = answer


def holds_answers(path: Path) -> bool:
    """Whether a path is a file of answers, or a folder of them."""
    if path.is_dir():
        return (path / NAME).is_file() or next(path.glob(f"*/{NAME}"), None) is not None
    return path.suffix == ".json"


def open_answers(path: Path) -> AnswerFiles:
    """Open a file or folder of answers; InputError when there is neither."""
    if not path.exists() or not holds_answers(path):
        raise InputError(f"{path}: expected a file of answers or a folder of <video>/{NAME}, found none")
    return AnswerFiles(path / NAME if (path / NAME).is_file() else path)


def open_masks(path: Path) -> MaskSource:
    """Predicted masks in any of their forms: answers, a zip, or a folder of PNG; InputError for something else."""
    return open_answers(path) if holds_answers(path) else open_mask_files(path)


def best_track(answer: Answer) -> Boxes:
    """The boxes x1 y1 x2 y2 of the answer's best track, [T, 4]; NaN where absent, throughout for no target."""
    if not answer.tracks:
        return np.full((answer.video.frames, 4), np.nan)
    return answer.tracks[0].boxes.astype(np.float64)


def moments_of(path: Path, queries: Sequence[MomentQuery]) -> dict[str, MomentPrediction]:
    """Moments by query id, from answers, or from a file that `read_moments` knows.

    Raises:
        InputError: when the file is malformed or there is none.
    """
    if not holds_answers(path) or (path.is_file() and not _is_answer_file(path)):
        return read_moments(path, queries)
    answers = open_answers(path)
    found = ((query, answers.find(query.video_id, query.id)) for query in queries)
    return {query.id: _moments(query, answer) for query, answer in found if answer is not None}


def _is_answer_file(path: Path) -> bool:
    with path.open("rb") as handle:
        return b"tracksift-answers/" in handle.read(200)


def _moments(query: MomentQuery, answer: Answer) -> MomentPrediction:
    spans = list(answer.moments)
    if not spans:
        return MomentPrediction(query.id, NO_WINDOWS)
    scored = all(span.score is not None for span in spans)
    if scored:
        spans.sort(key=lambda span: -(span.score or 0.0))
    scores = np.array([span.score for span in spans], dtype=np.float64) if scored else None
    return MomentPrediction(query.id, np.array([[s.start, s.end] for s in spans]), scores)
