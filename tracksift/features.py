"""Features of frames by a frozen image encoder, put into the caches of a split or of single videos.

Knows jobs, videos, encoders and caches. Does not know who will read the features. Frames are taken at exact times: with
`per_second`, the frame that is shown at each multiple of its inverse. A video is done or not touched, so that a stopped
run goes on with the next video. Axis letters: K frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cache import FrameFeatures, open_cache, read_frames, write_cache, write_frames
from core.errors import CacheError, InputError, TrackSiftError
from core.images import FrameEncoder
from core.reporting import Progress
from core.types import TrackSet, VideoMeta
from tracksift.jobs import Job

GENERATION = 1  # raise when code changes the features that the same encoder gives: older ones become stale
FRAMES_AT_ONCE = 32

State = Literal["made", "kept", "planned", "failed"]


@dataclass(frozen=True)
class FeatureSettings:
    """per_second: frames a second, or None for every frame.   grid: side of a grid of patches beside, 0 for none.

    tiles: parts of a frame's side that the grid is looked at in, one by one.   bare: make a cache without tracks for a
    video that has none.
    """

    per_second: float | None = None
    grid: int = 0
    tiles: int = 1
    bare: bool = False

    def __post_init__(self) -> None:
        """Refuse rates and grids that mean nothing."""
        if self.per_second is not None and not (np.isfinite(self.per_second) and self.per_second > 0):
            raise InputError(f"--per-second: expected more than 0 frames a second, got {self.per_second}")
        if not 0 <= self.grid <= 64:
            raise InputError(f"--grid: expected a side of 0 to 64 patches, got {self.grid}")
        if self.tiles < 1 or self.grid % self.tiles or (self.tiles > 1 and not self.grid):
            raise InputError(f"--tiles: expected a number that divides --grid {self.grid}, got {self.tiles}")


@dataclass(frozen=True)
class Extracted:
    """What became of one video: its state, K frames, and the cause of a failure."""

    video_id: str
    state: State
    frames: int = 0
    cause: str = ""


def extract(
    jobs: Sequence[Job],
    encoder: FrameEncoder,
    settings: FeatureSettings,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> list[Extracted]:
    """Features of every job's video; those that are there and current are kept.

    Errors of one video do not stop the others.   progress: called with (done, total) videos.
    """
    results = []
    for done, job in enumerate(jobs, start=1):
        try:
            results.append(_extract(job, encoder, settings, dry_run=dry_run))
        except TrackSiftError as error:
            results.append(Extracted(job.video_id, "failed", cause=str(error)))
        if progress is not None:
            progress(done, len(jobs))
    return results


def frame_index(video: VideoMeta, per_second: float | None) -> NDArray[np.int32]:
    """The frames shown at 0, 1 / per_second, 2 / per_second .. after the first one's start, each once; all for None."""
    if per_second is None:
        return np.arange(video.frames, dtype=np.int32)
    start = video.timestamps[0]
    count = int(np.floor((video.end - start) * per_second - 1e-9)) + 1
    times = start + np.arange(count) / per_second
    # A time that falls on the start of a frame means that frame, also where the sum is a little short of it.
    return np.unique(np.searchsorted(video.timestamps, times + 1e-6, side="right") - 1).astype(np.int32)


def _extract(job: Job, encoder: FrameEncoder, settings: FeatureSettings, *, dry_run: bool) -> Extracted:
    there = job.cache.exists()
    if not there and not settings.bare:
        raise CacheError(
            f"{job.cache}: expected a cache file, got none; run `tracksift generate` first, or say --bare for a file "
            "without tracks"
        )
    if there and (kept := _current(job, encoder, settings)) is not None:
        return Extracted(job.video_id, "kept", kept)
    reader = job.open()
    try:
        index = frame_index(reader.meta, settings.per_second)
        if dry_run:
            return Extracted(job.video_id, "planned", len(index))
        if not there:
            write_cache(job.cache, TrackSet(reader.meta, (), {}))
        elif open_cache(job.cache).video.fingerprint != reader.meta.fingerprint:
            raise CacheError(f"{job.cache}: expected the cache of {job.frames_path}, got one of other frames")
        parts = [
            encoder.encode_frames(reader.read(index[i : i + FRAMES_AT_ONCE].tolist()), settings.grid, settings.tiles)
            for i in range(0, len(index), FRAMES_AT_ONCE)
        ]
    finally:
        reader.close()
    pooled = np.concatenate([part for part, _ in parts]).astype(np.float16)
    patches = [part for _, part in parts if part is not None]
    cells = np.concatenate(patches).astype(np.float16) if patches else None
    write_frames(job.cache, FrameFeatures(index, pooled, cells, _facts(encoder, settings)))
    return Extracted(job.video_id, "made", len(index))


def _current(job: Job, encoder: FrameEncoder, settings: FeatureSettings) -> int | None:
    """The number of frames that the cache has features of, where they are what would be made."""
    open_cache(job.cache)  # a file that cannot be used is said by name, and not taken for one without features
    try:
        found = read_frames(job.cache, encoder.sha256)
    except CacheError:
        return None
    return len(found.index) if dict(found.facts) == _facts(encoder, settings) else None


def _facts(encoder: FrameEncoder, settings: FeatureSettings) -> Mapping[str, Any]:
    facts = {
        "encoder_sha256": encoder.sha256, "encoder": encoder.name, "version": GENERATION,
        "per_second": settings.per_second, "grid": settings.grid,
    }  # fmt: skip
    # Features without tiles are what they were before there were any.
    return facts if settings.tiles == 1 else facts | {"tiles": settings.tiles}
