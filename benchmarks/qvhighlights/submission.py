"""QVHighlights submissions (`hl_{split}_submission.jsonl`): read, written and checked against a split.

A line holds qid, query, vid, pred_relevant_windows [[start, end, score], ...] and pred_saliency_scores, one a clip; a
submission to one task alone leaves the other's key out. Knows this format. Does not know how a prediction is scored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from benchmarks.annotation_files import Entry, entries, once, read_json_lines, validated
from benchmarks.moment_protocol import MomentQuery
from benchmarks.moment_scores import NO_WINDOWS, MomentPrediction
from benchmarks.qvhighlights.reader import CLIP
from benchmarks.submissions.check import Findings, SubmissionCheck
from core.atomic import atomic_path
from core.errors import AnnotationError, InputError

Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]


class _Line(Entry):
    qid: int | str
    pred_relevant_windows: list[Annotated[list[Finite], Field(min_length=2, max_length=3)]] | None = None
    pred_saliency_scores: list[Finite] | None = None


def read_predictions(path: Path) -> dict[str, MomentPrediction]:
    """Predictions by query id, from JSON lines or from a JSON array of the same objects.

    Raises:
        AnnotationError: where a line is malformed or a qid comes twice; names file, line and key.
    """
    found: dict[str, MomentPrediction] = {}
    seen: set[str] = set()
    for place, value in _values(Path(path)):
        line = validated(_Line, value, place)
        once(seen, str(line.qid), f"{place}: qid")
        found[str(line.qid)] = _prediction(line, place)
    return found


def write_submission(path: Path, queries: Iterable[MomentQuery], predictions: Mapping[str, MomentPrediction]) -> int:
    """Write a line a query, an empty answer where there is no prediction; returns the number of lines.

    Raises:
        InputError: for a prediction of no query, or a query whose id is no number (the server's ids are).
    """
    left = set(predictions)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as handle:
        lines = 0
        for query in queries:
            if not query.id.isdecimal():
                raise InputError(f"query {query.id!r}: expected a qid that is a number, as QVHighlights has")
            left.discard(query.id)
            handle.write(json.dumps(_line(query, predictions.get(query.id, MomentPrediction(query.id)))) + "\n")
            lines += 1
        if left:
            raise InputError(f"submission: expected predictions of the split's queries, got one of {min(left)!r}")
    return lines


def check_submission(path: Path, queries: Iterable[MomentQuery]) -> SubmissionCheck:
    """What is wrong with a submission for a split.

    Raises:
        AnnotationError: where the file cannot be read as a submission at all.
    """
    predictions, findings = read_predictions(path), Findings()
    lines = len(predictions)
    for query in queries:
        found = predictions.pop(query.id, None)
        if found is None:
            findings.problem(f"qid {query.id}: expected a line, got none")
            continue
        findings.problems(f"qid {query.id}: {problem}" for problem in _problems(found))
        for remark in _remarks(query, found):
            findings.remark(f"qid {query.id}: {remark}")
    findings.problems(f"qid {i}: expected a query of the split, got one that is not in it" for i in predictions)
    return findings.result(lines)


def _problems(found: MomentPrediction) -> Iterator[str]:
    if found.windows is not None and len(found.windows) == 0:
        yield "expected at least one window, got none"
    elif found.windows is not None and found.scores is None:
        yield "expected [start, end, score], got windows without a score"


def _remarks(query: MomentQuery, found: MomentPrediction) -> Iterator[str]:
    windows = NO_WINDOWS if found.windows is None else found.windows
    if (windows[:, 0] >= windows[:, 1]).any():
        yield "expected start < end, got a window that is not"
    if query.duration is None:
        return
    if (windows < 0).any() or (windows > query.duration).any():
        yield f"expected windows in 0..{query.duration:g} seconds, got one beyond"
    clips = int(query.duration / CLIP)
    if found.saliency is not None and len(found.saliency) != clips:
        yield f"expected {clips} saliency scores, got {len(found.saliency)}"


def _values(path: Path) -> Iterator[tuple[str, Any]]:
    if path.suffix == ".json":
        listed = entries(path, list)
        yield from ((f"{path}: entry {i}", value) for i, value in enumerate(listed))
    else:
        yield from read_json_lines(path)


def _prediction(line: _Line, place: str) -> MomentPrediction:
    saliency = None if line.pred_saliency_scores is None else np.array(line.pred_saliency_scores, dtype=np.float64)
    rows = line.pred_relevant_windows
    if not rows:
        return MomentPrediction(str(line.qid), None if rows is None else NO_WINDOWS, None, saliency)
    if len({len(row) for row in rows}) > 1:
        raise AnnotationError(f"{place}: pred_relevant_windows: expected a score for every window or none, got some")
    table = np.array(rows, dtype=np.float64)  # [K, 2 or 3]
    return MomentPrediction(str(line.qid), table[:, :2], table[:, 2] if table.shape[1] == 3 else None, saliency)


def _line(query: MomentQuery, prediction: MomentPrediction) -> dict[str, Any]:
    windows = NO_WINDOWS if prediction.windows is None else prediction.windows
    scores = np.linspace(1, 0, len(windows)) if prediction.scores is None else prediction.scores
    line: dict[str, Any] = {"qid": int(query.id), "query": query.text, "vid": query.video_id}
    rows = zip(windows.tolist(), scores.tolist(), strict=True)
    line["pred_relevant_windows"] = [[*window, round(score, 4)] for window, score in rows]
    if prediction.saliency is not None:
        line["pred_saliency_scores"] = prediction.saliency.tolist()
    return line
