"""`python -m miniature.long_world`: what a split of the long world holds, and what answers earn that look at nothing.

Knows flags and tables. Does not know how anything is measured.
"""

import re
import time
from typing import Annotated

import typer

from core import cli, reporting
from miniature.long_world import make_long_clip, make_story
from miniature.long_world.figures import baselines, counts, drawn
from miniature.splits import LONG_SPLITS, find_split

EPILOG = (
    "Examples: [bold]python -m miniature.long_world[/]  |  "
    "[bold]python -m miniature.long_world --split shifted_dev --drawn 60[/]"
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


@app.command(epilog=EPILOG)
def main(
    split: Annotated[str, typer.Option(help=f"One of {', '.join(LONG_SPLITS)}.")] = "valid",
    drawn_clips: Annotated[int, typer.Option("--drawn", min=1, help="Videos to draw and compare with words.")] = 20,
) -> None:
    """Measure a split of the long world: counts, baselines, and that what is told is seen."""
    chosen = find_split(split, long=True)
    stories = [make_story(s, shifted=chosen.shifted) for s in reporting.track(chosen.seeds, "stories")]
    start = time.perf_counter()
    seeds = chosen.seeds[:drawn_clips]
    seen = drawn(make_long_clip(s, shifted=chosen.shifted) for s in reporting.track(seeds, "drawing", len(seeds)))
    frames = sum(s.frames for s in stories[: len(seeds)])
    seen["milliseconds a frame, drawn and compared"] = (time.perf_counter() - start) * 1000 / frames
    parts = {"holds": counts(stories), "blind answers": baselines(stories), f"{len(seeds)} videos drawn": seen}
    for title, figures in parts.items():
        reporting.print_table(f"{split}: {title}", ("what", "figure"), figures.items())
    reporting.emit({_flat(k): v for figures in parts.values() for k, v in figures.items()}, {"split": split})


def _flat(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "_", name.lower()).strip("_")


if __name__ == "__main__":
    cli.run(app)
