"""A video file as frames, through PyAV: exact times, constant memory, a few frames by index.

Knows containers and decoders. Does not know folders or trackers. The frames of a file are those that its decoder
gives, which an edit list can make fewer than its packets; their times are the presentation times written in the file
(shifted to start at 0 only where the file starts before it).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from core.errors import VideoError
from core.hashing import file_sha256
from core.types import VideoMeta

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif")
# A file may name other files or addresses inside; only the file itself is read.
_OPTIONS = {"protocol_whitelist": "file"}


class _Decoded(NamedTuple):
    """One frame without its pixels: time and duration in ticks, key frame, stored (H, W), turn counterclockwise."""

    pts: int
    key: bool
    size: tuple[int, int]
    degrees: int
    duration: int


@dataclass(frozen=True)
class _Index:
    """What one pass over a file finds: presentation time of each frame, key frames, turn, size, end time."""

    pts: tuple[int, ...]
    keys: tuple[int, ...]
    quarter_turns: int
    size: tuple[int, int]
    times: NDArray[np.float64]
    end: float


class FileReader:
    """Frames of a video file; the fingerprint is the SHA-256 of its bytes."""

    def __init__(self, path: Path, video_id: str) -> None:
        self._path = path
        self._index = _scan(path)
        self._place = {pts: i for i, pts in enumerate(self._index.pts)}
        self._decoder: _Decoder | None = None
        self.meta = VideoMeta(
            video_id, str(path), self._index.size, self._index.times, self._index.end, file_sha256(path)
        )

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame once, uint8 [H, W, 3] RGB."""
        decoder = _Decoder(self._path)
        count = 0
        try:
            for frame in decoder.frames:
                yield _rgb(frame, self._index)
                count += 1
        except av.FFmpegError as error:
            raise _damaged(self._path, error) from error
        finally:
            decoder.close()
        if count != len(self._index.pts):
            raise VideoError(f"{self._path}: expected {len(self._index.pts)} frames as when opened, got {count}")

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """The frames at `indices`, uint8 [K, H, W, 3]; decodes from the nearest key frame before each.

        Rising indices are read in one sweep, also over several calls.
        """
        last = len(self._index.pts) - 1
        out = np.empty((len(indices), *self._index.size, 3), dtype=np.uint8)
        bad = [i for i in indices if not 0 <= i <= last]
        if bad:
            raise VideoError(f"{self._path}: expected frame indices in 0..{last}, got {bad[0]}")
        order = sorted(range(len(indices)), key=lambda place: indices[place])
        for at, place in enumerate(order):
            if at and indices[order[at - 1]] == indices[place]:
                out[place] = out[order[at - 1]]
            else:
                out[place] = self._fetch(indices[place])
        return out

    def close(self) -> None:
        """Let go of the file."""
        if self._decoder is not None:
            self._decoder.close()
        self._decoder = None

    def _fetch(self, index: int) -> NDArray[np.uint8]:
        """One frame: go on where the decoder stands, else from the last key frame, else from the start."""
        key = max(k for k in (0, *self._index.keys) if k <= index)
        try:
            if self._decoder is not None and key <= self._decoder.next <= index:
                frame = self._advance(index)
                if frame is not None:
                    return frame
            if key > 0:
                self._reopen().seek(self._index.pts[key])
                frame = self._advance(index)
                if frame is not None:
                    return frame
            # Some containers seek past the wanted frame: the slow way is always right.
            self._reopen()
            frame = self._advance(index)
        except av.FFmpegError as error:
            raise _damaged(self._path, error) from error
        if frame is None:
            raise VideoError(f"{self._path}: expected frame {index} as when opened, but it is no longer there")
        return frame

    def _advance(self, index: int) -> NDArray[np.uint8] | None:
        """Decode up to `index`; None where the decoder passes it by."""
        assert self._decoder is not None
        for frame in self._decoder.frames:
            place = self._place.get(frame.pts)
            if place is None or place < index:
                continue  # frames shown before the key frame that the decoder started from
            self._decoder.next = place + 1
            return _rgb(frame, self._index) if place == index else None
        return None

    def _reopen(self) -> _Decoder:
        self.close()
        self._decoder = _Decoder(self._path)
        return self._decoder


class _Decoder:
    """An open file: its frames in order of presentation, and the index of the one that comes next."""

    def __init__(self, path: Path) -> None:
        self._container = av.open(str(path), options=_OPTIONS)
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.frames: Iterator[av.VideoFrame] = self._container.decode(self._stream)
        self.next = 0

    def seek(self, pts: int) -> None:
        """Go on from the key frame at or before `pts`."""
        self._container.seek(pts, stream=self._stream, backward=True)
        self.frames = self._container.decode(self._stream)

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()


def _scan(path: Path) -> _Index:
    """Decode once without colours: which frames there are, when, and that none is damaged."""
    frames: list[_Decoded] = []
    try:
        with av.open(str(path), options=_OPTIONS) as container:
            if not container.streams.video:
                raise VideoError(f"{path}: expected a video stream, found none")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for packet in container.demux(stream):
                if packet.is_corrupt:
                    raise VideoError(f"{path}: expected a whole video, got one cut short after {len(frames)} frames")
                frames += [_decoded(path, frame) for frame in packet.decode()]
            tick, rate = float(stream.time_base or 0), float(stream.average_rate or 0)
            seekable = container.format.name != "gif"  # a GIF frame paints over those before it
    except av.FFmpegError as error:
        raise _damaged(path, error) from error
    if not frames:
        raise VideoError(f"{path}: expected at least one frame, got a video of none")
    _check(path, frames)
    times = np.asarray([frame.pts - min(frames[0].pts, 0) for frame in frames], dtype=np.float64) * tick
    steady = float(np.median(np.diff(times))) if len(times) > 1 else 1 / rate if rate else 1.0
    return _Index(
        pts=tuple(frame.pts for frame in frames),
        keys=tuple(i for i, frame in enumerate(frames) if frame.key) if seekable else (0,),
        quarter_turns=(frames[0].degrees // 90) % 4,
        size=frames[0].size[::-1] if frames[0].degrees % 180 else frames[0].size,
        times=times,
        end=float(times[-1]) + (frames[-1].duration * tick or steady),
    )


def _decoded(path: Path, frame: av.VideoFrame) -> _Decoded:
    if frame.pts is None:
        raise VideoError(f"{path}: expected a time for every frame, found one without")
    size = (frame.height, frame.width)
    return _Decoded(frame.pts, bool(frame.key_frame), size, int(frame.rotation), frame.duration or 0)


def _check(path: Path, frames: Sequence[_Decoded]) -> None:
    """Refuse times that do not rise, and sizes or turns that change."""
    for i, (before, after) in enumerate(pairwise(frames), start=1):
        if after.pts <= before.pts:
            raise VideoError(f"{path}: expected rising frame times, got {after.pts} after {before.pts} at frame {i}")
        if (after.size, after.degrees) != (before.size, before.degrees):
            (old_h, old_w), (new_h, new_w) = before.size, after.size
            raise VideoError(f"{path}: expected one frame size, {old_w}x{old_h} becomes {new_w}x{new_h} at frame {i}")
    if frames[0].degrees % 90:
        raise VideoError(f"{path}: expected a display turned by quarters, got {frames[0].degrees} degrees")


def _rgb(frame: av.VideoFrame, index: _Index) -> NDArray[np.uint8]:
    """uint8 [H, W, 3], turned counterclockwise as the display matrix says."""
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), index.quarter_turns))


def _damaged(path: Path, error: av.FFmpegError) -> VideoError:
    return VideoError(f"{path}: expected a video that can be decoded, got an error: {error.strerror or error}")
