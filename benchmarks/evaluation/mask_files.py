"""Predicted masks as files, one PNG a frame: a zip as the servers take it, or a folder of the same layout.

`<video>/<expression>/<frame>.png`, also under `Annotations/`. As in the official evaluators any value but 0 is
foreground. Knows zips, folders and PNG. Does not know scores. T frames.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from PIL import Image

from benchmarks.metrics.bits import Masks
from benchmarks.protocol import BenchmarkVideo
from benchmarks.zip_files import open_zip, unpack
from core import rle
from core.errors import InputError
from core.types import Expression

FOLDERS: Final = ("", "Annotations/")
_MODES: Final = ("1", "L", "P")


class MaskSource(Protocol):
    """Where the predicted masks of expressions come from."""

    def masks(self, video: BenchmarkVideo, expression: Expression, size: rle.Size) -> Masks:
        """[T, H, W] of `size`; InputError where there is none, or it is of another form."""


@dataclass(frozen=True)
class MaskFiles:
    """PNG files by name; `read` gives their bytes, or None where there is no such file. Made by `open_mask_files`."""

    place: Path
    prefix: str
    read: Callable[[str], bytes | None]

    def masks(self, video: BenchmarkVideo, expression: Expression, size: rle.Size) -> Masks:
        """[T, H, W]; InputError where a frame is missing, no PNG of indices or grey, or of another size."""
        if video.frame_names is None:
            raise InputError(f"video {video.id!r}: expected named frames, got a video file")
        frames = [self._frame(f"{video.id}/{expression.id}/{Path(n).stem}.png", size) for n in video.frame_names]
        return np.stack(frames)

    def _frame(self, name: str, size: rle.Size) -> Masks:
        data = self.read(self.prefix + name)
        if data is None:
            raise InputError(f"{self.place}: expected {self.prefix}{name}, found none")
        try:
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                mode, values = image.mode, np.asarray(image)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise InputError(f"{self.place}: {name}: expected a PNG, got {error}") from error
        if mode not in _MODES or values.shape != size:
            got = f"mode {mode}, {'x'.join(map(str, values.shape))}"
            raise InputError(f"{self.place}: {name}: expected a grey or palette PNG of {size[0]}x{size[1]}, got {got}")
        foreground: Masks = values != 0
        return foreground


def open_mask_files(path: Path) -> MaskFiles:
    """Open a zip, or a folder; whether its masks lie under `Annotations/` is seen from it.

    Raises:
        InputError: when there is neither.
    """
    if path.is_dir():
        prefix = FOLDERS[(path / FOLDERS[1]).is_dir()]
        return MaskFiles(path, prefix, lambda name: _read(path / name))
    archive = open_zip(path, "a zip or a folder of masks")
    names = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
    prefix = FOLDERS[any(name.startswith(FOLDERS[1]) for name in names)]
    return MaskFiles(path, prefix, lambda name: _unpack(archive, names.get(name)))


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo | None) -> bytes | None:
    if entry is None:
        return None
    try:
        return unpack(archive, entry)
    except InputError as error:
        raise InputError(f"{archive.filename}: {entry.filename}: {error}") from error
