"""The report that QVHighlights' authors print of a split's figures.

Knows its layout, which `benchmarks.moment_scores` fills. Does not know files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.moment_scores import SplitFigures


def official_report(figures: SplitFigures) -> dict[str, Any]:
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
