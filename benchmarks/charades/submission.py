"""Charades-STA prediction files, `{id: {"timestamp": [[start, end], ...], "query", "vid"}}`: read, written and checked.

The evaluators of TimeChat and VTG-LLM take them; only the first window counts. Does not know how they are scored.
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
from core.errors import InputError


class _Prediction(Entry):
    timestamp: list[Window]


def read_predictions(path: Path) -> dict[str, MomentPrediction]:
    """Predictions by query id, the first window being the answer.

    Raises:
        AnnotationError: where an entry is malformed; names file and key.
    """
    found = {}
    for key, value in entries(Path(path), dict).items():
        windows = validated(_Prediction, value, f"{path}: {key}").timestamp
        found[key] = MomentPrediction(key, np.array(windows, dtype=np.float64).reshape(-1, 2))
    return found


def write_predictions(path: Path, queries: Iterable[MomentQuery], predictions: Mapping[str, MomentPrediction]) -> int:
    """Write an entry a query, without windows where there is no prediction; returns their number.

    Raises:
        InputError: for a prediction of no query, or a query whose id is no number (evaluators read numbers).
    """
    whole, left = {}, set(predictions)
    for query in queries:
        if not query.id.isdecimal():
            raise InputError(f"query {query.id!r}: expected an id that is a number, as Charades-STA files have")
        left.discard(query.id)
        found = predictions.get(query.id)
        windows = NO_WINDOWS if found is None or found.windows is None else found.windows
        whole[query.id] = {"timestamp": windows.tolist(), "query": query.text, "vid": f"{query.video_id}.mp4"}
    if left:
        raise InputError(f"predictions: expected queries of the split, got one of {min(left)!r}")
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(whole, indent=1), encoding="utf-8")
    return len(whole)


def check_predictions(path: Path, queries: Iterable[MomentQuery]) -> SubmissionCheck:
    """What is wrong with a prediction file for a split.

    Raises:
        AnnotationError: where the file cannot be read as predictions at all.
    """
    predictions, findings = read_predictions(path), Findings()
    entry_count = len(predictions)
    for query in queries:
        found = predictions.pop(query.id, None)
        if found is None:
            findings.problem(f"{query.id}: expected an entry, got none: the evaluator refuses the file")
        elif found.windows is None or not len(found.windows):
            findings.remark(f"{query.id}: expected a window, got none: it counts as missed")
        elif found.windows[0, 0] >= found.windows[0, 1]:
            findings.remark(f"{query.id}: expected start < end in the first window, got one that is not")
    findings.problems(f"{i}: expected a query of the split, got one that is not in it" for i in predictions)
    return findings.result(entry_count)
