"""`tracksift train-selector`: caches with labels -> a selector.

Knows flags and tables. Does not know how a selector is trained.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from core import reporting
from core.errors import InputError
from scripts import options


def main(
    data: Annotated[Path, typer.Option(help="A folder in MeViS's layout that holds all three splits.")],
    out: options.Out = Path("runs/selector"),
    cache: options.Cache = Path("caches"),
    split: Annotated[str, typer.Option(help="Split to learn from.")] = "train",
    valid_split: Annotated[str, typer.Option(help="Split on which the best epoch is chosen.")] = "valid",
    calib_split: Annotated[str, typer.Option(help="Split on which thresholds are fitted, and nothing else.")] = "calib",
    preset: Annotated[str, typer.Option(help="miniature, relational, sola or sola-miniature.")] = "miniature",
    epochs: Annotated[int | None, typer.Option(help="Epochs, instead of the preset's.", min=1)] = None,
    batch: Annotated[int | None, typer.Option(help="Expressions a step, instead of the preset's.", min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Instead of the preset's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the preset's.")] = None,
    limit: options.Limit = None,
    text_encoder: options.TextEncoder = "miniature",
    device: options.Device = "auto",
    workers: Annotated[int, typer.Option(help="Processes that read caches; 0 reads here.", min=0)] = 0,
    resume: Annotated[bool, typer.Option(help="Go on from OUT where a training was stopped.")] = True,
    dry_run: options.DryRun = False,
) -> None:
    """Train the track selector on cached tracks and labels, choose its best epoch, fit its thresholds.

    Needs the caches of `tracksift generate` for the three splits; training gains from `--source ground_truth` beside
    `--source grid`. Writes selector.safetensors and selector.json (record and thresholds) to --out.
    """
    from core.devices import pick_device
    from core.text import load_text_encoder
    from selector.settings import PRESETS
    from selector.training import train_selector
    from tracksift.jobs import labelled_caches
    from tracksift.models import Models

    if preset not in PRESETS:
        raise InputError(f"--preset: expected {' or '.join(PRESETS)}, got {preset!r}")
    shape, recipe = PRESETS[preset]
    recipe = replace(
        recipe,
        epochs=recipe.epochs if epochs is None else epochs,
        batch=recipe.batch if batch is None else batch,
        learning_rate=recipe.learning_rate if learning_rate is None else learning_rate,
        seed=recipe.seed if seed is None else seed,
    )
    parts = [labelled_caches(data, name, cache, limit) for name in (split, valid_split, calib_split)]
    learn, choose, calibrate = parts
    settings = {"preset": preset, **asdict(recipe), "data": str(data), "cache": str(cache), "out": str(out)}
    if dry_run:
        rows = [(name, len(part)) for name, part in zip((split, valid_split, calib_split), parts, strict=True)]
        reporting.print_table("would train on", ["split", "videos"], rows)
        reporting.emit({"videos": sum(len(p) for p in parts)}, {**settings, "dry_run": True})
        return
    place = pick_device(device)
    encoder = load_text_encoder(Models(text_encoder=text_encoder).text_spec, place)
    with reporting.progress_bar("reading") as reading, reporting.progress_bar("training") as training:
        figures = train_selector(
            learn, choose, calibrate, encoder, shape, recipe, out, place,
            resume=resume, workers=workers, read_progress=reading, progress=training,
        )  # fmt: skip
    reporting.print_table("selector", list(figures), [list(figures.values())])
    reporting.emit(figures, settings)
