"""What several selectors are worth on the same splits: scored together video by video, told with mean and spread.

Knows pipelines, evaluations, tables and pictures. Does not know training.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from core.atomic import atomic_path
from core.charts import Bar, draw_bars
from core.reporting import Progress
from tracksift.ask import Pipeline
from tracksift.evaluate import ORACLE, SELECTOR, Evaluation, check_scored, evaluate_each
from tracksift.jobs import Job
from tracksift.models import Models

NAME = "compare"  # of the files: .json, .md, .png
Figures = dict[str, float | None]
TABLES: Mapping[str, Mapping[str, str]] = {
    "J&F": {
        "jf": "all", "attribute_jf": "attribute", "motion_jf": "motion", "relation_jf": "relation",
        "oracle_jf": "oracle", "overlap_score": "overlap score",
    },
    "no target, calibration, and what 1 - J&F is lost by": {
        "no_target_f1": "no-target F1", "ece": "ECE", "lost_by_stage_1": "stage 1", "lost_by_ranking": "ranking",
        "lost_by_threshold": "threshold", "lost_by_no_target": "no target",
    },
}  # fmt: skip
"""Title -> figure -> its heading."""


@dataclass(frozen=True)
class Scores:
    """One run's figures by split."""

    variant: str
    seed: int | None
    splits: Mapping[str, Figures]


def score_together(
    jobs: Sequence[Job], selectors: Sequence[str], models: Models, workers: int, progress: Progress | None = None
) -> list[Figures]:
    """Figures of each selector (a file, folder, or `clip_zeroshot`) on the jobs of a split.

    workers: processes on the CPU that share the videos; 0: this one.

    Raises:
        TrackSiftError: as `tracksift.evaluate.evaluate`.
    """
    parts = [[job] for job in jobs]
    totals = [Evaluation() for _ in selectors]
    work = partial(_score, selectors=tuple(selectors), models=models)
    if workers == 0:
        _count(totals, map(work, parts), len(parts), progress)
    else:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            _count(totals, pool.map(work, parts), len(parts), progress)
    for total in totals:
        check_scored(total, len(jobs))
    return [figures_of(total) for total in totals]


def figures_of(result: Evaluation) -> Figures:
    """The figures of TABLES, and a few more."""
    kinds = {f"{kind}_jf": f.jf for kind, f in result.scores[SELECTOR].by_kind().items() if kind}
    own = result.figures(SELECTOR)
    named: Figures = {
        "jf": own.jf, "target_jf": own.target_jf, "no_target_accuracy": own.no_target_accuracy,
        "oracle_jf": result.figures(ORACLE).jf, "n": own.n, "failures": own.failures,
    }  # fmt: skip
    return {**named, **kinds, **result.selection()}


def mean_and_spread(runs: Sequence[Scores], split: str, name: str) -> tuple[float, float | None] | None:
    """Mean and sample deviation (None for one run) of a figure over runs; None where a run lacks it."""
    values = [run.splits[split].get(name) for run in runs]
    known = [float(v) for v in values if v is not None]
    if not known or len(known) < len(values):
        return None
    return statistics.mean(known), statistics.stdev(known) if len(known) > 1 else None


def table(runs: Sequence[Scores], split: str, columns: Mapping[str, str]) -> list[list[str]]:
    """Rows of a split: variant, runs, and the columns as "mean ± spread"."""
    rows = []
    for variant, some in by_variant(runs).items():
        cells = [mean_and_spread(some, split, name) for name in columns]
        rows.append([variant, str(len(some)), *map(_cell, cells)])
    return rows


def by_variant(runs: Sequence[Scores]) -> dict[str, list[Scores]]:
    """The runs of each variant, in the order in which variants come first."""
    return {name: [run for run in runs if run.variant == name] for name in dict.fromkeys(r.variant for r in runs)}


def write_scores(out: Path, runs: Sequence[Scores], splits: Sequence[str], facts: Mapping[str, object]) -> None:
    """Write NAME.json (every run), NAME.md (tables) and NAME.png (bars of J&F) to `out`."""
    told = [{"variant": run.variant, "seed": run.seed, **run.splits} for run in runs]
    with atomic_path(out / f"{NAME}.json") as path:
        path.write_text(json.dumps({"facts": facts, "runs": told}, indent=1, default=str) + "\n", encoding="utf-8")
    lines = ["# Selectors compared, miniature", "", "Mean ± sample deviation over seeds; see `compare.json`.", ""]
    for split in splits:
        for title, columns in TABLES.items():
            lines += [f"## {split}: {title}", "", _line(["variant", "seeds", *columns.values()])]
            lines += [_line(["---"] * (2 + len(columns))), *map(_line, table(runs, split, columns)), ""]
    with atomic_path(out / f"{NAME}.md") as path:
        path.write_text("\n".join(lines), encoding="utf-8")
    draw_bars(out / f"{NAME}.png", {f"J&F, {split}": _bars(runs, split) for split in splits})


def _bars(runs: Sequence[Scores], split: str) -> list[Bar]:
    found = {name: mean_and_spread(some, split, "jf") for name, some in by_variant(runs).items()}
    return [Bar(name, *value) for name, value in found.items() if value is not None]


def _score(jobs: Sequence[Job], selectors: tuple[str, ...], models: Models) -> list[Evaluation]:
    return evaluate_each(jobs, _pipelines(selectors, models), baselines=False)


_LOADED: dict[tuple[tuple[str, ...], Models], list[Pipeline]] = {}


def _pipelines(selectors: tuple[str, ...], models: Models) -> list[Pipeline]:
    """One a selector, all with the same other models; loaded once a process."""
    key = (selectors, models)
    if key not in _LOADED:
        torch.set_num_threads(1)
        first = Pipeline(models, "cpu")
        _ = first.text_encoder
        _LOADED.clear()
        _LOADED[key] = [first.with_selector(name) for name in selectors]
    return _LOADED[key]


def _count(
    totals: Sequence[Evaluation], parts: Iterable[Sequence[Evaluation]], videos: int, progress: Progress | None
) -> None:
    for done, part in enumerate(parts, start=1):
        for total, one in zip(totals, part, strict=True):
            total.merge(one)
        if progress is not None:
            progress(done, videos)


def _cell(value: tuple[float, float | None] | None) -> str:
    if value is None:
        return "-"
    return f"{value[0]:.3f}" if value[1] is None else f"{value[0]:.3f} ± {value[1]:.3f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
