"""`tracksift plot`: last lines of commands and logs of trainings -> a chart.

Knows flags. Does not know how charts are drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core import reporting
from core.atomic import check_folder
from core.errors import InputError
from scripts import options

EPILOG = (
    "Examples: [bold]tracksift plot runs/grounder/log.jsonl --x step --figure losses.total --figure "
    "held_out.moments_r1_50 --out curves.png[/]  |  [bold]tracksift plot speed.jsonl --figure speed_ratio --label "
    "settings.benchmark --out speed.png[/]  |  [bold]tracksift plot full.jsonl nolooks.jsonl --figure jf --out "
    "ablation.png[/]"
)


def main(
    files: Annotated[list[Path], typer.Argument(help="Files of lines of JSON; other lines are passed over.")],
    figures: Annotated[
        list[str], typer.Option("--figure", help="What is drawn; a.b for b of the object a. Repeatable.")
    ],
    x: Annotated[
        str | None, typer.Option(help="Curves over this figure, a line a file; without it bars, one a line.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="What a bar is called, by its name in the line.")] = None,
    out: Annotated[Path, typer.Option(help="The PNG that is written.")] = Path("plot.png"),
    dry_run: options.DryRun = False,
) -> None:
    """Draw figures as a PNG: training curves, speed ratios, ablations.

    Every command that measures ends with a line of JSON, every training keeps a .jsonl; append such lines to a file
    (`tracksift benchmark proposals | tail -1 >> speed.jsonl`) and name what is to be seen.
    """
    from tracksift.plots import draw_curves, draw_runs, read_run

    if out.suffix.lower() != ".png":
        raise InputError(f"--out: expected a .png, got {out.name!r}")
    if x is not None and label is not None:
        raise InputError("--label: expected bars, got curves over --x")
    check_folder(out.parent)
    runs = [read_run(path) for path in files]
    if not dry_run:
        if x is not None:
            draw_curves(out, runs, figures, x)
        else:
            draw_runs(out, runs, figures, label)
    reporting.emit(
        {"files": len(files), "lines": sum(len(run.lines) for run in runs)}, {"out": out, "dry_run": dry_run}
    )
