"""`python -m miniature.render`: any seeds, or a split of the miniature, as files in the formats of the benchmarks.

Knows flags. Does not know how videos are drawn or laid out.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from core import cli, reporting
from core.errors import InputError
from miniature.formats import catalogue, dataset
from miniature.long_world import CLIP
from miniature.splits import RESERVED, SPLITS, Split, find_split
from miniature.world import NO_TARGET, layout

EPILOG = (
    "Examples: [bold]python -m miniature.render --split valid --out world[/]  |  "
    "[bold]python -m miniature.render --seeds 900000:900100 --shifted --out mine[/]  |  "
    "[bold]python -m miniature.render --split valid --long --formats qvhighlights,magqa --workers 2 --out long[/]  |  "
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
    seeds: str | None, split: str, shifted: bool, long: bool, expressions: int | None = None,
    no_target: float | None = None,
) -> Split:  # fmt: skip
    """Seeds, whether shifted, and what is said of a video: by the flags, or else as the miniature's split has it.

    Seeds of one's own under the name of a shifted split are shifted too: other films would pass for that split's.

    Raises:
        InputError: for an unknown split without seeds, or flags that contradict the split.
    """
    if seeds is not None:
        chosen, shifted = parse_seeds(seeds), shifted or (split in SPLITS and SPLITS[split].shifted)
        return Split(
            split, chosen.start, len(chosen), shifted, expressions, NO_TARGET if no_target is None else no_target
        )
    known = find_split(split, long)
    if shifted and not known.shifted:
        raise InputError(f"--shifted: expected --seeds with it, got split {split!r}, which says itself what it holds")
    share = known.no_target if no_target is None else no_target
    return replace(known, expressions=expressions or known.expressions, no_target=share)


def choose_formats(formats: str | None, long: bool, seconds: int | None) -> tuple[str, ...]:
    """The formats of the flag; () for MeViS's layout alone, which short clips have by default, long ones all.

    Raises:
        InputError: for unknown formats, an odd number of seconds, or `--seconds` without `--long`.
    """
    if seconds is not None and not long:
        raise InputError(f"--seconds: expected --long with it, got {seconds} for short clips")
    if seconds is not None and seconds % CLIP:
        raise InputError(f"--seconds: expected an even number, got {seconds}")
    return () if formats is None and not long else catalogue.choose(formats or "all", long)


@app.command(epilog=EPILOG)
def main(
    out: Annotated[Path, typer.Option(help="Dataset folder; the split becomes OUT/SPLIT.")],
    seeds: Annotated[str | None, typer.Option(help="A:B, seeds from A to B - 1; default: the split's own.")] = None,
    split: Annotated[str, typer.Option(help=f"Name of the split: {', '.join(SPLITS)}, or any with --seeds.")] = "valid",
    shifted: Annotated[
        bool, typer.Option("--shifted", help="Unseen looks and wordings, as shifted splits have anyway.")
    ] = False,
    long: Annotated[bool, typer.Option("--long", help="The long world: 120 to 150 s at 2 frames a second.")] = False,
    formats: Annotated[
        str | None, typer.Option(help="all, or names with commas, each OUT/SPLIT/NAME; short clips: MeViS's alone.")
    ] = None,
    seconds: Annotated[int | None, typer.Option(min=8, help="Length of long videos, even; for a quick look.")] = None,
    expressions: Annotated[
        int | None, typer.Option(min=1, help="Expressions a video, long: of each sort; default 8-12.")
    ] = None,
    no_target: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of a short clip's expressions that try to have no target; default .15."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that draw.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a rendered split.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
) -> None:
    """Render videos of the miniature world with exact ground truth, in the formats of the benchmarks."""
    if long and no_target is not None:
        raise InputError(f"--no-target: expected short clips with it, got --long and {no_target}")
    part = choose_seeds(seeds, split, shifted, long, expressions, no_target)
    chosen = part.seeds
    names = choose_formats(formats, long, seconds)
    if not re.fullmatch(r"\w[\w.-]*", split):
        raise InputError(f"--split: expected a plain folder name, got {split!r}")
    folder, wanted = out / split, dataset.Wanted(names, long, part.shifted, part.expressions, seconds)
    layout.check_target(folder, overwrite, dataset.NOTE if names else layout.META)
    size = dataset.expected_megabytes(len(chosen), wanted) if names else layout.expected_megabytes(len(chosen))
    about = f"{len(chosen)} clips, seeds {chosen.start}:{chosen.stop}, about {size:.0f} MB"
    about += f", formats {', '.join(names)}" if names else ""
    if dry_run:
        typer.echo(f"would write {folder}: {about}")
        return
    if chosen.stop > RESERVED:
        typer.echo(f"seeds from {RESERVED} are never used by the project itself", err=True)
    with reporting.progress_bar("clips", len(chosen)) as bar:
        if names:
            dataset.write_formats(
                folder, split, chosen, wanted, overwrite=overwrite, workers=workers, on_progress=bar
            )  # fmt: skip
        else:
            layout.write_split(
                folder, chosen, shifted=part.shifted, expressions=part.expressions, no_target=part.no_target,
                overwrite=overwrite, workers=workers, on_progress=bar,
            )  # fmt: skip
    typer.echo(f"wrote {folder}: {about}")


if __name__ == "__main__":
    cli.run(app)
