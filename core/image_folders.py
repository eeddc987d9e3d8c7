"""A folder of JPEG or PNG frames as a video.

Knows image files and their order. Does not know where times come from: frames a second are given.
Every image is decoded fully when it is read: half a JPEG is an error, never a grey half.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from core.errors import VideoError
from core.types import VideoMeta

SUFFIXES = (".jpg", ".jpeg", ".png")
# Sixteen-bit and float images are left out: converting them to eight bits would clip them.
_MODES = frozenset({"RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr"})
_ORIENTATION = 0x0112  # EXIF tag; 5 to 8 are turned by 90 degrees
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


class FolderReader:
    """Frames of a folder; sizes are checked when it is opened, contents when they are read.

    The order is that of `frame_names`, else by number where every name is one, else by name. The fingerprint is the
    SHA-256 over names and bytes.
    """

    def __init__(self, folder: Path, video_id: str, fps: float, frame_names: Sequence[str] | None = None) -> None:
        if not (np.isfinite(fps) and fps > 0):
            raise VideoError(f"{folder}: expected more than 0 frames a second, got {fps}")
        self._paths = _listed(folder) if frame_names is None else [_find(folder, name) for name in frame_names]
        if not self._paths:
            raise VideoError(f"{folder}: expected JPEG or PNG frames, found none")
        self._size = _common_size(self._paths)
        times = np.arange(len(self._paths), dtype=np.float64) / fps
        end = len(self._paths) / fps
        self.meta = VideoMeta(video_id, str(folder), self._size, times, end, _fingerprint(self._paths))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The images, in order."""
        return tuple(self._paths)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame once, uint8 [H, W, 3] RGB."""
        return (self._load(path) for path in self._paths)

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """The frames at `indices`, uint8 [K, H, W, 3]."""
        out = np.empty((len(indices), *self._size, 3), dtype=np.uint8)
        for place, index in enumerate(indices):
            if not 0 <= index < len(self._paths):
                raise VideoError(
                    f"{self.meta.source}: expected frame indices in 0..{len(self._paths) - 1}, got {index}"
                )
            out[place] = self._load(self._paths[index])
        return out

    def close(self) -> None:
        """Nothing is held open."""

    def _load(self, path: Path) -> NDArray[np.uint8]:
        try:
            with Image.open(path) as image:
                frame = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except _UNREADABLE as error:
            raise VideoError(f"{path}: expected a whole JPEG or PNG image, got a broken one: {error}") from error
        if frame.shape[:2] != self._size:
            raise VideoError(f"{path}: expected {_size_text(self._size)} as when opened, got {_size_text(frame.shape)}")
        return frame


def _listed(folder: Path) -> list[Path]:
    """Images of the folder, by number where every name is one, else by name."""
    paths = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    numbered = all(p.stem.isascii() and p.stem.isdigit() for p in paths)
    keyed = sorted((int(p.stem) if numbered else 0, p.stem.lstrip("0") if numbered else p.stem, p.name) for p in paths)
    for before, after in pairwise(keyed):
        if before[:2] == after[:2]:
            raise VideoError(f"{folder}: expected one image a frame, got both {before[2]} and {after[2]}")
    return [folder / name for _, _, name in keyed]


def _find(folder: Path, name: str) -> Path:
    """The image of a frame's name, given with or without suffix."""
    if Path(name).name != name:
        raise VideoError(f"{folder}: expected frame names without folders, got {name!r}")
    for candidate in (name, *(name + suffix for suffix in SUFFIXES)):
        path = folder / candidate
        if path.suffix.lower() in SUFFIXES and path.is_file():
            return path
    raise VideoError(f"{folder}: expected a JPEG or PNG for frame {name!r}, found none")


def _common_size(paths: Sequence[Path]) -> tuple[int, int]:
    """(H, W) of all images, from their headers."""
    first: tuple[int, int] | None = None
    for path in paths:
        try:
            with Image.open(path) as image:
                mode, (width, height) = image.mode, image.size
                turned = image.getexif().get(_ORIENTATION, 1) >= 5
        except _UNREADABLE as error:
            raise VideoError(f"{path}: expected a JPEG or PNG image, got one that cannot be opened: {error}") from error
        if mode not in _MODES:
            raise VideoError(f"{path}: expected 8 bits a channel, got an image of mode {mode}")
        size = (width, height) if turned else (height, width)
        first = first or size
        if size != first:
            raise VideoError(
                f"{path}: expected {_size_text(first)} like {paths[0].name}, got {_size_text(size)}; "
                "all frames of a folder must have one size"
            )
    assert first is not None
    return first


def _size_text(size: tuple[int, ...]) -> str:
    return f"{size[1]}x{size[0]}"


def _fingerprint(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as handle:
            inner = hashlib.file_digest(handle, "sha256").hexdigest()
        digest.update(f"{path.name}\0{inner}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
