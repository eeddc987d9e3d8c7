"""Reads DiDeMo's annotations (`{split}_data.json`): runs of 5-second chunks, both ends included, from several people.

Videos have five or six chunks; the last may be shorter than 5 s, and the file does not say. Does not know videos.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from pydantic import Field

from benchmarks.annotation_files import Entry, Text, entries, once, validated
from benchmarks.moment_protocol import MomentQuery
from core.errors import AnnotationError

CHUNK: Final = 5.0  # seconds

_Chunk = Annotated[int, Field(ge=0, lt=1000)]
_Run = Annotated[list[_Chunk], Field(min_length=2, max_length=2)]


class _Annotation(Entry):
    annotation_id: int | str
    video: Text
    description: Text
    num_segments: Annotated[int, Field(gt=0)]
    times: Annotated[list[_Run], Field(min_length=1)]


@dataclass(frozen=True)
class ChunkQuery:
    """One sentence with the runs (first, last) of chunks that annotators chose, and the number of chunks."""

    id: str
    video_id: str
    text: str
    runs: tuple[tuple[int, int], ...]
    chunks: int


@dataclass(frozen=True)
class DidemoReader:
    """A split of DiDeMo."""

    path: Path
    split: str
    name: str = "didemo"

    def chunk_queries(self) -> Iterator[ChunkQuery]:
        """All queries in file order, with every annotator's run.

        Raises:
            AnnotationError: where an entry is malformed; names file and place.
        """
        seen: set[str] = set()
        for i, value in enumerate(entries(self.path, list)):
            place = f"{self.path}: entry {i}"
            query = _query(value, place)
            once(seen, query.id, f"{place}: annotation_id")
            yield query

    def queries(self) -> Iterator[MomentQuery]:
        """All queries with one window, that of the run most annotators chose (the first named among equals)."""
        for query in self.chunk_queries():
            (first, last), _ = Counter(query.runs).most_common(1)[0]
            window = np.array([[first * CHUNK, (last + 1) * CHUNK]])
            yield MomentQuery(query.id, query.video_id, query.text, None, window)


def open_didemo(path: Path, split: str | None = None) -> DidemoReader:
    """Open an annotation file; the split is taken from `{split}_data.json` unless given."""
    path = Path(path)
    if not path.is_file():
        raise AnnotationError(f"{path}: expected DiDeMo annotations, found no such file")
    return DidemoReader(path, split or path.stem.removesuffix("_data"))


def _query(value: Any, place: str) -> ChunkQuery:
    entry = validated(_Annotation, value, place)
    for i, (first, last) in enumerate(entry.times):
        if not first <= last < entry.num_segments:
            raise AnnotationError(
                f"{place}: times.{i}: expected first <= last below {entry.num_segments} chunks, got {first}..{last}"
            )
    runs = tuple((first, last) for first, last in entry.times)
    return ChunkQuery(str(entry.annotation_id), entry.video, entry.description, runs, entry.num_segments)
