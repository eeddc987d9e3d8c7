"""Score files and caches -> answers, and the weights of a mode fitted on a split's ground truth.

Knows caches and fusion. Does not know command lines, metrics or who made the scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.protocol import target_masks
from cache import SUFFIX, CacheFile, find_caches, open_cache
from core.errors import CacheError, InputError, ScorerMismatchError, TrackSiftError
from core.hashing import json_sha256
from core.ids import safe_name
from core.reporting import Progress
from core.types import Answer, Expression
from fusion.fitting import Case, fit
from fusion.fuse import check, describe, fuse
from fusion.score_files import Word, Words
from fusion.settings import Weights, read_weights
from tracksift.choice_scores import FrameScores, TubeScores
from tracksift.jobs import Job

Expressions = Mapping[tuple[str, str], Expression]
"""What was asked, by ids of video and expression."""


@dataclass(frozen=True)
class Caches:
    """The files of a folder by content hash, and by id of the video; those that cannot be used by name, with why."""

    place: Path
    by_content: Mapping[str, Path]
    by_video: Mapping[str, Path]
    broken: Mapping[str, CacheError]

    @classmethod
    def under(cls, place: Path) -> Caches:
        """All files under a folder, whose heads are read; InputError where there is none."""
        by_content, by_video, broken = {}, {}, {}
        for path in find_caches(place):
            try:
                file = open_cache(path)
            except CacheError as error:
                broken[path.name] = error
                continue
            by_content[file.content_sha256], by_video[file.video.id] = path, path
        if not by_content and not broken:
            raise InputError(f"{place}: expected cache files, got none")
        return cls(place, by_content, by_video, broken)

    def of(self, words: Sequence[Word]) -> CacheFile:
        """The file that the scores of a video were made for, or else the video's.

        Raises:
            InputError: where there is neither.
            CacheError: where the video's cannot be used.
        """
        scores = words[0].tracks
        path = self.by_content.get(scores.cache) or self.by_video.get(scores.video_id)
        if path is not None:
            return open_cache(path)
        if error := self.broken.get(safe_name(scores.video_id) + SUFFIX):
            raise error
        raise InputError(f"video {scores.video_id!r}: expected its cache under {self.place}, got none")


def asked_in(jobs: Sequence[Job]) -> Expressions:
    """The expressions of a split."""
    annotated = [job.annotated for job in jobs if job.annotated is not None]
    return {(video.id, expression.id): expression for video in annotated for expression in video.expressions}


def fuse_video(words: Sequence[Word], file: CacheFile, weights: Weights, asked: Expressions | None) -> list[Answer]:
    """Answers to a video's expressions; without `asked`, whose words are unknown, their ids stand for them.

    Raises:
        InputError: for scores that do not belong together, or an expression that is not in `asked`.
        ScorerMismatchError: for scores of another cache, or of other models than the weights were fitted for.
    """
    check_fitted(weights, words)
    tracks = file.track_set()
    facts = [describe(track) for track in tracks.tracks]
    return [
        fuse(
            tracks, word.tracks, expression_of(word, asked), weights, word.moments, reranks=word.reranks,
            boxes=word.boxes, cache_sha256=file.content_sha256 if word.tracks.cache else None, facts=facts,
        )
        for word in words
    ]  # fmt: skip


def expression_of(word: Word, asked: Expressions | None) -> Expression:
    """The expression that a word is about; InputError where `asked` does not have it."""
    key = (word.tracks.video_id, word.tracks.expression_id)
    if asked is None:
        return Expression(key[1], key[1])
    if key not in asked:
        raise InputError(f"video {key[0]!r}, expression {key[1]!r}: expected one of the split's, got a stranger")
    return asked[key]


def check_fitted(weights: Weights, words: Sequence[Word]) -> None:
    """ScorerMismatchError for words of other models than the weights were fitted for; numbers by hand fit any."""
    wanted = weights.fitted.get("scorers", {})
    for word in words:
        for kind, scorer in word.scorers().items():
            if wanted.get(kind) and scorer and wanted[kind] != scorer:
                raise ScorerMismatchError(
                    f"{kind} scores of video {word.tracks.video_id!r}: expected those of model {wanted[kind][:12]}, "
                    f"for which the weights were fitted, got those of {scorer[:12]}; fit the weights again"
                )


def default_weights(words: Words, place: Path) -> Weights:
    """The weights that were chosen for these scores, else mode `tracks` by its own numbers.

    place: a file of released weights, which may not be there. They are taken where every scorer that they were fitted
    for has spoken, and no other.

    Raises:
        InputError: where the file is no file of weights.
    """
    if not place.is_file():
        return Weights()
    released = read_weights(place)
    wanted, said = released.fitted.get("scorers", {}), words.scorers()
    return released if wanted and all(said.get(kind) == scorer for kind, scorer in wanted.items()) else Weights()


Known = dict[tuple[str, str], tuple[FrameScores, TubeScores]]
"""Scores of choices by content hash of the cache and id of the expression."""


@dataclass
class Cases:
    """What a fit is made on: cases, the caches' hashes, and expressions of the split that have no scores."""

    cases: list[Case] = field(default_factory=list)
    caches: list[str] = field(default_factory=list)
    without_scores: int = 0


def fit_weights(
    words: Words, jobs: Sequence[Job], caches: Caches, start: Weights, progress: Progress | None = None
) -> tuple[Weights, int]:
    """Weights of `start`'s mode that answer the split best: J&F, and where that is the same vIoU. `fitted` has the
    hashes of scorers and caches.

    Args:
        words: of one scorer a kind.
        jobs: the split, with ground truth; use a calibration split.
        caches: where the split's files lie.
        start: mode and first numbers.
        progress: called with (done, total) candidates.

    Returns:
        The weights, and the number of expressions of the split that have no scores and were left out.

    Raises:
        InputError: when the split hides its targets, no expression has scores, or the mode lacks scores.
        ScorerMismatchError: for scores of another cache.
    """
    found = gather_cases(words, jobs, caches)
    return fit_cases(found, words, start, progress), found.without_scores


def gather_cases(words: Words, jobs: Sequence[Job], caches: Caches, known: Known | None = None) -> Cases:
    """What weights of any mode are fitted on; raises as `fit_weights`.

    known: scores of choices that are kept from one fit to the next, an empty dict to begin with.
    """
    found = Cases()
    for job in jobs:
        _add(found, job, words.by_video.get(job.video_id, ()), caches, {} if known is None else known)
    return found


def fit_cases(found: Cases, words: Words, start: Weights, progress: Progress | None = None) -> Weights:
    """`fit_weights` on cases that were gathered before."""
    scorers = words.scorers()
    best = fit(found.cases, start, progress)
    facts = {"scorers": scorers, "caches": json_sha256(sorted(found.caches)), "metric": "J&F, then vIoU"}
    return replace(best, fitted={**best.fitted, **facts})


def _add(found: Cases, job: Job, words: Sequence[Word], caches: Caches, known: Known) -> None:
    """The cases of one video."""
    truth = job.ground_truth()
    if truth is None or job.annotated is None:
        raise InputError(f"video {job.video_id!r}: expected ground-truth masks, got a split that hides them")
    found.without_scores += len({e.id for e in job.annotated.expressions} - {w.tracks.expression_id for w in words})
    if not words:
        return
    asked, file = asked_in([job]), caches.of(words)
    tracks = file.track_set()
    found.caches.append(file.content_sha256)
    for word in words:
        expression, given = expression_of(word, asked), word.evidence(tracks)
        check(given, expression, file.content_sha256 if word.tracks.cache else None)
        key = file.content_sha256, expression.id
        if key not in known:
            target = target_masks(truth, expression, tracks.video.frames, tracks.video.size)
            known[key] = FrameScores(tracks, target), TubeScores(tracks, target, expression.spans)
        found.cases.append(Case(given, *known[key]))


def fuse_files(
    words: Words, caches: Caches, weights: Weights, asked: Expressions | None
) -> Iterator[tuple[str, list[Answer] | TrackSiftError]]:
    """Each video and its answers, or why it has none; a video that fails does not keep the others from theirs."""
    for video, said in words.by_video.items():
        try:
            yield video, fuse_video(said, caches.of(said), weights, asked)
        except TrackSiftError as error:
            yield video, error
