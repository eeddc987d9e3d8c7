"""`tracksift submit pack` and `submit check`: answers -> what an evaluation server takes, and whether it would.

Knows flags and tables. Does not know formats.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core import reporting
from core.errors import InputError
from scripts import options

FORMATS = "mevis, ref_youtube_vos, lasot, qvhighlights, charades, timelens"
PACK_EPILOG = (
    "Examples: [bold]tracksift submit pack --format mevis --answers answers --data MeViS --split valid --out "
    "submission.zip[/]  |  [bold]tracksift submit pack --format qvhighlights --answers scores.jsonl --data "
    "highlight_val_release.jsonl --out hl_val_submission.jsonl --dry-run[/]"
)
CHECK_EPILOG = (
    "Examples: [bold]tracksift submit check submission.zip --format mevis --data MeViS --split valid[/]  |  "
    "[bold]tracksift submit check results --format lasot --data LaSOT[/]"
)
Form = Annotated[str, typer.Option("--format", help=f"One of {FORMATS}.")]
Data = Annotated[Path, typer.Option(help="The dataset's folder, or its annotation file.")]
SplitOf = Annotated[str | None, typer.Option(help="The split; by default the first of the dataset.")]

app = typer.Typer(
    name="submit",
    help="Pack answers as evaluation servers take them, and check such files before they are sent.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command(epilog=PACK_EPILOG)
def pack(
    form: Form,
    answers: Annotated[
        Path,
        typer.Option(help="Answers of predict (answers.json or their folder); for moments a score file as well."),
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="The file to write; for lasot a folder, new or replaced.")],
    split: SplitOf = None,
    dry_run: options.DryRun = False,
) -> None:
    """Pack answers of a split. Expressions without an answer are packed as empty ones, and counted.

    For mevis and ref_youtube_vos a zip of grey PNG, for lasot a folder of text files, for the others JSON.
    """
    from tracksift import submissions

    work = submissions.plan if dry_run else submissions.pack
    with reporting.progress_bar("packed") as bar:
        packed = work(form, data, split, answers, out, bar)
    what = "would be written to" if dry_run else "in"
    rows = [(packed.entries, packed.answered, packed.asked - packed.answered)]
    reporting.print_table(f"{form}: {what} {out}", ["entries", "answered", "without an answer"], rows)
    reporting.emit(
        {
            "entries": packed.entries,
            "answered": packed.answered,
            "failures": packed.asked - packed.answered,
            "n": packed.asked,
            "out": str(out),
        },
        {"format": form, "data": str(data), "split": split, "answers": str(answers), "dry_run": dry_run},
    )


@app.command(epilog=CHECK_EPILOG)
def check(
    file: Annotated[Path, typer.Argument(help="What pack, or another program, wrote.")],
    form: Form,
    data: Data,
    split: SplitOf = None,
    most: Annotated[int, typer.Option(help="Sentences of each kind to print, of 50 kept.", min=1, max=50)] = 20,
) -> None:
    """Check a submission against its split: names, sizes, values, frame lists, completeness.

    A problem is what a server refuses or would leave out; a remark is what it takes, but few would want. Exit code 1
    when there is a problem.
    """
    from tracksift import submissions

    if not file.exists():
        raise InputError(f"{file}: expected a submission, found nothing there")
    found = submissions.check(form, data, split, file)
    rows = [("problem", text) for text in found.problems[:most]] + [("remark", text) for text in found.remarks[:most]]
    if rows:
        reporting.print_table(f"{file}", ["", "what was found"], rows)
    reporting.emit(
        {
            "good": found.good,
            "entries": found.entries,
            "problems": found.problem_count,
            "remarks": found.remark_count,
        },
        {"file": str(file), "format": form, "data": str(data), "split": split},
    )
    if not found.good:
        raise SystemExit(1)
