"""`python -m miniature.cutouts.sheet`: a picture of cut-out clips with their outlines, to look at what is trained on.

Knows clips and PNG. Does not know training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from core import cli
from core.atomic import atomic_path
from core.reporting import emit, track
from miniature.cutouts.compose import Cutout, make_cutout

COLUMNS = 6  # moments of a clip, the first one shown without outlines as well
_COLOURS = np.array(
    [(0, 0, 0), (255, 40, 40), (40, 255, 40), (60, 90, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255), (255,) * 3],
    dtype=np.uint8,
)
app = typer.Typer(add_completion=False, help=(__doc__ or "").split("\n", maxsplit=1)[0])


def outlined(frame: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame [H, W, 3] with the borders of labels [H, W] drawn on the object's side."""
    out = frame.copy()
    padded = np.pad(labels, 1, mode="edge")
    edge = np.zeros(labels.shape, dtype=bool)
    for y, x in ((0, 1), (2, 1), (1, 0), (1, 2)):
        edge |= padded[y : y + labels.shape[0], x : x + labels.shape[1]] != labels
    edge &= labels > 0
    out[edge] = _COLOURS[labels[edge] % len(_COLOURS)]
    return out


def row(clip: Cutout) -> NDArray[np.uint8]:
    """The first frame, then COLUMNS moments with outlines, side by side."""
    moments = np.linspace(0, len(clip.frames) - 1, COLUMNS).round().astype(int)
    return np.concatenate([clip.frames[0], *(outlined(clip.frames[t], clip.labels[t]) for t in moments)], axis=1)


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="PNG file to write.")],
    clips: Annotated[int, typer.Option(help="Clips, one a row.", min=1)] = 12,
    first: Annotated[int, typer.Option(help="Seed of the first clip.", min=0)] = 0,
    held_out: Annotated[bool, typer.Option(help="Of the held-out photographs.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
) -> None:
    """Write one PNG with a row for each clip.

    Example: python -m miniature.cutouts.sheet --out sheet.png --first 100
    """
    if dry_run:
        typer.echo(f"would write {clips} clips from seed {first} into {out}")
        return
    seeds = range(first, first + clips)
    rows = [row(make_cutout(seed, held_out=held_out)) for seed in track(seeds, "clips made")]
    with atomic_path(out) as temporary:
        Image.fromarray(np.concatenate(rows)).save(temporary, format="PNG")
    emit({"clips": clips}, {"out": str(out), "first": first, "held_out": held_out})


if __name__ == "__main__":
    cli.run(app)
