"""Reads TimeLens-style files: `{video: {duration, spans, queries}}`, or JSON lines `{video_path, duration, events}`.

The first is TimeLens-Bench, a span a query; the second TimeLens-100K, whose events have a query and its spans. Results
are `{"VIDEO.mp4>>>QUERY>>>[START, END]": {"timestamps": [[start, end]], "answers": text}}`. Does not know videos.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
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
from core.atomic import atomic_path
from core.errors import AnnotationError, InputError


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


def write_results(
    path: Path, queries: Iterable[MomentQuery], predictions: Mapping[str, tuple[NDArray[np.float64], str]]
) -> int:
    """Write results as TimeLens takes them: query id -> windows [K, 2] and the model's text; returns their number.

    A query without a prediction is written without timestamps, so that it counts as missed.

    Raises:
        InputError: for two queries of one text and window in a video, which the format cannot tell apart.
    """
    results: dict[str, Any] = {}
    for query in queries:
        if query.windows is None:
            raise InputError(f"query {query.id!r}: expected its true window, which the format names, got none")
        windows, text = predictions.get(query.id, (np.zeros((0, 2)), ""))
        key = f"{query.video_id}.mp4>>>{query.text}>>>{query.windows[0].tolist()}"
        if key in results:
            raise InputError(f"results: expected each query once, got {key!r} twice")
        results[key] = {"timestamps": windows.tolist(), "answers": text}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(results, indent=1), encoding="utf-8")
    return len(results)


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
