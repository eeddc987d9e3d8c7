"""Reads GOT-10k's layout: `<split>/list.txt`, and a folder a sequence with groundtruth.txt, cover.label and its frames.

The test split gives the first box alone; the others are NaN. Boxes count from 1. Does not know how frames are decoded.
T frames.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.annotation_files import once, read_lines, read_text
from benchmarks.protocol import BenchmarkVideo, named
from benchmarks.tracking_protocol import TARGET, BoxTruth, frame_files, read_boxes, read_flags
from core.errors import AnnotationError, InputError

FPS: Final = 10.0
COVER: Final = 8  # cover.label counts eighths


@dataclass(frozen=True)
class Got10kReader:
    """A split of GOT-10k. Made by `open_got10k`."""

    folder: Path
    split: str
    listed: Mapping[str, Path] = field(repr=False)  # sequence -> its folder
    name: str = "got10k"

    def __len__(self) -> int:
        """The number of sequences."""
        return len(self.listed)

    def videos(self) -> Iterator[BenchmarkVideo]:
        """All sequences in the order of the list; each is read when it is asked for."""
        return map(self._video, self.listed)  # goes on after a sequence that cannot be read

    def video(self, video_id: str) -> BenchmarkVideo:
        """One sequence; InputError for an unknown name."""
        named(self.listed, video_id, self.folder)
        return self._video(video_id)

    def truth(self, video: BenchmarkVideo) -> BoxTruth:
        """Boxes counted from 1; visible share and size of the picture where their files are.

        Raises:
            AnnotationError: where a file is missing or malformed, or there are not as many boxes as frames.
        """
        folder = self.listed[video.id]
        path, frames = folder / "groundtruth.txt", len(video.frame_names or ())
        boxes = read_boxes(path)
        if len(boxes) == 1 and frames > 1 and self.split == "test":
            boxes = np.concatenate([boxes, np.full((frames - 1, 4), np.nan)])
        if len(boxes) != frames:
            raise AnnotationError(f"{path}: expected {frames} boxes, one a frame, got {len(boxes)}")
        label, meta = folder / "cover.label", folder / "meta_info.ini"
        cover = read_flags(label, frames, COVER) if label.is_file() else None
        return BoxTruth(boxes, 1, cover=cover, size=_resolution(meta) if meta.is_file() else None)

    def _video(self, name: str) -> BenchmarkVideo:
        folder = self.listed[name]
        names = frame_files(folder)
        names = names or tuple(f"{i:08d}" for i in range(1, len(read_boxes(folder / "groundtruth.txt")) + 1))
        return BenchmarkVideo(name, folder, names, FPS, (), (TARGET,))


def open_got10k(root: Path, split: str) -> Got10kReader:
    """Open `root/split`.

    Raises:
        InputError: when the split has no list.
        AnnotationError: when the list is malformed or names a sequence without a folder.
    """
    folder = Path(root) / split
    listing = folder / "list.txt"
    if not listing.is_file():
        raise InputError(f"{listing}: expected the list of sequences, found no such file")
    seen: set[str] = set()
    listed = {}
    for place, line in read_lines(listing):
        name = line.strip()
        if any(c in name for c in "/\\\0") or name in {".", ".."} or not (folder / name).is_dir():
            raise AnnotationError(f"{place}: expected the name of a folder beside the list, got {name[:80]!r}")
        once(seen, name, place)
        listed[name] = folder / name
    if not listed:
        raise AnnotationError(f"{listing}: expected a sequence a line, got an empty file")
    return Got10kReader(folder, split, listed)


def _resolution(path: Path) -> tuple[int, int]:
    """(W, H) of the line `resolution: (W, H)`."""
    found = re.search(r"^resolution:\s*\((\d{1,6}),\s*(\d{1,6})\)\s*$", read_text(path), re.MULTILINE | re.ASCII)
    if found is None or "0" in found.groups():
        raise AnnotationError(f"{path}: expected a line 'resolution: (W, H)', got none")
    return int(found[1]), int(found[2])
