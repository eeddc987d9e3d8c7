"""Jobs -> cache files: what is whole and current is kept, the rest is made, a failure names its video and cause.

Tracks cost far more than their looks, so a file that differs in looks alone keeps its tracks, and one that differs in a
source of prompts keeps those of the others. Knows proposals, labels and the cache. Does not
know command lines, and shows progress only through a callback.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import torch

from benchmarks.metrics.track_labels import track_labels
from cache import CacheFile, is_current, open_cache, rewrite_cache, verify_cache
from core.atomic import check_folder
from core.errors import CacheError, OutputError, TrackSiftError
from core.frames import VideoReader
from core.hashing import json_sha256
from core.images import ImageEncoder
from core.types import Labels, Source, Track, TrackSet
from proposals.checkpoints import LoadedTracker
from proposals.generate import GroundTruth, Progress, propose_with_effort, provenance
from proposals.grounding_dino import Detections
from proposals.looks import look_facts, with_looks, without_look_facts
from proposals.prompts import Prompter
from proposals.settings import ProposalSettings, settings_of
from proposals.user import user_prompter
from tracksift.jobs import Job, decoded
from tracksift.sources import Extra, check_sources, extra_facts, including, joined, keepable

State = Literal["made", "kept", "failed", "planned"]
Fault = Literal["", "input", "output", "memory", "unexpected", "lost"]
"""Whose a failure is: the video's or its models', the place's, the machine's; unexpected: a fault of this code's or a
library's; lost: its worker ended."""


@dataclass(frozen=True)
class JobResult:
    """What became of a job. `seconds` is the work's time, without loading models; `cause` is empty unless it failed.

    detections: counts of what the detector found and what was left out, where one looked (`DetectionCounts.figures`).
    trace: the call stack of what was unexpected.
    """

    video_id: str
    state: State
    tracks: int = 0
    frames: int = 0
    passes_per_frame: float = 0.0
    seconds: float = 0.0
    cause: str = ""
    detections: Mapping[str, int] = field(default_factory=dict)
    fault: Fault = ""
    trace: str = ""


def generate(
    jobs: Iterable[Job],
    tracker: LoadedTracker,
    settings: ProposalSettings,
    *,
    image_encoder: ImageEncoder | None = None,
    extra: Extra | None = None,
    keep_more: bool = False,
    keep_settings: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    on_frames: Progress | None = None,
    on_result: Callable[[JobResult], None] | None = None,
) -> list[JobResult]:
    """Make the cache file of every job that has none that is whole and made with these models, settings and frames.

    image_encoder: of the tracks' looks; without one the files have none.
    extra: what the sources `grounding_dino` and `user` need.
    keep_more: whether a file may go on holding tracks of sources that are not asked for now.
    keep_settings: whether a file of this tracker keeps to the settings that it was made with, sources apart, so that
        tracks of another preset are taken as they are.
    A video that fails is reported and the others go on; the caller decides what a failure means.

    Raises:
        InputError: for sources without what they need.
    """
    check_sources(settings, extra or Extra())
    results = []
    for job in jobs:
        result = generate_one(
            job, tracker, settings, image_encoder=image_encoder, extra=extra, keep_more=keep_more,
            keep_settings=keep_settings, overwrite=overwrite, dry_run=dry_run, on_frames=on_frames,
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
    extra: Extra | None = None,
    keep_more: bool = False,
    keep_settings: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    on_frames: Progress | None = None,
) -> JobResult:
    """As `generate`, for one job."""
    known = functools.cache(lambda: _provenance(job))
    try:
        return _generate(
            job,
            tracker,
            settings_before(known(), tracker, settings) if keep_settings else settings,
            known,
            image_encoder,
            extra or Extra(),
            keep_more,
            overwrite,
            dry_run,
            on_frames,
        )
    except TrackSiftError as error:
        return JobResult(job.video_id, "failed", cause=str(error), fault=_fault(error))


def settings_before(known: Mapping[str, Any], tracker: LoadedTracker, settings: ProposalSettings) -> ProposalSettings:
    """The settings of a file's provenance `known`, where of this tracker, but with the sources of `settings`."""
    before = settings_of(known.get("settings")) if known.get("tracker_sha256") == tracker.sha256 else None
    return settings if before is None else replace(before, sources=settings.sources)


def is_memory_error(error: BaseException | None) -> bool:
    """Whether a device or the machine had no memory left. torch names its own only where it is a device's."""
    named = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return named or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error))


def _fault(error: TrackSiftError) -> Fault:
    if isinstance(error, OutputError):
        return "output"
    return "memory" if is_memory_error(error.__cause__) else "input"


def _generate(
    job: Job,
    tracker: LoadedTracker,
    settings: ProposalSettings,
    known: Callable[[], Mapping[str, Any]],
    image_encoder: ImageEncoder | None,
    extra: Extra,
    keep_more: bool,
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
        facts |= extra_facts(job, reader.meta, extra)
        facts = including(known(), facts) if keep_more else facts
        if not overwrite and is_current(job.cache, facts | look_facts(image_encoder)):
            return JobResult(job.video_id, "kept", frames=reader.meta.frames)
        if dry_run:
            return JobResult(job.video_id, "planned", frames=reader.meta.frames)
        check_folder(job.cache.parent)
        start = time.perf_counter()
        held, keep = (None, ()) if overwrite else _held(job, known(), facts)
        missing = replace(settings, sources=left) if (left := _without(settings.sources, keep)) else None
        passes, detections = 0.0, dict[str, int]()
        if held is not None and missing is None and set(keep) == set(held.provenance["settings"]["sources"]):
            tracks, labels = held.track_set(), held.labels()
        else:
            new: tuple[Track, ...] = ()
            if missing is not None:
                new, passes, detections = _track(job, reader, tracker, missing, prompts, extra, on_frames)
            old = () if held is None else tuple(t for t in held.track_set().tracks if t.source in keep)
            tracks = TrackSet(reader.meta, joined(old, new), facts)
            labels = _labels(tracks, masks, reader)
        rewrite_cache(job.cache, with_looks(tracks, reader, image_encoder), labels)
        seconds = time.perf_counter() - start
    finally:
        reader.close()
    return JobResult(
        job.video_id, "made", len(tracks.tracks), tracks.video.frames, passes, seconds, detections=detections
    )


def _track(
    job: Job,
    reader: VideoReader,
    tracker: LoadedTracker,
    settings: ProposalSettings,
    ground_truth: GroundTruth | None,
    extra: Extra,
    on_frames: Progress | None,
) -> tuple[tuple[Track, ...], float, dict[str, int]]:
    """The tracks of the settings' sources, encoder passes a frame, and the detector's counts."""
    video, prompters = reader.meta, list[Prompter]()
    detections = None
    if Source.GROUNDING_DINO in settings.sources and extra.detector is not None:
        detections = Detections(tracker.model, extra.detector, video, extra.asked(job), extra.detector_settings)
        prompters.append(detections.prompter())
    if Source.USER in settings.sources:
        prompters.append(user_prompter(tracker.model, video, extra.user))
    told = ground_truth if Source.GROUND_TRUTH in settings.sources else None
    found, effort = propose_with_effort(reader, tracker, settings, told, on_frames, prompters=prompters)
    if not found.tracks:
        deque(reader, maxlen=0)  # nothing was propagated, so that a broken frame has not been met yet
    if detections is None:
        return found.tracks, effort.passes_per_frame, {}
    others = tuple(track for track in found.tracks if track.source is not Source.GROUNDING_DINO)
    detected = detections.tracks([track for track in found.tracks if track.source is Source.GROUNDING_DINO])
    return (*others, *detected), effort.passes_per_frame, asdict(detections.counts)


def _without(sources: tuple[Source, ...], keep: tuple[Source, ...]) -> tuple[Source, ...]:
    return tuple(source for source in sources if source not in keep)


def _provenance(job: Job) -> dict[str, Any]:
    """The provenance of the job's file, looks apart; nothing where there is no file that can be opened."""
    try:
        return dict(without_look_facts(open_cache(job.cache).provenance))
    except CacheError:
        return {}


def _held(
    job: Job, known: Mapping[str, Any], facts: Mapping[str, object]
) -> tuple[CacheFile | None, tuple[Source, ...]]:
    """The job's whole file and the sources whose tracks in it are wanted and made as now; None where there are none."""
    try:
        keep = keepable(known, facts)
        return (verify_cache(job.cache), keep) if keep else (None, ())
    except CacheError:
        return None, ()


def _labels(tracks: TrackSet, masks: Mapping[str, tuple[bytes, ...]] | None, reader: VideoReader) -> Labels | None:
    return None if masks is None else track_labels([t.masks for t in tracks.tracks], masks, reader.meta.size)


def _masks_sha256(masks: Mapping[str, tuple[bytes, ...]] | None) -> str | None:
    """Names the ground truth that the labels are made against."""
    if masks is None:
        return None
    return json_sha256({name: [c.decode("ascii") for c in counts] for name, counts in masks.items()})
