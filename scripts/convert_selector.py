"""`tracksift convert-selector`: SOLA's `.pth` -> a folder that `--selector` takes.

Knows flags. Does not know names of tensors.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from core import reporting
from core.errors import InputError
from scripts import options

EPILOG = (
    "Example: [bold]tracksift convert-selector sola.pth --data MeViS --split valid_u --out runs/sola "
    "--text-encoder sentence-transformers/all-roberta-large-v1[/]"
)


def main(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of SOLA's track selector.")],
    data: Annotated[Path, typer.Option(help="A dataset whose caches are those of the checkpoint's own tracker.")],
    out: options.Out = Path("runs/sola"),
    split: Annotated[str, typer.Option(help="Split on which thresholds are fitted.")] = "calib",
    cache: options.Cache = Path("caches"),
    size: Annotated[str, typer.Option(help="full, as released, or miniature.")] = "full",
    fit: Annotated[bool, typer.Option(help="Fit thresholds; without, SOLA's plain sigmoid above 0.5.")] = True,
    limit: options.Limit = None,
    text_encoder: options.TextEncoder = "miniature",
    device: options.Device = "auto",
    workers: Annotated[int, typer.Option(help="Processes that read caches; 0 reads here.", min=0)] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check names, and write nothing.")] = False,
) -> None:
    """Convert a checkpoint of SOLA; nothing in it is run, every tensor must be known and fit.

    The caches say which tracker it belongs to, and fit its thresholds. Writes selector.safetensors and selector.json.
    """
    from core.devices import pick_device
    from core.text import load_text_encoder
    from selector.recipes import find_recipe
    from selector.settings import SolaSettings
    from selector.sola_import import import_sola, read_sola
    from tracksift.jobs import labelled_caches
    from tracksift.models import Models

    if not checkpoint.is_file():
        raise InputError(f"checkpoint {checkpoint}: expected a .pth file, got nothing there")
    shape, _ = find_recipe("sola", size)
    assert isinstance(shape, SolaSettings)
    settings = {"checkpoint": checkpoint, "data": data, "split": split, "out": out, "dry_run": dry_run}
    if dry_run:
        reporting.emit({"tensors": len(read_sola(checkpoint, shape).state_dict())}, settings)
        return
    place = pick_device(device)
    encoder = load_text_encoder(Models(text_encoder=text_encoder).text_spec, place)
    examples = labelled_caches(data, split, cache, limit)
    with reporting.progress_bar("reading") as bar:
        found = import_sola(checkpoint, examples, encoder, shape, out, place, fit=fit, workers=workers, progress=bar)
    thresholds = {k: v for k, v in asdict(found.calibration).items() if k != "knots"}
    figures = {"plain_score": found.plain_score, "calib_score": found.calib_score, **thresholds}
    reporting.print_table("imported", list(figures), [list(figures.values())])
    reporting.emit(figures, settings)
