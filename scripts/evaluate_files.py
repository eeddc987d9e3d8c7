"""`tracksift evaluate --predictions`: files of any program against a split of any dataset.

Knows tables and the last line. Does not know datasets or metrics.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from core import reporting
from core.atomic import atomic_path
from core.errors import InputError

if TYPE_CHECKING:
    from benchmarks.evaluation.mask_files import MaskSource

SHOWN = 20


def score_files(
    dataset: str,
    data: Path,
    split: str | None,
    predictions: Path,
    *,
    baselines: bool,
    tokeniser: str,
    meteor: bool,
    ratings: Path | None,
    out: Path | None,
) -> None:
    """Print and, with `out`, write the report of prediction files; errors as the dataset's evaluation."""
    from benchmarks import registry
    from benchmarks.caption_scores import Tokeniser
    from benchmarks.evaluation.report import Choices

    if tokeniser not in set(Tokeniser):
        raise InputError(f"--tokeniser: expected one of {', '.join(Tokeniser)}, got {tokeniser!r}")
    choices = Choices(baselines, Tokeniser(tokeniser), meteor, ratings, _open_masks)
    chosen = registry.dataset(dataset)
    with reporting.progress_bar("scored") as bar:
        report = chosen.evaluate(data, split, predictions, choices, bar)
    split = split or chosen.entry.splits[0]
    print_figures(f"{dataset}, {split}", report.rows)
    if report.parts:
        print_figures("the result's parts", report.parts)
    for sentence in report.failures[:SHOWN]:
        typer.echo(f"failed: {sentence}", err=True)
    if len(report.failures) > SHOWN:
        typer.echo(f"failed: {len(report.failures) - SHOWN} more", err=True)
    settings = {"dataset": dataset, "data": str(data), "split": split, "predictions": str(predictions)}
    figures = report.flat()
    if out is not None:
        whole = figures | reporting.environment() | {"settings": settings, "failed": list(report.failures)}
        with atomic_path(out) as path:
            path.write_text(json.dumps(whole, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    reporting.emit(figures, settings)


def _open_masks(path: Path) -> MaskSource:
    from tracksift.answer_files import open_masks  # here: few datasets need it, and it takes seconds to import

    return open_masks(path)


def print_figures(title: str, columns: Mapping[str, Mapping[str, reporting.Figure]]) -> None:
    """A table with a line a figure and a column for each of the named sets of them."""
    names = list(dict.fromkeys(key for figures in columns.values() for key in figures))
    rows = [(name, *(figures.get(name) for figures in columns.values())) for name in names]
    reporting.print_table(title, ["", *columns], rows)
