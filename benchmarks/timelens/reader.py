"""Reads TimeLens-style files: `{video: {duration, spans, queries}}`, or JSON lines `{video_path, duration, events}`.

The first is TimeLens-Bench, a span a query; the second TimeLens-100K, whose events have a query and its spans. Does
not know videos.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from benchmarks.annotation_files import (
    Entry,
    Seconds,
    Text,
    Window,
    check_window,
    entries,
    read_json_lines,
    validated,
)
from benchmarks.moment_protocol import MomentQuery
from core.errors import AnnotationError


class _Video(Entry):
    duration: Annotated[Seconds, Field(gt=0)]
    spans: list[Window]
    queries: list[Text]


class _Event(Entry):
    query: Text
    span: Annotated[list[Window], Field(min_length=1)]


class _Line(Entry):
    video_path: Text
    duration: Annotated[Seconds, Field(gt=0)]
    events: list[_Event]


@dataclass(frozen=True)
class TimeLensReader:
    """One file of TimeLens; the split is its name. Query ids are `VIDEO_NUMBER`, numbered from 0 in each video."""

    path: Path
    split: str
    name: str = "timelens"

    def queries(self) -> Iterator[MomentQuery]:
        """All queries in file order, blanks folded and full stops at the ends taken off, as its authors do.

        Raises:
            AnnotationError: where an entry is malformed; names file and key.
        """
        return _from_lines(self.path) if self.path.suffix == ".jsonl" else _from_json(self.path)


def open_timelens(path: Path, split: str | None = None) -> TimeLensReader:
    """Open a file; the split is its name (charades-timelens, ...) unless given."""
    path = Path(path)
    if not path.is_file():
        raise AnnotationError(f"{path}: expected TimeLens annotations, found no such file")
    return TimeLensReader(path, split or path.stem)


def _from_json(path: Path) -> Iterator[MomentQuery]:
    for video, value in entries(path, dict).items():
        place = f"{path}: {video}"
        entry = validated(_Video, value, place)
        if len(entry.spans) != len(entry.queries):
            raise AnnotationError(
                f"{place}: expected one span a query, got {len(entry.spans)} for {len(entry.queries)} queries"
            )
        for i, (span, text) in enumerate(zip(entry.spans, entry.queries, strict=True)):
            yield _query(f"{place}: {i}", video, i, text, entry.duration, [span])


def _from_lines(path: Path) -> Iterator[MomentQuery]:
    numbers: dict[str, int] = {}  # a video may come in several lines
    for place, value in read_json_lines(path):
        line = validated(_Line, value, place)
        video = line.video_path.removesuffix(".mp4")
        for event in line.events:
            number = numbers.get(video, 0)
            numbers[video] = number + 1
            yield _query(f"{place}: {number}", video, number, event.query, line.duration, event.span)


def _query(place: str, video: str, number: int, text: str, duration: float, spans: list[list[float]]) -> MomentQuery:
    for span in spans:
        check_window(span, place)
    words = " ".join(text.split()).strip(".").strip()
    if not words:
        raise AnnotationError(f"{place}: expected a query, got {text!r}")
    return MomentQuery(f"{video}_{number}", video, words, duration, np.array(spans, dtype=np.float64))
