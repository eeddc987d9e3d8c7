"""Flags that several commands share, so that they read the same everywhere.

Knows typer and the endings of commands. Does not know pipelines.
"""

from pathlib import Path
from typing import Annotated

import typer

from core.errors import InputError

Tracker = Annotated[
    str,
    typer.Option(
        help="Tracker: 'miniature', a hub id such as facebook/sam2.1-hiera-large, or a local .pt or .safetensors "
        "with its .yaml beside it."
    ),
]
TextEncoder = Annotated[
    str, typer.Option(help="Text encoder: 'miniature', a hub id of a sentence RoBERTa, or a local folder.")
]
Selector = Annotated[str, typer.Option(help="Selector: 'miniature', or a selector.safetensors of train-selector.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Data = Annotated[
    Path | None,
    typer.Option(help="A folder in MeViS's layout: DIR/SPLIT/meta_expressions.json, mask_dict.json, JPEGImages/."),
]
Split = Annotated[str, typer.Option(help="The split's folder under --data.")]
Cache = Annotated[Path, typer.Option(help="Root of the cache files, one <dataset>/<split>/<video>.h5 a video.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done and write nothing.")]
Video = Annotated[Path | None, typer.Argument(help="A video file, or a folder of frames (then with --fps).")]
Fps = Annotated[float | None, typer.Option(help="Frames a second of a folder of frames.", min=0.001)]
Limit = Annotated[int | None, typer.Option(help="Only the first so many videos of the split.")]
Out = Annotated[Path, typer.Option(help="Folder that results are written to.")]


def read_expressions(given: list[str] | None, file: Path | None) -> list[str]:
    """Phrases of --expression and of --expressions-file (one a line), in that order.

    Raises:
        InputError: when there is none, a blank one, or the file cannot be read.
    """
    phrases = list(given or [])
    if file is not None:
        try:
            phrases += [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--expressions-file {file}: expected a text file, got {error}") from error
    if not phrases:
        raise InputError("expected at least one --expression, got none")
    return phrases
