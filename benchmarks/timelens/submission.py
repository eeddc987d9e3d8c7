"""TimeLens results, `{"VIDEO.mp4>>>QUERY>>>[START, END]": {"timestamps": [[start, end]], "answers": text}}`.

Written, read and checked. A key names the query by its true span, as TimeLens's evaluator wants. The authors' keys have
its numbers as the annotation's JSON does, [25, 30] in the benchmark, ours [25.0, 30.0]; both are read. Does not know
how results are scored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from benchmarks.annotation_files import Entry, Window, entries, validated
from benchmarks.moment_protocol import MomentQuery
from benchmarks.moment_scores import NO_WINDOWS, MomentPrediction
from benchmarks.submissions.check import Findings, SubmissionCheck
from core.atomic import atomic_path
from core.errors import AnnotationError, InputError


class _Result(Entry):
    timestamps: list[Window] | None = None
    answers: str = ""


def write_results(
    path: Path,
    queries: Iterable[MomentQuery],
    predictions: Mapping[str, MomentPrediction],
    texts: Mapping[str, str] | None = None,
) -> int:
    """Write a result a query, without timestamps where there is no prediction; returns their number.

    texts: the model's own words by query id.

    Raises:
        InputError: for a prediction of no query, or two queries of one text and span in a video.
    """
    results, left = {}, set(predictions)
    for query in queries:
        left.discard(query.id)
        found, key = predictions.get(query.id), _key(query)
        if key in results:
            raise InputError(f"results: expected each query once, got {key!r} twice")
        windows = NO_WINDOWS if found is None or found.windows is None else found.windows
        results[key] = {"timestamps": windows.tolist(), "answers": (texts or {}).get(query.id, "")}
    if left:
        raise InputError(f"predictions: expected queries of the split, got one of {min(left)!r}")
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(results, indent=1), encoding="utf-8")
    return len(results)


def read_results(path: Path, queries: Iterable[MomentQuery]) -> dict[str, MomentPrediction]:
    """Predictions by query id, of the queries that the file names.

    Raises:
        AnnotationError: where an entry is malformed; names file and key.
    """
    whole, found = _results(path), {}
    for query in queries:
        result = whole.get(_key(query))
        if result is not None:
            windows = np.array(result.timestamps or [], dtype=np.float64).reshape(-1, 2)
            found[query.id] = MomentPrediction(query.id, windows)
    return found


def check_results(path: Path, queries: Iterable[MomentQuery]) -> SubmissionCheck:
    """What is wrong with a result file for a split.

    Raises:
        AnnotationError: where the file cannot be read as results at all.
    """
    whole, findings = _results(path), Findings()
    entry_count = len(whole)
    for query in queries:
        result = whole.pop(_key(query), None)
        if result is None:
            findings.problem(f"{_key(query)}: expected a result, got none: the evaluator leaves the query out")
        elif not result.timestamps and not result.answers:
            findings.remark(f"{_key(query)}: expected timestamps or an answer, got neither: it counts as missed")
    findings.problems(f"{key}: expected a query of the split, got one that is not in it" for key in whole)
    return findings.result(entry_count)


def _results(path: Path) -> dict[str, _Result]:
    found: dict[str, _Result] = {}
    for key, value in entries(Path(path), dict).items():
        name = _in_floats(key)
        if name in found:
            raise AnnotationError(f"{path}: {key}: expected each query once, got it again")
        found[name] = validated(_Result, value, f"{path}: {key}")
    return found


def _in_floats(key: str) -> str:
    """A key whose span is written [0.0, 4.0] where it may be [0, 4]; any other as it is."""
    whose, mark, span = key.rpartition(">>>")
    try:
        start, end = json.loads(span)
        return f"{whose}{mark}{[float(start), float(end)]}"
    except (ValueError, TypeError, RecursionError):
        return key


def _key(query: MomentQuery) -> str:
    if query.windows is None:
        raise InputError(f"query {query.id!r}: expected its true window, which the format names, got none")
    return f"{query.video_id}.mp4>>>{query.text}>>>{query.windows[0].tolist()}"
