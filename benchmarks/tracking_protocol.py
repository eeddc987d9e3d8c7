"""What every dataset of single-object tracking gives: videos, and the true boxes of each when they are asked for.

Knows text files of boxes and flags. Does not know any dataset. T frames; boxes are x, y, w, h in pixels, counted from
`origin` as the dataset counts them, since its evaluators compare them so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.annotation_files import read_lines
from benchmarks.metrics.boxes import Boxes, form
from benchmarks.protocol import BenchmarkVideo
from core.errors import AnnotationError, InputError

LARGEST: Final = 1e6  # pixels: beyond it a number is a mistake
TARGET: Final = "0"
"""The id of a tracking video's only object."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class BoxTruth:
    """The true boxes of a video and what its dataset says beside them.

    boxes: [T, 4], NaN where the split hides them.   origin: the coordinate of the first pixel, 0 or 1.
    absent: [T], whether the target is gone; None where nobody says.   cover: [T], visible share in eighths; None
    likewise.   size: (W, H) of the picture; None where no file says.   attributes: the dataset's names of difficulties.
    """

    boxes: Boxes
    origin: int
    absent: NDArray[np.bool_] | None = None
    cover: NDArray[np.int64] | None = None
    size: tuple[int, int] | None = None
    attributes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse flags that are not one a frame."""
        for name, values in (("absent", self.absent), ("cover", self.cover)):
            if values is not None and values.shape != self.boxes.shape[:1]:
                raise InputError(f"{name}: expected {len(self.boxes)} flags, one a frame, got {form(values)}")

    def corners(self) -> Boxes:
        """Boxes x1 y1 x2 y2 counted from 0, x2 and y2 exclusive, as prompts and answers have them, [T, 4]."""
        first = self.boxes[:, :2] - self.origin
        return np.concatenate([first, first + self.boxes[:, 2:]], axis=1)


class BoxReader(Protocol):
    """A split of a tracking dataset; its videos have one expression at most, of the only object TARGET."""

    @property
    def name(self) -> str:
        """The dataset's short name."""

    @property
    def split(self) -> str:
        """The split's name."""

    def __len__(self) -> int:
        """The number of videos."""

    def videos(self) -> Iterator[BenchmarkVideo]:
        """All videos, read as they are asked for."""

    def video(self, video_id: str) -> BenchmarkVideo:
        """One video; InputError for an unknown id."""

    def truth(self, video: BenchmarkVideo) -> BoxTruth:
        """The true boxes; AnnotationError where they are malformed."""


def read_boxes(path: Path, frames: int | None = None) -> Boxes:
    """Boxes of a text file, [T, 4]: four numbers a line between commas, tabs or spaces.

    Raises:
        AnnotationError: when the file cannot be read, a line is something else, or there are not `frames` lines; names
            file and line.
    """
    rows = []
    for place, line in read_lines(path):
        row = numbers(line, place)
        if len(row) != 4:
            raise AnnotationError(f"{place}: expected x, y, w, h, got {len(row)} numbers")
        rows.append(row)
    if not rows:
        raise AnnotationError(f"{path}: expected a box a line, got an empty file")
    if frames is not None and len(rows) != frames:
        raise AnnotationError(f"{path}: expected {frames} boxes, one a frame, got {len(rows)}")
    return np.array(rows, dtype=np.float64)


def read_flags(path: Path, frames: int, highest: int = 1) -> NDArray[np.int64]:
    """Whole numbers 0..`highest`, one a frame, [T]: on lines of their own or all on one line.

    Raises:
        AnnotationError: for other numbers or another count; names file and line.
    """
    values: list[int] = []
    for place, line in read_lines(path):
        for value in numbers(line, place):
            if value not in range(highest + 1):
                raise AnnotationError(f"{place}: expected whole numbers of 0..{highest}, got {value:g}")
            values.append(int(value))
    if len(values) != frames:
        raise AnnotationError(f"{path}: expected {frames} flags, one a frame, got {len(values)}")
    return np.array(values, dtype=np.int64)


def numbers(line: str, place: str) -> list[float]:
    """The numbers of a line between commas, tabs or spaces; NaN may be written as such.

    Raises:
        AnnotationError: for anything else, or a number that is no pixel.
    """
    words = [w for w in re.split(r"[,\s]+", line.strip()) if w]
    for word in words:
        if word.lower() != "nan" and not _NUMBER.fullmatch(word):
            raise AnnotationError(f"{place}: expected numbers, got {word[:40]!r}")
    values = [float(word) for word in words]
    if any(abs(value) > LARGEST for value in values):
        raise AnnotationError(f"{place}: expected numbers up to {LARGEST:g}, got {max(values, key=abs):g}")
    return values


def frame_files(folder: Path) -> tuple[str, ...]:
    """The names without suffix of a folder's JPEG and PNG files, in order; () where there is no folder."""
    return tuple(p.stem for p in sorted(folder.glob("*")) if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
