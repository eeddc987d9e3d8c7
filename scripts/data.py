"""`tracksift data check` and `data list`: whether a dataset is whole, and which datasets there are.

Knows flags and tables. Does not know datasets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.catalog import CATALOG, names
from core import reporting

CHECK_EPILOG = (
    "Examples: [bold]tracksift data check mevis --data MeViS --split train[/]  |  "
    "[bold]tracksift data check qvhighlights --data highlight_val_release.jsonl --videos clips[/]"
)
LIST_EPILOG = "Example: [bold]tracksift data list[/]"

app = typer.Typer(
    name="data",
    help="Which datasets can be read, and whether one on disk is whole.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command(epilog=CHECK_EPILOG)
def check(
    name: Annotated[str, typer.Argument(help=f"One of {names()}.")],
    data: Annotated[Path, typer.Option(help="The dataset's folder, or its annotation file.")],
    split: Annotated[str | None, typer.Option(help="The split; by default the first of the dataset.")] = None,
    videos: Annotated[
        Path | None, typer.Option(help="The folder of its videos, where the dataset's own layout does not say.")
    ] = None,
    thorough: Annotated[bool, typer.Option("--thorough", help="Decode every frame, not the first of each.")] = False,
) -> None:
    """Say what of a split is present, missing, unreadable or mismatched, with counts and the first few of each.

    Videos of text datasets are looked at with --videos. What is merely odd (an end after its video, an object never
    seen) is counted apart. Exit code 1 when something is missing, unreadable or mismatched.
    """
    from benchmarks.registry import dataset

    with reporting.progress_bar("entries") as bar:
        found = dataset(name).check(data, split, videos, bar, thorough=thorough)
    counts = {key: count for key, count in found.counts.items() if count}
    reporting.print_table(f"{name}: present", ["what", "count"], list(counts.items()))
    rows = [(fault.value, text) for fault, texts in found.sentences.items() for text in texts]
    if rows:
        reporting.print_table(f"{name}: not as expected, the first of each sort", ["", "what"], rows)
    reporting.emit(
        {"good": found.good, **found.counts, **{fault.value: n for fault, n in found.faults().items()}},
        {"dataset": name, "data": str(data), "split": split, "videos": videos, "thorough": thorough},
    )
    if not found.good:
        raise SystemExit(1)


@app.command("list", epilog=LIST_EPILOG)
def list_() -> None:
    """List every dataset: its kind, its splits, what is looked for under --data, and what is scored."""
    rows = [(e.name, e.kind.value, ", ".join(e.splits), e.layout, e.predictions) for e in CATALOG.values()]
    reporting.print_table("datasets", ["name", "kind", "splits", "under --data", "predictions"], rows)
    reporting.emit({"datasets": len(rows)})
