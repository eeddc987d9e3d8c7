"""Predicted moments and highlights of a split: R@n at IoU, mean IoU, mAP and HIT@1, beside baselines.

Knows readers of moments and their metrics. Does not know who grounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.didemo.reader import CHUNK, ChunkQuery, DidemoReader
from benchmarks.evaluation.report import RESULT, TRUTH, Choices, Figures, Report, plain
from benchmarks.metrics.chunk_ranking import ChunkTotals, Run, score_ranking
from benchmarks.metrics.moments import MomentFigures
from benchmarks.moment_files import read_moments
from benchmarks.moment_protocol import MomentQuery, MomentReader
from benchmarks.moment_scores import MomentPrediction, SplitFigures, blind, score_split
from core.errors import InputError
from core.reporting import Progress

WHOLE: Final = "the whole video"
LAST_END: Final = "up to the last true end"
FIRST_CHUNK: Final = "the first chunk"


def evaluate_moments(reader: MomentReader, predictions: Path, choices: Choices, progress: Progress) -> Report:
    """Score every query of a split; one without a prediction scores 0 and is named.

    Where no file says how long videos are, the baseline of the whole video ends with the last true window of any
    query about it, and has the name LAST_END.

    Raises:
        InputError: for unreadable predictions, one of no query, or a split that hides its windows.
        AnnotationError: where the split's own file is malformed.
    """
    queries = list(reader.queries())
    said = read_moments(predictions, queries)
    failures = tuple(_missed(query, said.get(query.id)) for query in queries if _failed(said.get(query.id)))
    figures = score_split(_watched(queries, progress), said)
    rows = {RESULT: _row(figures)}
    if choices.baselines:
        known = all(query.duration is not None for query in queries)
        asked = said.values()
        highlights = not said or any(p.saliency is not None for p in asked)
        windows = not said or any(p.windows is not None for p in asked)
        for name, answers in ((WHOLE if known else LAST_END, _whole(queries)), (TRUTH, _truth(queries))):
            kept = {i: _asked(p, windows, highlights) for i, p in answers.items()}
            rows[name] = _row(score_split(_watched(queries, progress), kept))
    parts: dict[str, Figures] = {n: _moments(f) for n, f in figures.moments.items() if n != "full"}
    parts |= {f"HL {level}": plain(found) for level, found in figures.highlights.items()}
    beyond = sum(query.beyond_duration for query in queries)
    return Report(rows, failures, parts, {"queries_beyond_duration": beyond})


def evaluate_chunks(reader: DidemoReader, predictions: Path, choices: Choices, progress: Progress) -> Report:
    """DiDeMo: mean rank and IoU of runs of 5-second chunks, to whose borders predicted windows are rounded.

    Raises:
        InputError: for unreadable predictions, or one of no query.
        AnnotationError: where the split's own file is malformed.
    """
    queries, chunks = list(reader.queries()), list(reader.chunk_queries())
    said = read_moments(predictions, queries)
    strangers = said.keys() - {query.id for query in queries}
    if strangers:
        raise InputError(f"predictions: expected queries of the split, got one of {min(strangers)!r}")
    ranked: dict[str, list[Sequence[Run]]] = {RESULT: [_runs(said.get(q.id), q) for q in chunks]}
    if choices.baselines:
        ranked[WHOLE] = [[(0, q.chunks - 1)] for q in chunks]
        ranked[FIRST_CHUNK] = [[(0, 0)] for _ in chunks]
        ranked[TRUTH] = [[max(q.runs, key=q.runs.count)] for q in chunks]
    rows: dict[str, Figures] = {}
    for name, answers in ranked.items():
        totals = ChunkTotals()
        totals.update(*(score_ranking(runs, q.runs) for runs, q in zip(answers, chunks, strict=True)))
        rows[name] = plain(totals.compute())
    progress(len(chunks), len(chunks))
    failures = tuple(_missed(query, said.get(query.id)) for query in queries if _failed(said.get(query.id)))
    return Report(rows, failures)


def _watched(queries: Sequence[MomentQuery], progress: Progress) -> Iterator[MomentQuery]:
    for done, query in enumerate(queries, start=1):
        yield query
        progress(done, len(queries))


def _failed(found: MomentPrediction | None) -> bool:
    if found is None or found.windows is None:
        return found is None or found.saliency is None
    return not len(found.windows)


def _missed(query: MomentQuery, found: MomentPrediction | None) -> str:
    return f"query {query.id!r}: expected an answer, got {'none' if found is None else 'an empty one'}"


def _row(figures: SplitFigures) -> Figures:
    row: dict[str, float | int | None] = {}
    if "full" in figures.moments:
        row |= _moments(figures.moments["full"])
    for level, found in figures.highlights.items():
        row |= {f"hl_map_{level.lower()}": found.map, f"hl_hit1_{level.lower()}": found.hit1}
        row |= {"n": found.n, "failures": max(found.failures, int(row.get("failures") or 0))}
    return row


def _moments(figures: MomentFigures) -> dict[str, float | int | None]:
    recall: dict[str, float | int | None] = {
        f"r{n}_{round(100 * t)}": figures.recall[n, t] for n in (1, 5) for t in (0.3, 0.5, 0.7)
    }
    precision = {"map": figures.map, "map_50": figures.ap[0.5], "map_75": figures.ap[0.75]}
    return recall | {"miou": figures.miou} | precision | {"n": figures.n, "failures": figures.failures}


def _whole(queries: Sequence[MomentQuery]) -> dict[str, MomentPrediction]:
    ends: dict[str, float] = {}
    for query in queries:
        if query.windows is not None:
            ends[query.video_id] = max(ends.get(query.video_id, 0.0), float(query.windows.max()))
    return {
        q.id: blind(q if q.duration is not None else replace(q, duration=ends[q.video_id]))
        for q in queries
        if q.windows is not None
    }


def _truth(queries: Sequence[MomentQuery]) -> Mapping[str, MomentPrediction]:
    return {
        q.id: MomentPrediction(
            q.id, q.windows, np.ones(len(q.windows)), None if q.saliency is None else q.saliency.mean(axis=1)
        )
        for q in queries
        if q.windows is not None
    }


def _asked(prediction: MomentPrediction, windows: bool, highlights: bool) -> MomentPrediction:
    """The prediction with the parts alone that the result has, so that rows can be compared."""
    return replace(
        prediction,
        windows=prediction.windows if windows else None,
        scores=prediction.scores if windows else None,
        saliency=prediction.saliency if highlights else None,
    )


def _runs(found: MomentPrediction | None, query: ChunkQuery) -> list[Run]:
    """Windows as runs of chunks, the first of equal ones alone."""
    if found is None or found.windows is None:
        return []
    runs: dict[Run, None] = {}
    for start, end in found.windows:
        first = min(max(round(start / CHUNK), 0), query.chunks - 1)
        last = min(max(round(end / CHUNK) - 1, first), query.chunks - 1)
        runs[first, last] = None
    return list(runs)
