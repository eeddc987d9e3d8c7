"""`tracksift convert-detector`: an original GroundingDINO `.pth` -> a folder that `--detector` takes.

Knows flags. Does not know names of tensors.
"""

from pathlib import Path
from typing import Annotated

import typer

from core import reporting
from core.atomic import check_folder
from core.errors import InputError, OutputError

EPILOG = "Example: [bold]tracksift convert-detector groundingdino_swint_ogc.pth --out grounding-dino-tiny[/]"


def main(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of IDEA-Research/GroundingDINO, Swin backbone.")],
    out: Annotated[Path, typer.Option(help="The folder to write; a new one.")],
    tokenizer: Annotated[
        str, typer.Option(help="Word list: a hub id or a local folder; checkpoints hold none.")
    ] = "bert-base-uncased",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check names, and write nothing.")] = False,
) -> None:
    """Convert an original GroundingDINO checkpoint; nothing in it is run, every tensor must be known and fit."""
    from core.hashing import file_sha256
    from core.weights import read_weights
    from proposals.detector_convert import convert, convert_state, plain_names, read_config

    if not checkpoint.is_file():
        raise InputError(f"checkpoint {checkpoint}: expected a .pth file, got nothing there")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"output {out}: expected a new or empty folder, got one with files")
    check_folder(out)
    if dry_run:
        original = plain_names(read_weights(checkpoint))
        read_config(original, checkpoint)
        tensors = len(convert_state(original, checkpoint))
    else:
        with reporting.progress_bar("converting"):
            tensors = convert(checkpoint, out, tokenizer)
    sha256 = None if dry_run else file_sha256(out / "model.safetensors")
    reporting.emit({"tensors": tensors, "sha256": sha256}, {"out": str(out), "dry_run": dry_run})
