"""Reads ElysiumTrack-1M and RSOT: JSON lines, one object of a video each, boxes as shares of the picture.

A line: {"id", "vid", "frames": [paths], "box": [[x1, y1, x2, y2] in 0..1], "frame_size": [W, H], "object_class",
"object_description", "source", "metadata"}. A video here is a line, since a line has one object; its id is the line's,
or `vid` where it has none. Lines stay in the file: only their places are kept. Does not know how frames are decoded.
T frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated

import numpy as np
from pydantic import Field

from benchmarks.annotation_files import Entry, Text, once, read_json_lines, validated
from benchmarks.metrics.boxes import from_corners
from benchmarks.protocol import BenchmarkVideo
from benchmarks.tracking_protocol import TARGET, BoxTruth
from core.errors import AnnotationError, InputError
from core.types import Expression

# A share of the picture; a box may reach a little over its edge, but a number of pixels is no share.
Share = Annotated[float, Field(ge=-1, le=2, allow_inf_nan=False)]
Pixels = Annotated[int, Field(ge=1, le=100_000)]


class _Line(Entry):
    id: int | Text | None = None
    vid: int | Text
    frames: Annotated[list[Text], Field(min_length=1)]
    box: list[Annotated[list[Share], Field(min_length=4, max_length=4)]]
    frame_size: Annotated[list[Pixels], Field(min_length=2, max_length=2)]
    object_class: str | None = None
    object_description: str | None = None


@dataclass(frozen=True)
class ElysiumTrackReader:
    """A file of ElysiumTrack lines. Made by `open_elysium_track`."""

    path: Path
    images: Path
    split: str
    places: Mapping[str, int] = field(repr=False)  # id -> byte at which its line starts
    name: str = "elysium_track"

    def __len__(self) -> int:
        """The number of lines: objects, not videos."""
        return len(self.places)

    def videos(self) -> Iterator[BenchmarkVideo]:
        """All lines in file order, one in memory at a time."""
        return map(self.video, self.places)  # goes on after a line that cannot be read

    def video(self, video_id: str) -> BenchmarkVideo:
        """One line; InputError for an unknown id."""
        line, frames = self._line(video_id), []
        for text in line.frames:
            path = PurePosixPath(text)
            if path.is_absolute() or ".." in path.parts or "\0" in text:
                raise AnnotationError(
                    f"{self._place(video_id)}: frames: expected paths under a folder, got {text[:80]!r}"
                )
            frames.append(path)
        folders = {path.parent for path in frames}
        if len(folders) > 1:
            raise AnnotationError(f"{self._place(video_id)}: frames: expected one folder, got {len(folders)}")
        text = (line.object_description or line.object_class or "").strip()
        expressions = (Expression("0", text, (TARGET,)),) if text else ()
        names = tuple(path.name for path in frames)
        return BenchmarkVideo(video_id, self.images / folders.pop(), names, None, expressions, (TARGET,))

    def truth(self, video: BenchmarkVideo) -> BoxTruth:
        """Boxes in pixels counted from 0, and the size of the picture."""
        line = self._line(video.id)
        width, height = line.frame_size
        corners = np.array(line.box, dtype=np.float64) * [width, height, width, height]
        return BoxTruth(from_corners(corners), 0, size=(width, height))

    def _line(self, video_id: str) -> _Line:
        if video_id not in self.places:
            raise InputError(f"{self.path}: expected a line {video_id!r}, got {len(self.places)} others")
        with self.path.open("rb") as handle:
            handle.seek(self.places[video_id])
            try:
                value = json.loads(handle.readline())
            except ValueError as error:
                raise AnnotationError(f"{self._place(video_id)}: expected the line as it was, got {error}") from error
        return validated(_Line, value, self._place(video_id))

    def _place(self, video_id: str) -> str:
        return f"{self.path}: id {video_id}"


def open_elysium_track(path: Path, images: Path | None = None) -> ElysiumTrackReader:
    """Open a file of JSON lines, reading it through once; `images` is where its frame paths start (its own folder).

    Raises:
        AnnotationError: for a missing file or a malformed line; names file, line and key.
    """
    path = Path(path)
    places: dict[str, int] = {}
    seen: set[str] = set()
    for (place, value), start in zip(read_json_lines(path), _starts(path), strict=True):
        line = validated(_Line, value, place)
        if len(line.box) != len(line.frames):
            raise AnnotationError(f"{place}: box: expected {len(line.frames)}, one a frame, got {len(line.box)}")
        for frame, (x1, y1, x2, y2) in enumerate(line.box):
            if x2 < x1 or y2 < y1:
                raise AnnotationError(f"{place}: box.{frame}: expected x1 <= x2 and y1 <= y2, got {[x1, y1, x2, y2]}")
        name = str(line.id if line.id is not None else line.vid)
        once(seen, name, f"{place}: id")
        places[name] = start
    if not places:
        raise AnnotationError(f"{path}: expected a JSON object a line, got an empty file")
    return ElysiumTrackReader(path, path.parent if images is None else Path(images), path.stem, places)


def _starts(path: Path) -> Iterator[int]:
    """The byte at which each line that is not blank starts."""
    with path.open("rb") as handle:
        start = 0
        for line in handle:
            if line.decode("utf-8", "replace").strip():  # as the reader of lines finds them blank
                yield start
            start += len(line)
