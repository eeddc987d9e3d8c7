"""Reads OTB's layout: `<Sequence>/groundtruth_rect.txt` and `<Sequence>/img/0001.jpg`.

Boxes count from 1, between commas, tabs or spaces, BlurCar1's between two of them. Two targets of a sequence are two
videos, `Jogging.1` and `Jogging.2`, in the order of their files; an empty file (Human4 has one) is no target. Five
sequences are annotated in a part of their frames only, and three count their frames from another number than 1. As in
the GOT-10k toolkit, whose names of targets these are, all of Tiger1 is scored. Does not know how frames are decoded.
T frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.annotation_files import read_text
from benchmarks.protocol import BenchmarkVideo, named
from benchmarks.tracking_protocol import TARGET, BoxTruth, frame_files, read_boxes
from core.errors import AnnotationError, InputError

FPS: Final = 30.0
# Sequence -> first and last annotated frame, from 1 (the benchmark's page; the GOT-10k toolkit has the same).
PARTS: Final = {
    "david": (300, 770),
    "football1": (1, 74),
    "freeman3": (1, 460),
    "freeman4": (1, 283),
    "diving": (1, 215),
}
# Sequence -> the number of its first picture, where pictures are not at hand to say so.
STARTS: Final = {"blurcar1": 247, "blurcar3": 3, "blurcar4": 18}


@dataclass(frozen=True)
class OtbReader:
    """All sequences of a folder in OTB's layout. Made by `open_otb`."""

    root: Path
    listed: Mapping[str, Path] = field(repr=False)  # video -> its box file
    split: str = "all"
    name: str = "otb"

    def __len__(self) -> int:
        """The number of videos: targets, not folders."""
        return len(self.listed)

    def videos(self) -> Iterator[BenchmarkVideo]:
        """All videos by name; each is read when it is asked for."""
        return map(self._video, self.listed)  # goes on after a sequence that cannot be read

    def video(self, video_id: str) -> BenchmarkVideo:
        """One video; InputError for an unknown name."""
        named(self.listed, video_id, self.root)
        return self._video(video_id)

    def truth(self, video: BenchmarkVideo) -> BoxTruth:
        """Boxes counted from 1, and the attributes of `attrs.txt` where it is.

        Raises:
            AnnotationError: where a file is malformed.
        """
        path = self.listed[video.id]
        boxes = read_boxes(path, None if video.frame_names is None else len(video.frame_names))
        note = path.with_name("attrs.txt")
        words = read_text(note).replace(",", " ").split() if note.is_file() else []
        return BoxTruth(boxes, 1, attributes=tuple(words))

    def _video(self, name: str) -> BenchmarkVideo:
        path = self.listed[name]
        boxes = len(read_boxes(path))
        sequence = path.parent.name.lower()
        first, last = PARTS.get(sequence, (1, None))
        names = frame_files(path.parent / "img")[first - 1 : last]
        first = STARTS.get(sequence, first)
        names = names or tuple(f"{i:04d}" for i in range(first, first + boxes))
        if len(names) != boxes:
            raise AnnotationError(f"{path}: expected {len(names)} boxes, one a frame of img/, got {boxes}")
        return BenchmarkVideo(name, path.parent / "img", names, FPS, (), (TARGET,))


def open_otb(root: Path) -> OtbReader:
    """Open a folder of sequences; InputError when it holds none."""
    root = Path(root)
    listed: dict[str, Path] = {}
    for folder in sorted({p.parent for p in root.glob("*/groundtruth_rect*.txt")}):
        files = [p for p in sorted(folder.glob("groundtruth_rect*.txt")) if p.stat().st_size and read_text(p).strip()]
        several = len(files) > 1
        listed |= {f"{folder.name}.{i}" if several else folder.name: p for i, p in enumerate(files, start=1)}
    if not listed:
        raise InputError(f"{root}: expected <Sequence>/groundtruth_rect.txt, found none")
    return OtbReader(root, listed)
