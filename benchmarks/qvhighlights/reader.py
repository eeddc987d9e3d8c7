"""Reads QVHighlights' annotations (`highlight_{split}_release.jsonl`), a line at a time.

Keys: qid, query, vid, duration; where the split shows them relevant_windows, relevant_clip_ids and saliency_scores.
Other releases in the same form (such as Charades-STA's by lighthouse) leave the last two out. Does not know videos.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from benchmarks.annotation_files import Entry, Seconds, Text, Window, check_window, once, read_json_lines, validated
from benchmarks.moment_protocol import MomentQuery
from core.errors import AnnotationError

CLIP: Final = 2.0  # seconds of a clip
ANNOTATORS: Final = 3

_Score = Annotated[int, Field(ge=0, le=4)]


class _Line(Entry):
    qid: int | str
    query: Text
    vid: Text
    duration: Annotated[Seconds, Field(gt=0)]
    relevant_windows: Annotated[list[Window], Field(min_length=1)] | None = None
    relevant_clip_ids: list[Annotated[int, Field(ge=0)]] | None = None
    saliency_scores: list[Annotated[list[_Score], Field(min_length=ANNOTATORS, max_length=ANNOTATORS)]] | None = None


@dataclass(frozen=True)
class QvHighlightsReader:
    """A split in QVHighlights' form."""

    path: Path
    split: str
    name: str = "qvhighlights"

    def queries(self) -> Iterator[MomentQuery]:
        """All queries in file order.

        Raises:
            AnnotationError: where a line is malformed or a qid comes twice; names file, line and key.
        """
        seen: set[str] = set()
        for place, value in read_json_lines(self.path):
            query = _query(value, place)
            once(seen, query.id, f"{place}: qid")
            yield query
        if not seen:
            raise AnnotationError(f"{self.path}: expected a query a line, got an empty file")


def open_qvhighlights(path: Path, split: str | None = None) -> QvHighlightsReader:
    """Open an annotation file; the split is taken from `highlight_{split}_release.jsonl` unless given."""
    path = Path(path)
    if not path.is_file():
        raise AnnotationError(f"{path}: expected QVHighlights annotations, found no such file")
    return QvHighlightsReader(path, split or path.stem.removeprefix("highlight_").removesuffix("_release"))


def _query(value: Any, place: str) -> MomentQuery:
    line = validated(_Line, value, place)
    for i, window in enumerate(line.relevant_windows or ()):
        check_window(window, f"{place}: relevant_windows.{i}")
    windows = None if line.relevant_windows is None else np.array(line.relevant_windows, dtype=np.float64)
    return MomentQuery(str(line.qid), line.vid, line.query, line.duration, windows, _saliency(line, place))


def _saliency(line: _Line, place: str) -> NDArray[np.float64] | None:
    """Scores of all int(duration / 2) clips [B, 3]; 0 for the clips that the annotation does not list."""
    clips, scores = line.relevant_clip_ids, line.saliency_scores
    if clips is None or scores is None:
        return None
    whole = np.zeros((int(line.duration / CLIP), ANNOTATORS))
    if len(clips) != len(scores):
        raise AnnotationError(f"{place}: saliency_scores: expected {len(clips)}, one a clip, got {len(scores)}")
    if len(set(clips)) != len(clips):
        raise AnnotationError(f"{place}: relevant_clip_ids: expected each clip once, got one twice")
    if clips and max(clips) >= len(whole):
        raise AnnotationError(f"{place}: relevant_clip_ids: expected clips below {len(whole)}, got {max(clips)}")
    if clips:
        whole[clips] = scores
    return whole
