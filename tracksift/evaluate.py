"""A split's caches and annotations -> J&F per expression, with the oracle above and text-blind choices below it.

Knows the pipeline, the readers and the metrics. Does not know command lines. Ground-truth tracks never compete.
Baselines guard against a world that is too easy: a random track, choices that never read the text, and the selector
asked with the text of another video's expression.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.mevis_score import (
    ExpressionScore,
    MevisFigures,
    MevisScore,
    failed_expression,
)
from benchmarks.metrics.no_target import no_target_f1
from cache import open_cache
from core.candidates import competing
from core.errors import InputError, ScorerMismatchError, TrackSiftError
from core.reporting import Progress
from core.types import Answer, Expression, Labels, TrackSet
from selector.baselines import BLIND_CHOICES, random_track
from selector.labels import overlap_score, positives
from tracksift.ask import Pipeline
from tracksift.explain import judge
from tracksift.jobs import Job
from tracksift.losses import Loss, loss_figures, lost_by
from tracksift.reliability import Reliability
from tracksift.video_scores import VideoScorer

SELECTOR, ORACLE, RANDOM, SHUFFLED = "selector", "oracle", "random track", "shuffled expressions"


@dataclass
class Evaluation:
    """Scores by policy, and the videos that could not be scored, with their cause.

    answered, losses, overlaps, reliability: of the selector alone, by expression; the last two of videos with labels.
    overlaps: `selector.labels.overlap_score`, which training chooses by.
    """

    scores: dict[str, MevisScore] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    answered: list[ExpressionScore] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)
    reliability: Reliability = field(default_factory=Reliability)

    def add(self, policy: str, score: ExpressionScore) -> None:
        """Add one expression's score of one policy."""
        self.scores.setdefault(policy, MevisScore()).update(score)
        if policy == SELECTOR:
            self.answered.append(score)

    def merge(self, other: Evaluation) -> None:
        """Add what `other` has found about other videos."""
        for policy, scores in other.scores.items():
            self.scores.setdefault(policy, MevisScore()).merge(scores)
        self.failures |= other.failures
        self.answered += other.answered
        self.losses += other.losses
        self.overlaps += other.overlaps
        self.reliability.merge(other.reliability)

    def selection(self) -> dict[str, float | None]:
        """Of the selector's answers: `no_target_f1`, `ece` of tracks and of presence, what the loss is owed to, and
        `overlap_score`.
        """
        shares = {name: share for name, share in loss_figures(self.losses).items() if name != "jf"}
        overlap = {"overlap_score": math.fsum(self.overlaps) / len(self.overlaps)} if self.overlaps else {}
        return {"no_target_f1": no_target_f1(self.answered), **self.reliability.figures(), **shares, **overlap}

    def figures(self, policy: str) -> MevisFigures:
        """The means of one policy."""
        return self.scores[policy].compute()

    def best_blind(self) -> tuple[str, MevisFigures]:
        """The text-blind choice that does best on this split, whichever it is: an upper bound for its sort."""
        named = {name: self.figures(name) for name in BLIND_CHOICES if name in self.scores}
        return max(named.items(), key=lambda item: item[1].jf)


def evaluate(
    jobs: Sequence[Job],
    pipeline: Pipeline,
    *,
    baselines: bool = True,
    progress: Progress | None = None,
) -> Evaluation:
    """Score every expression of every job; a video without a usable cache counts 0 for each of its expressions.

    progress: called with (done, total) videos.

    Raises:
        CheckpointError: when a model cannot be used.
        InputError: when the split hides its targets or has no expressions, or no video has a usable cache.
        ScorerMismatchError: when the selector does not fit the caches, which is no fault of a single video.
    """
    (result,) = evaluate_each(jobs, [pipeline], baselines=baselines, progress=progress)
    check_scored(result, len(jobs))
    return result


def evaluate_each(
    jobs: Sequence[Job], pipelines: Sequence[Pipeline], *, baselines: bool = True, progress: Progress | None = None
) -> list[Evaluation]:
    """`evaluate` of several pipelines, which share what is read of a video and what is known of choices of its tracks.

    Raises as `evaluate`, but not where no video could be scored, which may be so for a part of a split
    (`check_scored`).
    """
    results = [Evaluation() for _ in pipelines]
    for job in jobs:
        if job.reader is None or not job.reader.has_masks:
            raise InputError(f"video {job.video_id!r}: expected ground-truth masks, got a split that hides them")
    for pipeline in pipelines:
        # Models are loaded here, so that one that cannot be used is not taken for the failure of every video.
        _ = (pipeline.selector, pipeline.text_encoder)
    policies = (SELECTOR, ORACLE, *((RANDOM, SHUFFLED, *BLIND_CHOICES) if baselines else ()))
    borrowed = shuffled_texts(jobs) if baselines else {}
    for number, job in enumerate(jobs, start=1):
        expressions = _expressions(job)
        try:
            found = _score_video(job, expressions, pipelines, borrowed.get(job.video_id))
        except ScorerMismatchError:
            raise
        except TrackSiftError as error:
            for result in results:
                result.failures[job.video_id] = str(error)
            found = [_failed(expressions, policies)] * len(pipelines)
        for result, part in zip(results, found, strict=True):
            part.add_to(result)
        if progress is not None:
            progress(number, len(jobs))
    return results


@dataclass(frozen=True)
class _Found:
    """What one video adds to an evaluation; cases: what `Reliability.add` takes."""

    scores: list[tuple[str, ExpressionScore]]
    losses: list[Loss]
    cases: list[tuple[NDArray[np.float64], NDArray[np.bool_], float, bool]]
    overlaps: list[float]

    def add_to(self, result: Evaluation) -> None:
        """Count it."""
        for policy, score in self.scores:
            result.add(policy, score)
        result.losses += self.losses
        result.overlaps += self.overlaps
        for case in self.cases:
            result.reliability.add(*case)


def _failed(expressions: Sequence[Expression], policies: Sequence[str]) -> _Found:
    """A score of 0 of every expression under every policy."""
    scores = [
        (policy, failed_expression(no_target=not e.target_ids, kind=e.kind)) for e in expressions for policy in policies
    ]
    return _Found(scores, [lost_by(0.0, 0.0, 0.0, no_target=False, empty=False)] * len(expressions), [], [])


def check_scored(result: Evaluation, videos: int) -> None:
    """Refuse what is a mistake of the call and no score of 0."""
    if not result.scores:
        raise InputError("evaluate: expected expressions, got a split without any")
    if len(result.failures) == videos:
        cause = next(iter(result.failures.values()))
        raise InputError(f"evaluate: expected a usable cache, got none for any of {videos} videos; first: {cause}")


def shuffled_texts(jobs: Sequence[Job]) -> Mapping[str, Sequence[Expression]]:
    """For each video its expressions with the text of the same-numbered expression of the next video.

    A rotation: deterministic, every text is used about once, and none comes from its own video (given two videos).
    """
    lists = {job.video_id: _expressions(job) for job in jobs}
    names = list(lists)
    borrowed = {}
    for name, following in zip(names, names[1:] + names[:1], strict=True):
        donors = lists[following] or lists[name]
        borrowed[name] = [replace(e, text=donors[i % len(donors)].text) for i, e in enumerate(lists[name])]
    return borrowed


def _score_video(
    job: Job,
    expressions: Sequence[Expression],
    pipelines: Sequence[Pipeline],
    borrowed: Sequence[Expression] | None,
) -> list[_Found]:
    """Every expression of a video under every policy, for each pipeline."""
    file = open_cache(job.cache).load()
    track_set, labels = file.track_set(), file.labels()
    truth = job.ground_truth()
    if truth is None:
        raise InputError(f"video {job.video_id!r}: expected ground-truth masks, got a split that hides them")
    scorer, results = VideoScorer(track_set), []
    for pipeline in pipelines:
        answers = pipeline.answer(job.cache, expressions)
        misled = pipeline.answer(job.cache, borrowed) if borrowed is not None else None
        found = _Found([], [], [], [])
        for i, expression in enumerate(expressions):
            judged = judge(scorer, answers[i], truth)
            if judged is None:
                raise InputError(f"expression {expression.id!r}: expected annotated targets, got none")
            picks: dict[str, tuple[int, ...]] = {ORACLE: judged.oracle}
            if misled is not None:
                picks |= {SHUFFLED: tuple(t.index for t in misled[i].tracks)} | _blind(track_set, expression)
            found.scores.append((SELECTOR, judged.score))
            found.scores.extend((p, scorer.score(chosen, judged.target, expression)) for p, chosen in picks.items())
            found.losses.append(judged.loss)
            if labels is not None:
                found.cases.append(_case(answers[i], labels))
                chosen = np.isin(np.arange(len(labels.iou)), [track.index for track in answers[i].tracks])
                found.overlaps.append(overlap_score(labels, expression, chosen))
        results.append(found)
    return results


def _case(answer: Answer, labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.bool_], float, bool]:
    """The probabilities of an answer beside what its tracks' labels say."""
    rows = [row for row in answer.why["ranking"] if row["competes"]]
    able = np.array([row["index"] for row in rows], dtype=np.intp)
    meant = positives(labels, answer.expression)[able]
    there = bool(answer.expression.target_ids)
    return np.array([row["score"] for row in rows], dtype=np.float64), meant, 1 - answer.no_target_probability, there


def _blind(track_set: TrackSet, expression: Expression) -> dict[str, tuple[int, ...]]:
    """Choices of tracks that do not read the expression's text."""
    able = [int(i) for i in competing(track_set, expression.id)]
    seed = zlib.crc32(f"{track_set.video.id}/{expression.id}".encode())
    picks = {name: choice(track_set, able) for name, choice in BLIND_CHOICES.items()}
    return picks | {RANDOM: random_track(able, np.random.default_rng(seed))}


def _expressions(job: Job) -> tuple[Expression, ...]:
    if job.annotated is None:
        raise InputError(f"video {job.video_id!r}: expected a benchmark's video with expressions, got a single video")
    return job.annotated.expressions
