"""Fusion's modes measured against each other: weights fitted on one split, figures of others, and the mode to choose.

Knows score files, caches, fusion and metrics. Does not know where splits and scores come from. A choice is made on
splits kept for that; `choose` never sees others. T frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.metrics.mevis_score import ExpressionScore, MevisScore, failed_expression, score_expression
from benchmarks.metrics.spatio_temporal import TubeScore, TubeTotal, score_tube
from benchmarks.protocol import target_masks
from core import rle
from core.errors import InputError, ScorerMismatchError, TrackSiftError
from core.reporting import Progress
from core.types import Answer, Expression
from fusion.score_files import Words, read_words
from fusion.settings import MODES, Weights
from tracksift.choice_scores import tube
from tracksift.fusing import Caches, Known, fit_cases, fuse_video, gather_cases
from tracksift.jobs import Job

TRACKS: Final = "tracks"
COLUMNS: Final = (
    "J&F", "J", "F", "vIoU", "tIoU", "vIoU, moments", "tIoU, moments", "no-target acc.", "target acc.", "n",
)  # fmt: skip


@dataclass(frozen=True)
class Way:
    """One row of the table: a mode, and the score files of a grounder that it reads, none for `tracks`.

    moments, reranks: paths in which {split} stands for the split's name.
    """

    mode: str
    source: str = ""
    moments: str | None = None
    reranks: str | None = None

    @property
    def name(self) -> str:
        """For tables and files."""
        return f"{self.mode} by {self.source}" if self.source else self.mode

    def words(self, tracks: str, split: str) -> Words:
        """The split's scores; InputError where a file cannot be read."""
        places = (None if place is None else Path(place.format(split=split)) for place in (self.moments, self.reranks))
        return read_words(Path(tracks.format(split=split)), *places)


@dataclass(frozen=True)
class Split:
    """A split with ground truth and its caches."""

    name: str
    jobs: Sequence[Job]
    caches: Caches


@dataclass(frozen=True)
class Measured:
    """Means over expressions in 0..1; None where no expression was of the sort.

    viou, tiou: of boxes around the answer's masks inside its moments, and around the targets inside the spans that the
    words name (in all frames where they name none).   moment_viou, moment_tiou: of expressions that name spans alone.
    causes: why videos could not be answered.
    """

    jf: float
    j: float
    f: float
    viou: float
    tiou: float
    moment_viou: float | None
    moment_tiou: float | None
    no_target_accuracy: float | None
    target_accuracy: float | None
    n: int
    failures: int
    causes: tuple[str, ...] = ()

    def row(self) -> tuple[float | int | None, ...]:
        """The values of COLUMNS."""
        return (
            self.jf, self.j, self.f, self.viou, self.tiou, self.moment_viou, self.moment_tiou, self.no_target_accuracy,
            self.target_accuracy, self.n,
        )  # fmt: skip


@dataclass
class _Totals:
    masks: MevisScore = field(default_factory=MevisScore)
    tubes: TubeTotal = field(default_factory=TubeTotal)
    moments: TubeTotal = field(default_factory=TubeTotal)
    named: int = 0
    causes: list[str] = field(default_factory=list)

    def add(self, score: ExpressionScore, tube: TubeScore, expression: Expression) -> None:
        self.masks.update(score)
        self.tubes.update(tube)
        if expression.spans is not None:
            self.named += 1
            self.moments.update(tube)

    def compute(self) -> Measured:
        masks, tubes = self.masks.compute(), self.tubes.compute()
        named = self.moments.compute() if self.named else None
        spans = (None, None) if named is None else (named.viou, named.tiou)
        return Measured(
            masks.jf, masks.j, masks.f, tubes.viou, tubes.tiou, spans[0], spans[1], masks.no_target_accuracy,
            masks.target_accuracy, masks.n, masks.failures, tuple(self.causes),
        )  # fmt: skip


def ways_of(sources: Mapping[str, tuple[str | None, str | None]]) -> tuple[Way, ...]:
    """Every mode with every source that it can read.   sources: paths of moments and of reranks, by name.

    A source without moments serves `reranked` alone.
    """
    ways = [Way(TRACKS)]
    for name, (moments, reranks) in sources.items():
        able = [mode for mode in MODES if mode != TRACKS and (moments is not None or mode == "reranked")]
        ways += [Way(mode, name, moments, reranks if mode == "reranked" else None) for mode in able]
    return tuple(ways)


def fit_ways(
    ways: Iterable[Way], tracks: str, split: Split, progress: Progress | None = None
) -> dict[str, tuple[Way, Weights]]:
    """Weights of every way, fitted on a calibration split, by name.   tracks: path of track scores with {split}.

    Raises:
        InputError: where a file cannot be read, or the split hides its targets.
        ScorerMismatchError: for scores of other caches.
    """
    fitted, known = {}, Known()
    for way in ways:
        words = way.words(tracks, split.name)
        cases = gather_cases(words, split.jobs, split.caches, known)
        fitted[way.name] = way, fit_cases(cases, words, Weights(way.mode), progress)
    return fitted


def measure(words: Words, split: Split, weights: Weights, progress: Progress | None = None) -> Measured:
    """Figures of one mode on a split; an expression that could not be answered scores 0 and counts as a failure.

    progress: called with (done, total) videos.

    Raises:
        InputError: when the split hides its targets, or none of its expressions has scores.
        ScorerMismatchError: for scores of other caches, or of other models than the weights were fitted for.
    """
    totals = _Totals()
    if not any(words.by_video.get(job.video_id) for job in split.jobs):
        raise InputError(f"split {split.name!r}: expected scores of its videos, got none")
    for done, job in enumerate(split.jobs, start=1):
        _measure_video(totals, job, words, split.caches, weights)
        if progress is not None:
            progress(done, len(split.jobs))
    return totals.compute()


def choose(figures: Mapping[str, Mapping[str, Measured]]) -> str:
    """The way with the best mean J&F over the splits of choice, of equals the one with the best vIoU, then the first.

    figures: by way and split.
    """
    if not figures:
        raise InputError("fusion: expected a mode to choose from, got none")
    means = {
        name: (
            round(math.fsum(f.jf for f in by.values()) / len(by), 9),
            math.fsum(f.viou for f in by.values()) / len(by),
        )
        for name, by in figures.items()
    }
    return max(means, key=lambda name: means[name])


def _measure_video(totals: _Totals, job: Job, words: Words, caches: Caches, weights: Weights) -> None:
    truth = job.ground_truth()
    if truth is None or job.annotated is None:
        raise InputError(f"video {job.video_id!r}: expected ground-truth masks, got a split that hides them")
    said = words.by_video.get(job.video_id, ())
    asked = {(job.video_id, expression.id): expression for expression in job.annotated.expressions}
    answers: dict[str, Answer] = {}
    if said:
        try:
            answers = {a.expression.id: a for a in fuse_video(said, caches.of(said), weights, asked)}
        except ScorerMismatchError:  # a mistake of the call, and no score of 0
            raise
        except TrackSiftError as error:  # its expressions are counted below
            totals.causes.append(f"video {job.video_id!r}: {error}")
    for expression in job.annotated.expressions:
        answer = answers.get(expression.id)
        if answer is None:
            failed = failed_expression(no_target=not expression.target_ids, kind=expression.kind)
            totals.add(failed, TubeScore(0.0, 0.0, failed=True), expression)
            continue
        target = target_masks(truth, expression, answer.video.frames, answer.video.size)
        totals.add(*_score(answer, target, expression), expression)


def _score(answer: Answer, target: Sequence[bytes], expression: Expression) -> tuple[ExpressionScore, TubeScore]:
    size = answer.video.size
    predicted, true = rle.decode(answer.masks, size), rle.decode(target, size)
    score = score_expression(predicted, true, no_target=not expression.target_ids, kind=expression.kind)
    said = tube(answer.masks, answer.moments or None, answer.video)
    return score, score_tube(said, tube(target, expression.spans, answer.video))
