"""A video and a tracker -> its tracks: prompts by key frame, propagation, duplicates dropped.

Knows the order of the stages. Does not know caches, datasets or expressions. Provenance names everything that decides
the tracks and nothing else, so that a stored file is recognised before any work is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.frames import VideoReader
from core.hashing import json_sha256
from core.types import Source, TrackSet, VideoMeta
from proposals.checkpoints import LoadedTracker
from proposals.features import FeatureStore
from proposals.grid import grid_prompter
from proposals.ground_truth import ground_truth_prompter
from proposals.orders import Work, in_area_order, in_time_order
from proposals.prompts import Prompter
from proposals.settings import ProposalSettings, Resources

GENERATION = 2  # raise when code changes the tracks that the same settings give: older caches become stale
GroundTruth = Mapping[str, NDArray[np.bool_]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Effort:
    """What a run took: frames of the video, frames through the image encoder, and tracking steps of a batch."""

    frames: int
    encoder_passes: int
    track_steps: int

    @property
    def passes_per_frame(self) -> float:
        """1 where every frame was encoded once."""
        return self.encoder_passes / self.frames


def provenance(
    video: VideoMeta, tracker: LoadedTracker, settings: ProposalSettings, ground_truth: GroundTruth | None = None
) -> dict[str, object]:
    """Everything that decides the tracks, as JSON-able facts; known before running."""
    asked, given = Source.GROUND_TRUTH in settings.sources, ground_truth is not None
    if asked != given:
        words = ("masks, since the settings name them, got none", "none, since the settings name none, got masks")
        raise InputError(f"video {video.id!r}, ground truth: expected {words[given]}")
    return {
        "stage": "proposals",
        "code_version": GENERATION,
        "tracker": tracker.name,
        "tracker_sha256": tracker.sha256,
        "settings": asdict(settings),
        "video_fingerprint": video.fingerprint,
        "video_end": video.end,
        "ground_truth_sha256": None if ground_truth is None else _masks_sha256(ground_truth),
    }


def provenance_sha256(
    video: VideoMeta, tracker: LoadedTracker, settings: ProposalSettings, ground_truth: GroundTruth | None = None
) -> str:
    """The hash that a finished file's provenance has."""
    return json_sha256(provenance(video, tracker, settings, ground_truth))


def propose(
    reader: VideoReader,
    tracker: LoadedTracker,
    settings: ProposalSettings,
    ground_truth: GroundTruth | None = None,
    on_progress: Progress | None = None,
    resources: Resources | None = None,
    *,
    prompters: Sequence[Prompter] = (),
) -> TrackSet:
    """The tracks of a video, by source: grid, then ground truth, then `prompters`; in each as `settings.order` has it.

    ground_truth: object id -> visible pixels [T, H, W] bool, exactly where the settings name that source.
    prompters: further sources of prompts; the caller adds what decides them to the provenance.
    on_progress: called with (done, total) frames of tracking.

    Raises:
        InputError: for ground truth that is missing, not asked for or of another size.
        VideoError: for frames that cannot be read.
    """
    return propose_with_effort(reader, tracker, settings, ground_truth, on_progress, resources, prompters=prompters)[0]


def propose_with_effort(
    reader: VideoReader,
    tracker: LoadedTracker,
    settings: ProposalSettings,
    ground_truth: GroundTruth | None = None,
    on_progress: Progress | None = None,
    resources: Resources | None = None,
    *,
    prompters: Sequence[Prompter] = (),
) -> tuple[TrackSet, Effort]:
    """As `propose`, and what it took."""
    facts = provenance(reader.meta, tracker, settings, ground_truth)
    resources = resources or tracker.resources
    sources = []
    if Source.GRID in settings.sources:
        sources.append(grid_prompter(tracker.model, reader.meta, settings.grid, settings.max_tracks, resources))
    if ground_truth is not None:
        sources.append(ground_truth_prompter(ground_truth, reader.meta, settings.largest_share))
    sources += prompters
    engine = tracker.ready(resources)
    features = FeatureStore(reader, engine, resources)
    rules = (settings.explained_iou, settings.duplicate_iou, settings.together)
    work = Work(engine, features, *rules, on_progress=on_progress)
    try:
        tracks = (in_time_order if settings.order == "time" else in_area_order)(sources, work)
    finally:
        features.close()
    effort = Effort(reader.meta.frames, features.passes + work.extra_passes, work.steps)
    return TrackSet(reader.meta, tuple(tracks), facts), effort


def _masks_sha256(masks: GroundTruth) -> str:
    """Hash of object ids and their pixels."""
    digest = hashlib.sha256()
    for name, stack in masks.items():
        digest.update(f"{name}\0{stack.shape}\0".encode())
        digest.update(np.packbits(stack).data)
    return digest.hexdigest()
