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

from core import rle
from core.errors import InputError
from core.frames import VideoReader
from core.hashing import json_sha256
from core.types import Source, Track, TrackSet, VideoMeta
from proposals.checkpoints import LoadedTracker
from proposals.features import FeatureStore
from proposals.grid import grid_prompter
from proposals.ground_truth import ground_truth_prompter
from proposals.overlap import distinct, iou_matrix
from proposals.prompts import KeyFrame, MaskPrompt, Prompter
from proposals.propagation import propagate
from proposals.settings import ProposalSettings, Resources

GENERATION = 1  # raise when code changes the tracks that the same settings give: older caches become stale
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
    """The tracks of a video, by source: grid, then ground truth, then `prompters`; in each by key frame, then in order.

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
    resources = resources or Resources()
    sources = []
    if Source.GRID in settings.sources:
        sources.append(grid_prompter(tracker.model, reader.meta, settings.grid, settings.max_tracks, resources))
    if ground_truth is not None:
        sources.append(ground_truth_prompter(ground_truth, reader.meta, settings.largest_share))
    sources += prompters
    run = _Run(reader, tracker, settings, resources, on_progress)
    run.expect(sum(len(source.key_frames) for source in sources))
    try:
        tracks = [track for source in sources for track in run.tracks_of(source)]
    finally:
        run.features.close()
    effort = Effort(reader.meta.frames, run.features.passes + run.extra_passes, run.steps)
    return TrackSet(reader.meta, tuple(tracks), facts), effort


class _Run:
    """One video's work in progress."""

    def __init__(
        self,
        reader: VideoReader,
        tracker: LoadedTracker,
        settings: ProposalSettings,
        resources: Resources,
        on_progress: Progress | None,
    ) -> None:
        self._engine = tracker.ready(resources)
        self.features = FeatureStore(reader, self._engine, resources)
        self.extra_passes = 0
        self.steps = 0
        self._reader, self._settings = reader, settings
        self._on_progress = on_progress
        self._done, self._total = 0, 0

    def expect(self, key_frames: int) -> None:
        """Set the total of progress: a sweep over the video for each key frame."""
        self._total = key_frames * self._reader.meta.frames

    def tracks_of(self, source: Prompter) -> list[Track]:
        """Tracks of one source, key frame by key frame; where prompts compete, each pool by itself."""
        pools: dict[str | None, list[Track]] = {}
        for frame in source.key_frames:
            prompts = source.find(KeyFrame(frame, self.features.image(frame), self.features[frame]))
            self.extra_passes += source.extra_passes
            opened: list[MaskPrompt] = []
            for pool in dict.fromkeys(prompt.expression_id for prompt in prompts):
                mine = [prompt for prompt in prompts if prompt.expression_id == pool]
                opened += self._opened(source, mine, pools.setdefault(pool, []), frame)
            for track in self._track(opened):
                pools[track.prompt.expression_id].append(track)
            if source.competing:
                pools = {name: distinct(tracks, self._settings.duplicate_iou) for name, tracks in pools.items()}
        return [track for tracks in pools.values() for track in tracks]

    def _opened(
        self, source: Prompter, prompts: Sequence[MaskPrompt], tracks: Sequence[Track], frame: int
    ) -> list[MaskPrompt]:
        """The prompts of one pool at one key frame that shall become tracks."""
        opened = list(prompts)
        if source.competing:
            known = [track.masks[frame] for track in tracks]
            opened = unexplained(prompts, known, self._reader.meta.size, self._settings.explained_iou)
        return opened if source.limit is None else opened[: source.limit - len(tracks)]

    def _track(self, prompts: Sequence[MaskPrompt]) -> list[Track]:
        """Tracks of the prompts of one key frame."""
        goal = self._done + self._reader.meta.frames
        tracks = propagate(self._engine, self.features, prompts, lambda: self._advance(goal)) if prompts else []
        self._report(goal)
        return tracks

    def _advance(self, goal: int) -> None:
        self.steps += 1
        self._report(min(self._done + 1, goal - 1))

    def _report(self, done: int) -> None:
        self._done = done
        if self._on_progress is not None:
            self._on_progress(done, self._total)


def unexplained(
    prompts: Sequence[MaskPrompt], known: Sequence[bytes], size: rle.Size, limit: float
) -> list[MaskPrompt]:
    """Prompts that overlap none of the masks `known` at their frame by more than `limit` IoU, in order."""
    if not prompts or not known:
        return list(prompts)
    masks = rle.encode(np.stack([prompt.mask for prompt in prompts]))
    best = iou_matrix(masks, known, size).max(axis=1)
    return [prompt for prompt, value in zip(prompts, best, strict=True) if value <= limit]


def _masks_sha256(masks: GroundTruth) -> str:
    """Hash of object ids and their pixels."""
    digest = hashlib.sha256()
    for name, stack in masks.items():
        digest.update(f"{name}\0{stack.shape}\0".encode())
        digest.update(np.packbits(stack).data)
    return digest.hexdigest()
