"""`tracksift demo`: the whole path on rendered clips and one real video, offline, in a minute or two on a laptop.

Knows flags and tables. Does not know what the demonstration does.
"""

import time
from pathlib import Path
from typing import Annotated

import typer

from core import reporting
from scripts import evaluate as evaluate_command
from scripts import options


def main(
    out: options.Out = Path("demo_out"),
    clips: Annotated[int, typer.Option(help="How many rendered clips.", min=1, max=100)] = 8,
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Render clips, track them, answer their expressions, score the answers; then answer about one real MP4.

    Uses the miniature weights of this repository and no network. Open the page.html files to see the answers.
    """
    from miniature import demo
    from tracksift.ask import Pipeline
    from tracksift.evaluate import ORACLE, SELECTOR

    if dry_run:
        typer.echo(f"would render {clips} clips, track, answer and score them, and write caches and answers to {out}")
        reporting.emit({"clips": clips, "files": 0}, {"out": str(out), "dry_run": True})
        return
    start = time.perf_counter()
    stages: dict[str, int] = {}
    with reporting.progress_bar("demo") as bar:

        def tell(stage: str, done: int, total: int) -> None:
            stages[stage] = done
            bar(sum(stages.values()), 4 * (clips + 1))

        result = demo.run_demo(out, Pipeline(device=device), tell, clips)
    seconds = time.perf_counter() - start
    figures, oracle = result.evaluation.figures(SELECTOR), result.evaluation.figures(ORACLE)
    rows = evaluate_command.kind_rows(result.evaluation, SELECTOR)
    rows.append(evaluate_command.row("oracle of the tracks", oracle))
    reporting.print_table(f"miniature: {clips} rendered clips", evaluate_command.COLUMNS, rows)
    typer.echo(f"rendered clips: open {result.world[0].files[-1]}")
    typer.echo(f"real video ({demo.REAL_VIDEO.name}): open {result.real.files[-1]}")
    typer.echo("The miniature's selector learnt from rendered shapes alone: its answers are not meant for real video.")
    reporting.emit(
        evaluate_command.flat(figures, oracle)
        | {"expressions": result.expressions, "seconds": round(seconds, 1), "files": len(result.files)},
        {"out": str(out), "clips": clips, "split": demo.SPLIT, "weights": "miniature"},
    )
