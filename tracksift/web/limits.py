"""What one visitor may ask of the page: sizes of videos and texts, numbers of things, and how they are refused.

Knows numbers and how a file tells its size. Does not know sessions or pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av

from core.errors import InputError, VideoError
from core.validators import check_least
from core.video_files import SUFFIXES

# A playlist inside a file with a video's name would make the demuxer read other files: only these formats are opened.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif"


@dataclass(frozen=True)
class Limits:
    """The most of everything.

    megabytes: of an upload.   seconds, frames, pixels: of a video, pixels those of one frame.   characters: of a text.
    boxes, answers: of a session; the oldest answer is forgotten.   sessions: at once.   idle, grace: seconds after
    which a session is deleted, idle without a sign of life, grace when its tab seems gone, which a broken connection
    looks like too.
    """

    megabytes: int = 200
    seconds: float = 60.0
    frames: int = 600
    pixels: int = 1920 * 1088
    characters: int = 300
    boxes: int = 20
    answers: int = 50
    sessions: int = 24
    idle: float = 900.0
    grace: float = 40.0

    def __post_init__(self) -> None:
        """Refuse limits that allow nothing."""
        for name in ("megabytes", "frames", "pixels", "characters", "boxes", "answers", "sessions"):
            check_least(f"web limit {name}", getattr(self, name), 1)
        for name in ("seconds", "idle", "grace"):
            check_least(f"web limit {name}", getattr(self, name), 0.001, "seconds")

    @property
    def bytes(self) -> int:
        """Of an upload."""
        return self.megabytes * 1_000_000

    def sentence(self) -> str:
        """For people, beside the place where videos are dropped."""
        kinds = ", ".join(suffix[1:] for suffix in SUFFIXES)
        return f"{kinds}; up to {self.seconds:g} s, {self.frames} frames and {self.megabytes} MB"


def check_text(name: str, text: object, limits: Limits) -> str:
    """A visitor's text without blanks around it.

    Raises:
        InputError: for something else, a blank text, or one that is too long.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{name}: expected a few words, got none")
    words = " ".join(text.split())
    if len(words) > limits.characters:
        raise InputError(f"{name}: expected at most {limits.characters} characters, got {len(words)}")
    return words


def check_video(path: Path, limits: Limits) -> None:
    """Refuse a file that is no video or too large a one, having decoded no more of it than is allowed.

    A small file may unpack to any size, so that frames are counted and measured as they come, and no frame larger
    than allowed is ever given memory.

    Raises:
        VideoError: for what cannot be decoded.
        InputError: for too many frames, seconds or pixels.
    """
    count, start, end = 0, None, 0.0
    with _named(path), av.open(str(path), options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"}) as file:
        if not file.streams.video:
            raise VideoError(f"{path.name}: expected a video, got a file without pictures")
        stream = file.streams.video[0]
        _check_pixels(path, stream.codec_context.width, stream.codec_context.height, limits)
        stream.codec_context.options = {"max_pixels": str(limits.pixels)}  # for sizes that change on the way
        for frame in file.decode(stream):
            count += 1
            _check_pixels(path, frame.width, frame.height, limits)
            if count > limits.frames:
                raise InputError(f"{path.name}: expected at most {limits.frames} frames, got more")
            end = max(end, float(frame.time or 0.0))
            start = end if start is None else start
            if end - start > limits.seconds:
                raise InputError(f"{path.name}: expected at most {limits.seconds:g} seconds, got more")
    if not count:
        raise VideoError(f"{path.name}: expected at least one frame, got none")


def _check_pixels(path: Path, width: int, height: int, limits: Limits) -> None:
    if width * height > limits.pixels:
        side = f"{limits.pixels / 1e6:.1f} million pixels"
        raise InputError(f"{path.name}: expected frames of at most {side}, got {width} x {height}")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise VideoError(f"{path.name}: expected a video that can be decoded, got an error: {said}") from error
