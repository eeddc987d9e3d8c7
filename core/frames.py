"""Frames of a video, wherever they lie: `open_video` gives one reader for files, folders of images and arrays.

Knows readers, times and fingerprints; files are in `core.video_files`, folders in `core.image_folders`. Does not know
trackers or datasets. Frames are uint8 [H, W, 3] RGB as a player shows them: rotation stored in a file (display
matrix) or an image (EXIF) is applied; non-square pixels are left as stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import VideoError
from core.image_folders import FolderReader
from core.types import VideoMeta
from core.video_files import SUFFIXES, FileReader


class VideoReader(Protocol):
    """Frames in order at constant memory, or a few of them by index. Not for two threads at once."""

    @property
    def meta(self) -> VideoMeta:
        """Identity, size and times."""

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame once, uint8 [H, W, 3] RGB; raises VideoError for a frame that cannot be read."""

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """The frames at `indices`, in that order, uint8 [K, H, W, 3]; raises VideoError for indices out of range."""

    def close(self) -> None:
        """Let go of the file; a later read opens it again."""


def open_video(
    path: Path, *, video_id: str | None = None, fps: float | None = None, frame_names: Sequence[str] | None = None
) -> VideoReader:
    """Open a video file (mp4, m4v, mov, mkv, webm, avi, gif) or a folder of JPEG or PNG frames.

    `video_id` defaults to the file's stem or the folder's name. A folder needs `fps`, and takes its frames from
    `frame_names` (with or without suffix) where given. Opening decodes a file once without colours, to know
    exactly which frames there are and when.

    Raises:
        VideoError: for a missing, empty, damaged or unknown source, a folder without fps or of mixed sizes, and
            options that a file cannot follow.
    """
    path = Path(path)
    if path.is_dir():
        if fps is None:
            raise VideoError(f"{path}: a folder of frames has no times, expected frames a second; say --fps")
        return FolderReader(path, video_id or path.resolve().name, fps, frame_names)
    if not path.exists():
        raise VideoError(f"{path}: expected a video file or a folder of frames, found nothing there")
    if path.suffix.lower() not in SUFFIXES:
        raise VideoError(f"{path}: expected a folder of frames or one of {', '.join(SUFFIXES)}, got {path.name!r}")
    if fps is not None or frame_names is not None:
        given = "--fps" if fps is not None else "frame names"
        raise VideoError(f"{path}: a video file has its own frames and times, expected no {given}")
    return FileReader(path, video_id or path.stem)


class ArrayReader:
    """A video that is already in memory, uint8 [T, H, W, 3] RGB."""

    def __init__(self, frames: NDArray[np.uint8], *, video_id: str, fps: float, source: str = "memory") -> None:
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
            raise VideoError(f"{video_id}: expected uint8 frames [T, H, W, 3], got {frames.dtype} {list(frames.shape)}")
        if not (np.isfinite(fps) and fps > 0):
            raise VideoError(f"{video_id}: expected more than 0 frames a second, got {fps}")
        self._frames = np.ascontiguousarray(frames)
        count, height, width = frames.shape[:3]
        digest = hashlib.sha256(f"{count} {height} {width}".encode())
        digest.update(self._frames.data)
        times = np.arange(count, dtype=np.float64) / fps
        self.meta = VideoMeta(video_id, source, (height, width), times, count / fps, digest.hexdigest())

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame once."""
        return iter(self._frames)

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """The frames at `indices`, uint8 [K, H, W, 3]."""
        bad = [i for i in indices if not 0 <= i < len(self._frames)]
        if bad:
            raise VideoError(f"{self.meta.id}: expected frame indices in 0..{len(self._frames) - 1}, got {bad[0]}")
        return self._frames[np.asarray(indices, dtype=np.int64)]

    def close(self) -> None:
        """Nothing to let go of."""
