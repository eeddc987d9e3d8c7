"""Jobs -> cache files: what is whole and current is kept, the rest is made, a failure names its video and cause.

Tracks cost far more than their looks, so a file that differs in looks alone keeps its tracks. Knows proposals, labels
and the cache. Does not know command lines, and shows progress only through a callback.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.metrics.track_labels import track_labels
from cache import CacheFile, cache_state, open_cache, verify_cache, write_cache
from core.atomic import check_folder
from core.errors import CacheError, TrackSiftError
from core.frames import VideoReader
from core.hashing import json_sha256
from core.images import ImageEncoder
from core.types import Labels, Source, TrackSet
from proposals.checkpoints import LoadedTracker
from proposals.generate import Progress, propose_with_effort, provenance
from proposals.looks import look_facts, with_looks, without_look_facts
from proposals.settings import ProposalSettings
from tracksift.jobs import Job, decoded

State = Literal["made", "kept", "failed", "planned"]


@dataclass(frozen=True)
class JobResult:
    """What became of a job. `seconds` is the work's time, without loading models; `cause` is empty unless it failed."""

    video_id: str
    state: State
    tracks: int = 0
    frames: int = 0
    passes_per_frame: float = 0.0
    seconds: float = 0.0
    cause: str = ""


def generate(
    jobs: Iterable[Job],
    tracker: LoadedTracker,
    settings: ProposalSettings,
    *,
    image_encoder: ImageEncoder | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    on_frames: Progress | None = None,
    on_result: Callable[[JobResult], None] | None = None,
) -> list[JobResult]:
    """Make the cache file of every job that has none that is whole and made with these models, settings and frames.

    image_encoder: of the tracks' looks; without one the files have none.
    A video that fails is reported and the others go on; the caller decides what a failure means.
    """
    results = []
    for job in jobs:
        result = generate_one(
            job, tracker, settings,
            image_encoder=image_encoder, overwrite=overwrite, dry_run=dry_run, on_frames=on_frames,
        )  # fmt: skip
        results.append(result)
        if on_result is not None:
            on_result(result)
    return results


def generate_one(
    job: Job,
    tracker: LoadedTracker,
    settings: ProposalSettings,
    *,
    image_encoder: ImageEncoder | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    on_frames: Progress | None = None,
) -> JobResult:
    """As `generate`, for one job."""
    try:
        return _generate(job, tracker, settings, image_encoder, overwrite, dry_run, on_frames)
    except TrackSiftError as error:
        return JobResult(job.video_id, "failed", cause=str(error))


def _generate(
    job: Job,
    tracker: LoadedTracker,
    settings: ProposalSettings,
    image_encoder: ImageEncoder | None,
    overwrite: bool,
    dry_run: bool,
    on_frames: Progress | None,
) -> JobResult:
    reader = job.open()
    try:
        masks = job.ground_truth()
        told = masks if Source.GROUND_TRUTH in settings.sources else None
        prompts = None if told is None else decoded(told, reader.meta.size)
        facts = provenance(reader.meta, tracker, settings, prompts) | {"labels_sha256": _masks_sha256(masks)}
        if not overwrite and _is_complete(job, json_sha256(facts | look_facts(image_encoder))):
            return JobResult(job.video_id, "kept", frames=reader.meta.frames)
        if dry_run:
            return JobResult(job.video_id, "planned", frames=reader.meta.frames)
        check_folder(job.cache.parent)
        start = time.perf_counter()
        passes = 0.0
        known = None if overwrite else _same_but_looks(job, facts)
        if known is None:
            made, effort = propose_with_effort(reader, tracker, settings, prompts, on_frames)
            if not made.tracks:
                deque(reader, maxlen=0)  # nothing was propagated, so that a broken frame has not been met yet
            tracks, passes = replace(made, provenance=facts), effort.passes_per_frame
            labels = _labels(tracks, masks, reader)
        else:
            tracks, labels = known.track_set(), known.labels()
        write_cache(job.cache, with_looks(tracks, reader, image_encoder), labels)
        seconds = time.perf_counter() - start
    finally:
        reader.close()
    return JobResult(job.video_id, "made", len(tracks.tracks), tracks.video.frames, passes, seconds)


def _is_complete(job: Job, provenance_sha256: str) -> bool:
    """Whether the file can be kept; a damaged or foreign one cannot, and is replaced."""
    try:
        return cache_state(job.cache, provenance_sha256) == "complete"
    except CacheError:
        return False


def _same_but_looks(job: Job, facts: Mapping[str, object]) -> CacheFile | None:
    """The job's whole file if its provenance is `facts` but for the looks; its tracks and labels can be kept."""
    try:
        same = json_sha256(without_look_facts(open_cache(job.cache).provenance)) == json_sha256(facts)
        return verify_cache(job.cache) if same else None
    except CacheError:
        return None


def _labels(tracks: TrackSet, masks: Mapping[str, tuple[bytes, ...]] | None, reader: VideoReader) -> Labels | None:
    return None if masks is None else track_labels([t.masks for t in tracks.tracks], masks, reader.meta.size)


def _masks_sha256(masks: Mapping[str, tuple[bytes, ...]] | None) -> str | None:
    """Names the ground truth that the labels are made against."""
    if masks is None:
        return None
    return json_sha256({name: [c.decode("ascii") for c in counts] for name, counts in masks.items()})
