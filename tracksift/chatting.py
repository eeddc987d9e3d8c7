"""Videos, their expressions and their caches -> questions to a chat model, and its replies -> scores.

A video is opened once and its questions go together, so that a server works on several at a time. Knows videos, jobs,
caches and questions. Does not know which model answers, or commands. Axis letters: N tracks, K frames, H W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cache import open_cache
from core.candidates import candidates, detected_for
from core.errors import InputError, ScorerMismatchError
from core.frames import VideoReader
from core.reporting import Progress
from core.types import Expression, MomentScores, TrackScores, VideoMeta
from core.validators import check_least
from llm_grounder.chat.asking import ChatModel
from llm_grounder.chat.moments import MOST, MomentQuestion, ask_moments
from llm_grounder.chat.rerank import TOP, TrackQuestion, rerank
from llm_grounder.tasks.failures import FailureCounts
from tracksift.jobs import Job

NAMED: Final = 8  # frames on which tracks are numbered, fewer than moments want


@dataclass(frozen=True)
class Sight:
    """How much of a video a chat model is shown: so many frames at most, of so many pixels on their longer side."""

    frames: int = 48
    side: int = 448

    def __post_init__(self) -> None:
        """Refuse to show nothing."""
        check_least("--frames", self.frames, 1)
        check_least("--side", self.side, 16, "pixels")


@dataclass(frozen=True)
class AskedVideo:
    """A video, what is asked of it, and the content hash of its cache ("" for none)."""

    open: Callable[[], VideoReader]
    expressions: Sequence[Expression]
    cache: str = ""


def asked_videos(jobs: Iterable[Job]) -> list[AskedVideo]:
    """The annotated videos of a split with their expressions, and their caches where there are any.

    Raises:
        CacheError: where a cache cannot be used.
    """
    return [
        AskedVideo(
            job.open, job.annotated.expressions, open_cache(job.cache).content_sha256 if job.cache.exists() else ""
        )
        for job in jobs
        if job.annotated is not None
    ]


def spread(video: VideoMeta, most: int) -> NDArray[np.int64]:
    """Indices of `most` frames at the middles of equal parts of the video; all of a shorter one."""
    count = min(most, video.frames)
    return ((np.arange(count) + 0.5) * video.frames / count).astype(np.int64)


def shown(frames: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Frames [K, H, W, 3] made smaller, aspect kept, so that neither side is longer than `side`."""
    height, width = frames.shape[1:3]
    scale = side / max(height, width)
    if scale >= 1:
        return frames
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR)) for frame in frames])


def chat_moments(
    videos: Sequence[AskedVideo], model: ChatModel, sight: Sight | None = None, progress: Progress | None = None,
    *, most: int = MOST,
) -> tuple[list[MomentScores], FailureCounts]:  # fmt: skip
    """Scores of every expression of every video, in order, and how many replies failed.   progress: videos.

    most: tokens of a reply.

    Raises:
        VideoError: where frames cannot be read.
        ServerError: where a server fails for good.
    """
    sight, counts = sight or Sight(), FailureCounts()
    scores: list[MomentScores] = []
    for done, asked in enumerate(videos, start=1):
        reader = asked.open()
        try:
            meta, index = reader.meta, spread(reader.meta, sight.frames)
            frames = shown(reader.read(index.tolist()), sight.side)
        finally:
            reader.close()
        questions = [
            MomentQuestion(meta.id, each.id, each.text, frames, meta.timestamps[index], meta.end, asked.cache)
            for each in asked.expressions
        ]
        said, failed = ask_moments(model, questions, most=most)
        scores += said
        counts.add(failed)
        if progress is not None:
            progress(done, len(videos))
    return scores, counts


def chat_rerank(
    jobs: Sequence[Job], scores: Iterable[TrackScores], model: ChatModel, *, top: int = TOP, sight: Sight | None = None,
    progress: Progress | None = None,
) -> tuple[list[TrackScores], FailureCounts]:  # fmt: skip
    """New scores of every expression that `scores` speak of, and how many replies failed; those keep their scores.

    Only tracks that may compete for an expression are shown.   progress: videos.

    Raises:
        InputError: for scores of no job's video, or of no expression of it.
        ScorerMismatchError: for scores of another cache than the video's.
        CacheError, VideoError: where a cache or frames cannot be read.
        ServerError: where a server fails for good.
    """
    sight, counts = sight or Sight(NAMED), FailureCounts()
    by_video: dict[str, list[TrackScores]] = {}
    for score in scores:
        by_video.setdefault(score.video_id, []).append(score)
    known, found = {job.video_id: job for job in jobs}, []
    for done, (video_id, given) in enumerate(by_video.items(), start=1):
        if video_id not in known:
            raise InputError(f"track scores: expected videos among the {len(known)} jobs, got {video_id!r}")
        new, failed = _rerank_video(known[video_id], given, model, top, sight)
        found += new
        counts.add(failed)
        if progress is not None:
            progress(done, len(by_video))
    return found, counts


def _rerank_video(
    job: Job, given: Sequence[TrackScores], model: ChatModel, top: int, sight: Sight
) -> tuple[list[TrackScores], FailureCounts]:
    cached = open_cache(job.cache)
    texts = _texts(job)
    prompted = [prompt.expression_id for prompt in cached.prompts()]
    sources, detected, boxes = cached.sources(), detected_for(cached.provenance), cached.boxes()
    reader = job.open()
    try:
        index = spread(reader.meta, sight.frames)
        whole = reader.read(index.tolist())
        times = reader.meta.timestamps[index]
    finally:
        reader.close()
    frames = shown(whole, sight.side)
    ratio = np.array([frames.shape[2] / whole.shape[2], frames.shape[1] / whole.shape[1]] * 2)
    questions, places = [], []
    for score in given:
        if score.cache != cached.content_sha256 or len(score.probability) != len(cached):
            raise ScorerMismatchError(
                f"video {job.video_id!r}: expected track scores of cache {cached.content_sha256[:12]}, "
                f"got those of {score.cache[:12]!r}"
            )
        if score.expression_id not in texts:
            raise InputError(f"video {job.video_id!r}: expected an expression of it, got {score.expression_id!r}")
        place = np.asarray(candidates(sources, prompted, score.expression_id, detected), dtype=np.int64)
        chosen = replace(score, probability=score.probability[place])
        seen = boxes[place][:, index] * ratio
        questions.append(TrackQuestion(texts[score.expression_id], frames, times, seen, chosen))
        places.append(place)
    new, counts = rerank(model, questions, top)
    return [_whole(*each) for each in zip(given, places, new, strict=True)], counts


def _texts(job: Job) -> Mapping[str, str]:
    expressions = () if job.annotated is None else job.annotated.expressions
    return {expression.id: expression.text for expression in expressions}


def _whole(old: TrackScores, place: NDArray[np.int64], new: TrackScores | None) -> TrackScores:
    """Scores of the tracks at `place` among all; the old ones where the reply failed."""
    if new is None or not len(place):
        return old
    probability = np.zeros(len(old.probability))
    probability[place] = new.probability
    return replace(new, probability=probability)
