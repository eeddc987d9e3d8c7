"""A split's caches and annotations -> J&F per expression, with the oracle above and text-blind choices below it.

Knows the pipeline, the readers and the metrics. Does not know command lines. Ground-truth tracks never compete.
Baselines guard against a world that is too easy: a random track, choices that never read the text, and the selector
asked with the text of another video's expression.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.metrics.mevis_score import (
    ExpressionScore,
    MevisFigures,
    MevisScore,
    failed_expression,
)
from benchmarks.protocol import target_masks
from cache import read_cache
from core.candidates import competing
from core.errors import InputError, ScorerMismatchError, TrackSiftError
from core.reporting import Progress
from core.types import Expression, TrackSet
from selector.baselines import BLIND_CHOICES, random_track
from tracksift.ask import Pipeline
from tracksift.jobs import Job
from tracksift.video_scores import VideoScorer

SELECTOR, ORACLE, RANDOM, SHUFFLED = "selector", "oracle", "random track", "shuffled expressions"


@dataclass
class Evaluation:
    """Scores by policy, and the videos that could not be scored, with their cause."""

    scores: dict[str, MevisScore] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, policy: str, score: ExpressionScore) -> None:
        """Add one expression's score of one policy."""
        self.scores.setdefault(policy, MevisScore()).update(score)

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
    result = Evaluation()
    for job in jobs:
        if job.reader is None or not job.reader.has_masks:
            raise InputError(f"video {job.video_id!r}: expected ground-truth masks, got a split that hides them")
    # Models are loaded here, so that one that cannot be used is not taken for the failure of every video.
    _ = (pipeline.selector, pipeline.text_encoder)
    policies = (SELECTOR, ORACLE, *((RANDOM, SHUFFLED, *BLIND_CHOICES) if baselines else ()))
    borrowed = shuffled_texts(jobs) if baselines else {}
    for number, job in enumerate(jobs, start=1):
        expressions = _expressions(job)
        try:
            found = _score_video(job, expressions, pipeline, borrowed.get(job.video_id))
        except ScorerMismatchError:
            raise
        except TrackSiftError as error:
            result.failures[job.video_id] = str(error)
            found = _failed(expressions, policies)
        for policy, score in found:
            result.add(policy, score)
        if progress is not None:
            progress(number, len(jobs))
    _check_scored(result, len(jobs))
    return result


def _failed(expressions: Sequence[Expression], policies: Sequence[str]) -> list[tuple[str, ExpressionScore]]:
    """A score of 0 of every expression under every policy."""
    return [
        (policy, failed_expression(no_target=not e.target_ids, kind=e.kind)) for e in expressions for policy in policies
    ]


def _check_scored(result: Evaluation, videos: int) -> None:
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
    pipeline: Pipeline,
    borrowed: Sequence[Expression] | None,
) -> list[tuple[str, ExpressionScore]]:
    """Policy and score of every expression of a video under every policy."""
    track_set = read_cache(job.cache)
    truth = job.ground_truth()
    if truth is None:
        raise InputError(f"video {job.video_id!r}: expected ground-truth masks, got a split that hides them")
    answers = pipeline.answer(job.cache, expressions)
    misled = pipeline.answer(job.cache, borrowed) if borrowed is not None else None
    scorer = VideoScorer(track_set)
    found: list[tuple[str, ExpressionScore]] = []
    for i, expression in enumerate(expressions):
        target = target_masks(truth, expression, track_set.video.frames, track_set.video.size)
        picks = {SELECTOR: tuple(t.index for t in answers[i].tracks)}
        if misled is not None:
            picks |= {SHUFFLED: tuple(t.index for t in misled[i].tracks)} | _blind(track_set, expression)
        found += [(policy, scorer.score(chosen, target, expression)) for policy, chosen in picks.items()]
        found.append((ORACLE, scorer.score(scorer.oracle(target, expression), target, expression)))
    return found


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
