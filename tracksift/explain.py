"""Why an answer is as it is: its ranking, what the oracle would have picked, and what lost the rest.

Knows the pipeline, annotations and the metrics. Does not know pages or command lines. T frames.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.metrics.mevis_score import ExpressionScore
from benchmarks.protocol import target_masks
from cache import read_cache
from core.errors import InputError, ScorerMismatchError, TrackSiftError
from core.types import Answer, Expression, TrackSet
from tracksift.ask import Pipeline
from tracksift.jobs import Job
from tracksift.losses import Cause, Loss, lost_by
from tracksift.video_scores import VideoScorer

_NAMED = 3  # tracks named in a sentence
_COVERED = 0.5  # J&F of the oracle from which on the tracks are said to cover the target


@dataclass(frozen=True)
class Judged:
    """An answer beside the truth. Scores are J&F in 0..1.

    target: union of the targets, T COCO masks.   cut, oracle: the tracks of `VideoScorer.best_cut`, and of the best
    choice.   overlap: mean J of each competing track alone with the target.
    """

    target: tuple[bytes, ...]
    score: ExpressionScore
    jf: float
    cut: tuple[int, ...]
    cut_jf: float
    oracle: tuple[int, ...]
    oracle_jf: float
    overlap: Mapping[int, float]
    loss: Loss


@dataclass(frozen=True)
class Explanation:
    """One expression. answer: None where the video could not be used, for the cause `failure`.

    judged: None without ground truth.
    """

    video_id: str
    expression: Expression
    answer: Answer | None
    judged: Judged | None
    failure: str = ""

    @property
    def jf(self) -> float | None:
        """J&F; 0 for a failure, None without ground truth."""
        if self.failure:
            return 0.0
        return None if self.judged is None else self.judged.jf

    @property
    def loss(self) -> Loss | None:
        """What was lost, and by what; None without ground truth."""
        if self.failure:
            return lost_by(0.0, 0.0, 0.0, no_target=False, empty=False)
        return None if self.judged is None else self.judged.loss

    def sentences(self) -> tuple[str, ...]:
        """The explanation in words, the most important first."""
        if self.answer is None:
            return (f"Not answered: {self.failure}",)
        if self.judged is None:
            return (self.answer.why["rule"], *_best_tracks(self.answer))
        return _told(self.answer, self.judged, self.expression)


@dataclass(frozen=True)
class ExplainedVideo:
    """A video's explanations; track_set: None where its cache could not be used."""

    job: Job
    track_set: TrackSet | None
    explanations: tuple[Explanation, ...]


def explain(job: Job, pipeline: Pipeline, expressions: Sequence[Expression] | None = None) -> ExplainedVideo:
    """Explain the answers about one cached video.

    Args:
        job: the video; ground truth comes from its annotations, where they are public.
        pipeline: selector and text encoder.
        expressions: those of the job's annotations when None.

    Raises:
        InputError: when there is no expression.
        CheckpointError: when a model cannot be used.
        ScorerMismatchError: when the selector does not fit the cache.
        CacheError: when the cache of a video without annotations cannot be used; with them it is a failure that counts.
    """
    asked = expressions if expressions is not None else (job.annotated.expressions if job.annotated else ())
    if not asked:
        raise InputError(f"video {job.video_id!r}: expected expressions to explain, got none")
    _ = (pipeline.selector, pipeline.text_encoder)  # a model that cannot be used is not the failure of a video
    try:
        track_set = read_cache(job.cache)
        answers = pipeline.answer(job.cache, asked)
        truth = job.ground_truth()
        scorer = VideoScorer(track_set)
        judged = [None if truth is None else judge(scorer, a, truth) for a in answers]
    except ScorerMismatchError:
        raise
    except TrackSiftError as error:
        if job.annotated is None:
            raise
        failed = tuple(Explanation(job.video_id, e, None, None, str(error)) for e in asked)
        return ExplainedVideo(job, None, failed)
    rows = zip(asked, answers, judged, strict=True)
    return ExplainedVideo(job, track_set, tuple(Explanation(job.video_id, *row) for row in rows))


def explain_split(jobs: Sequence[Job], pipeline: Pipeline, ids: Collection[str] = ()) -> Iterator[ExplainedVideo]:
    """Explain a split, a video at a time.

    ids: only these expressions, each as VIDEO/EXPRESSION; all when empty.

    Raises:
        InputError: for an id that no job has, before anything is explained; and as `explain`.
    """
    known = {f"{job.video_id}/{e.id}" for job in jobs if job.annotated for e in job.annotated.expressions}
    unknown = sorted(set(ids) - known)
    if unknown:
        some = ", ".join(sorted(known)[:_NAMED])
        raise InputError(f"expression {unknown[0]!r}: expected one of {len(known)} as VIDEO/EXPRESSION ({some}, ...)")
    return (_explained(job, pipeline, ids) for job in jobs)


def _explained(job: Job, pipeline: Pipeline, ids: Collection[str]) -> ExplainedVideo:
    every = job.annotated.expressions if job.annotated else ()
    asked = [e for e in every if not ids or f"{job.video_id}/{e.id}" in ids]
    return explain(job, pipeline, asked) if asked else ExplainedVideo(job, None, ())


def failures(video: ExplainedVideo, below: float) -> ExplainedVideo:
    """The video with only those explanations whose J&F is known and below `below`, in 0..1."""
    return replace(video, explanations=tuple(e for e in video.explanations if e.jf is not None and e.jf < below))


def judge(scorer: VideoScorer, answer: Answer, truth: Mapping[str, tuple[bytes, ...]]) -> Judged | None:
    """An answer beside the truth, object id -> T COCO masks; None where the expression's targets are unknown."""
    expression = answer.expression
    if expression.target_ids is None:
        return None
    target = target_masks(truth, expression, answer.video.frames, answer.video.size)
    chosen = tuple(track.index for track in answer.tracks)
    order = _ranking(answer)
    cut = scorer.best_cut(order, target)
    oracle = scorer.oracle(target, expression)
    score = scorer.score(chosen, target, expression)
    jf, cut_jf, oracle_jf = (_jf(scorer.score(c, target, expression)) for c in (chosen, cut, oracle))
    loss = lost_by(jf, cut_jf, oracle_jf, no_target=not expression.target_ids, empty=not chosen)
    overlap = {index: scorer.overlap(index, target) for index in order}
    return Judged(target, score, jf, cut, cut_jf, oracle, oracle_jf, overlap, loss)


def _jf(score: ExpressionScore) -> float:
    return (score.j + score.f) / 2


def _ranking(answer: Answer) -> list[int]:
    """The tracks that compete, best first."""
    return [row["index"] for row in answer.why["ranking"] if row["competes"]]


def _told(answer: Answer, judged: Judged, expression: Expression) -> tuple[str, ...]:
    loss, cause = judged.loss, judged.loss.cause
    head = f"J&F {judged.jf:.2f}, oracle {judged.oracle_jf:.2f}"
    if cause is None:
        return (f"{head}: nothing is lost.", answer.why["rule"])
    parts = ", ".join(f"{name} {part:.2f}" for name, part in loss.parts.items() if part >= 0.005)
    lines = [f"{head}: lost mostly by {cause}" + (f" ({parts})." if parts else ".")]
    if not expression.target_ids:
        return (*lines, "The expression has no target, but tracks were selected.", answer.why["rule"])
    lines.append(_stage_1(judged))
    if judged.oracle and cause is not Cause.STAGE_1:
        lines.append(_places(answer, judged))
    if loss.threshold and judged.cut:
        taken = f"the first {len(judged.cut)} tracks" if len(judged.cut) > 1 else "the first track alone"
        lines.append(f"Another threshold could take {taken}: J&F {judged.cut_jf:.2f}.")
    if answer.no_target:
        lines.append("The expression has a target, but the answer is that there is none.")
    return (*lines, answer.why["rule"])


def _stage_1(judged: Judged) -> str:
    if not judged.oracle:
        return "No track helps to cover the target: stage 1 has lost it."
    named = _names(judged.oracle)
    if judged.oracle_jf < _COVERED:
        return f"No choice of tracks covers the target; the best is {named} with J&F {judged.oracle_jf:.2f}."
    return f"The tracks cover the target: the oracle picks {named} with J&F {judged.oracle_jf:.2f}."


def _places(answer: Answer, judged: Judged) -> str:
    """Where the oracle's tracks stand in the ranking."""
    order = _ranking(answer)
    score = {row["index"]: row["score"] for row in answer.why["ranking"]}
    told = [f"#{i} at place {order.index(i) + 1} ({score[i]:.2f})" for i in judged.oracle[:_NAMED]]
    ahead = [i for i in order[: order.index(judged.oracle[0])] if i not in judged.oracle]
    behind = f", behind {', '.join(f'#{i} ({score[i]:.2f})' for i in ahead[:_NAMED])}" if ahead else ""
    return f"The ranking has {', '.join(told)}{behind}."


def _best_tracks(answer: Answer) -> Iterator[str]:
    for row in answer.why["ranking"][:_NAMED]:
        yield f"#{row['index']} ({row['source']}, frame {row['prompt_frame']}): {row['reason']}"


def _names(tracks: Sequence[int]) -> str:
    more = f" and {len(tracks) - _NAMED} more" if len(tracks) > _NAMED else ""
    return ", ".join(f"#{i}" for i in tracks[:_NAMED]) + more
