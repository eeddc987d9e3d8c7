"""`python -m miniature.render`: any seeds, or a split of the miniature, as files in MeViS's layout.

Knows flags. Does not know how clips are drawn or laid out.
"""

import re
from pathlib import Path
from typing import Annotated

import typer

from core import cli, reporting
from core.errors import InputError
from miniature.splits import RESERVED, SPLITS, find_split
from miniature.world.layout import check_target, expected_megabytes, write_split

EPILOG = (
    "Examples: [bold]python -m miniature.render --split valid --out world[/]  |  "
    "[bold]python -m miniature.render --seeds 900000:900100 --shifted --out mine[/]  |  "
    "[bold]python -m miniature.render --seeds 7:8 --long --split look --out /tmp/mine --dry-run[/]"
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


def parse_seeds(text: str) -> range:
    """Read A:B, the seeds from A to B - 1.

    Raises:
        InputError: for anything else, or for no seeds.
    """
    found = re.fullmatch(r"(\d+):(\d+)", text.strip())
    if found is None or int(found[1]) >= int(found[2]):
        raise InputError(f"--seeds: expected A:B with A below B, such as 900000:900100, got {text!r}")
    return range(int(found[1]), int(found[2]))


def choose_seeds(
    seeds: str | None, split: str, shifted: bool, long: bool, expressions: int | None = None
) -> tuple[range, bool, int | None]:
    """Seeds, whether shifted, and expressions a clip: those of the flags, or else those of the miniature's split.

    Raises:
        InputError: for an unknown split without seeds, or flags that contradict the split.
    """
    if seeds is not None:
        return parse_seeds(seeds), shifted, expressions
    known = find_split(split)
    if long or (shifted and not known.shifted):
        flag = "--long" if long else "--shifted"
        raise InputError(f"{flag}: expected --seeds with it, got split {split!r}, which says itself what it holds")
    return known.seeds, known.shifted, expressions or known.expressions


@app.command(epilog=EPILOG)
def main(
    out: Annotated[Path, typer.Option(help="Dataset folder; the split becomes OUT/SPLIT.")],
    seeds: Annotated[str | None, typer.Option(help="A:B, seeds from A to B - 1; default: the split's own.")] = None,
    split: Annotated[str, typer.Option(help=f"Name of the split: {', '.join(SPLITS)}, or any with --seeds.")] = "valid",
    shifted: Annotated[bool, typer.Option("--shifted", help="Unseen backgrounds, textures and wordings.")] = False,
    long: Annotated[bool, typer.Option("--long", help="Clips of 240 to 480 frames.")] = False,
    expressions: Annotated[int | None, typer.Option(min=1, help="Expressions a clip at most; default 8 to 12.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that draw.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a rendered split.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
) -> None:
    """Render clips of the miniature world with exact masks, expressions and moments, in MeViS's layout."""
    chosen, shifted, expressions = choose_seeds(seeds, split, shifted, long, expressions)
    if not re.fullmatch(r"\w[\w.-]*", split):
        raise InputError(f"--split: expected a plain folder name, got {split!r}")
    folder = out / split
    check_target(folder, overwrite)
    about = (
        f"{len(chosen)} clips, seeds {chosen.start}:{chosen.stop}, about {expected_megabytes(len(chosen), long):.0f} MB"
    )
    if dry_run:
        typer.echo(f"would write {folder}: {about}")
        return
    if chosen.stop > RESERVED:
        typer.echo(f"seeds from {RESERVED} are never used by the project itself", err=True)
    with reporting.progress_bar("clips", len(chosen)) as bar:
        write_split(
            folder, chosen, shifted=shifted, long=long, expressions=expressions, overwrite=overwrite,
            workers=workers, on_progress=bar,
        )  # fmt: skip
    typer.echo(f"wrote {folder}: {about}")


if __name__ == "__main__":
    cli.run(app)
