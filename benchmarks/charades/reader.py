"""Reads Charades-STA: the native text (`VIDEO START END##sentence`), or JSON with {image_id, caption, timestamp, id}.

The native file has no durations, and of its 3,720 test windows 562 end after their video does; both are kept as they
stand. Lighthouse's release with durations and clipped ends is JSON lines in QVHighlights' form: `open_qvhighlights`
reads it. Does not know videos.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.annotation_files import LONGEST, Entry, Text, Window, check_window, entries, once, read_lines, validated
from benchmarks.moment_protocol import MomentQuery
from core.errors import AnnotationError

_LINE: Final = re.compile(r"(\S+) (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)##(.*\S.*)", re.ASCII)


class _Annotation(Entry):
    image_id: Text
    caption: Text
    timestamp: Window
    id: int | str


@dataclass(frozen=True)
class CharadesReader:
    """A split of Charades-STA. Queries are numbered from 0 in file order, or keep their id where the file has one."""

    path: Path
    split: str
    name: str = "charades_sta"

    def queries(self) -> Iterator[MomentQuery]:
        """All queries in file order.

        Raises:
            AnnotationError: where a line or entry is malformed; names file and place.
        """
        return _from_json(self.path) if self.path.suffix == ".json" else _from_text(self.path)


def open_charades(path: Path, split: str | None = None) -> CharadesReader:
    """Open an annotation file; the split is taken from `charades_sta_{split}.txt` unless given."""
    path = Path(path)
    if not path.is_file():
        raise AnnotationError(f"{path}: expected Charades-STA annotations, found no such file")
    return CharadesReader(path, split or path.stem.removeprefix("charades_sta_"))


def _from_text(path: Path) -> Iterator[MomentQuery]:
    number = -1
    for number, (place, line) in enumerate(read_lines(path)):
        match = _LINE.fullmatch(line)
        if match is None:
            raise AnnotationError(f"{place}: expected 'VIDEO START END##sentence', got {line[:80]!r}")
        video, start, end, text = match.groups()
        yield _query(str(number), video, text, [float(start), float(end)], place)
    if number < 0:
        raise AnnotationError(f"{path}: expected a query a line, got an empty file")


def _from_json(path: Path) -> Iterator[MomentQuery]:
    seen: set[str] = set()
    for i, value in enumerate(entries(path, list, "annotations")):
        place = f"{path}: annotations.{i}"
        entry = validated(_Annotation, value, place)
        once(seen, str(entry.id), f"{place}: id")
        video = entry.image_id.removesuffix(".mp4")
        yield _query(str(entry.id), video, entry.caption, entry.timestamp, place)


def _query(query_id: str, video: str, text: str, window: list[float], place: str) -> MomentQuery:
    check_window(window, place)
    if window[1] > LONGEST:
        raise AnnotationError(f"{place}: expected seconds up to {LONGEST:g}, got {window[1]:g}")
    return MomentQuery(query_id, video, text, None, np.array([window], dtype=np.float64))
