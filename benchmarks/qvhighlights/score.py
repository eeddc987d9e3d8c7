"""QVHighlights' figures: predictions scored against a split, baselines beside them, and the official report's layout.

Knows which metrics the benchmark takes. Does not know files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.metrics.highlights import HighlightFigures, HighlightTotals, score_highlights
from benchmarks.metrics.moments import MomentFigures, MomentTotals, score_moments
from benchmarks.moment_baselines import constant_saliency, whole_video
from benchmarks.moment_protocol import MomentQuery
from benchmarks.qvhighlights.submission import MomentPrediction
from core.errors import InputError


@dataclass(frozen=True)
class QvHighlightsFigures:
    """moments: by length range; highlights: by level; {} where the predictions or the split have no such part."""

    moments: Mapping[str, MomentFigures]
    highlights: Mapping[str, HighlightFigures]


def score_split(
    queries: Iterable[MomentQuery], predictions: Mapping[str, MomentPrediction], *, only_answered: bool = False
) -> QvHighlightsFigures:
    """Score all queries; those without a prediction count as 0 and as failures.

    only_answered: leave them out instead, as evaluators with `match_number=False` do: such figures cannot be compared.

    Raises:
        InputError: for a prediction of no query, a query whose truth is hidden, or no query at all.
    """
    moments, highlights, left = MomentTotals(), HighlightTotals(), set(predictions)
    with_windows = any(len(p.windows) for p in predictions.values())
    with_saliency = any(p.saliency is not None for p in predictions.values())
    counted = 0
    for query in queries:
        found = predictions.get(query.id)
        left.discard(query.id)
        if found is None and only_answered:
            continue
        if query.windows is None:
            raise InputError(f"query {query.id!r}: expected true windows, got none: its split hides them")
        counted += 1
        found = found or MomentPrediction(query.id)
        if with_windows:
            moments.update(score_moments(found.windows, query.windows, found.scores))
        if with_saliency and query.saliency is not None:
            said = np.zeros(0) if found.saliency is None else found.saliency
            highlights.update(score_highlights(said, query.saliency))
    if left:
        raise InputError(f"predictions: expected queries of the split, got one of {min(left)!r}")
    if not counted:
        raise InputError("predictions: expected at least one query, got none")
    return QvHighlightsFigures(moments.compute() if with_windows else {}, highlights.compute() if with_saliency else {})


def blind(query: MomentQuery) -> MomentPrediction:
    """The baseline that looks at nothing: the whole video as the moment, one saliency for all clips."""
    saliency = None if query.saliency is None else constant_saliency(query)
    return MomentPrediction(query.id, whole_video(query), np.ones(1), saliency)


def official_report(figures: QvHighlightsFigures) -> dict[str, Any]:
    """The figures as the authors' evaluator writes them: percent with two decimals, under its names."""
    report: dict[str, Any] = {}
    for name, part in figures.moments.items():
        ap = {str(t): _percent(v) for t, v in part.ap.items()} | {"average": _percent(part.map)}
        report[name] = {"MR-mAP": ap, "MR-R1": {str(t): _percent(part.recall[1, t]) for t in part.ap}}
    for level, found in figures.highlights.items():
        report[f"HL-min-{level}"] = {"HL-mAP": _percent(found.map), "HL-Hit1": _percent(found.hit1)}
    return {"brief": _brief(report), **report}


def _brief(report: Mapping[str, Any]) -> dict[str, float]:
    brief = {f"MR-{n}-mAP": report[n]["MR-mAP"]["average"] for n in ("full", "short", "middle", "long") if n in report}
    if "full" in report:
        brief |= {f"MR-full-mAP@{t}": report["full"]["MR-mAP"][t] for t in ("0.5", "0.75")}
        brief |= {f"MR-full-R1@{t}": report["full"]["MR-R1"][t] for t in ("0.5", "0.7")}
    for name, part in report.items():
        if name.startswith("HL-"):
            brief |= {f"{name}-{key.removeprefix('HL-')}": value for key, value in part.items()}
    return brief


def _percent(rate: float) -> float:
    return float(f"{100 * rate:.2f}")
