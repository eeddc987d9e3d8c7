"""`python -m miniature.compare_grounders`: read-outs and compressors on one training budget, side by side.

Each is a grounder of its own, trained on the same films for the same time (or steps) to find moments, and measured on
the same held-out ones: accuracy, tokens, milliseconds. It learns from nothing, or (`--start`) begins with what a
trained one sees and reads, of which nobody takes compressor and read-outs. Knows settings, the trainer and the measure.
Does not know losses or metrics. Films are shorter than in `train_grounder`, so that even every patch as a token of its
own can be read; figures are for the comparison alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import torch
import typer

from core import cli
from core.atomic import atomic_path, check_folder
from core.devices import describe_device, pick_device
from core.errors import InputError
from core.images import load_image_encoder
from core.reporting import emit, print_table, progress_bar
from llm_grounder.checkpoints import read_record
from llm_grounder.compressors import count_tokens
from llm_grounder.types import Task
from miniature.eval_grounder import BLIND, GROUNDER, held_out, measure
from miniature.grounder_training.films import Film, Order, Sight, Studio
from miniature.grounder_training.settings import FULL, SMOKE, TRACK_WIDTH, Settings
from miniature.grounder_training.trainer import Trainer
from miniature.sam2_training.schedule import Clock
from miniature.training_run import check_loss
from tracksift.clips import NUMBERS
from tracksift.models import WEIGHTS

CHECK_EVERY: Final = 20
SPLIT: Final = "valid"
VARIANTS: Final[Mapping[str, Mapping[str, str | int]]] = {
    "span queries, pointer": {},
    "span queries, mlp": {"span_rule": "mlp"},
    "words": {"windows": "words"},
    "frames' relevance": {"windows": "relevance"},
    "slots": {"compressor": "slots"},
    "t_selector": {"compressor": "t_selector"},
    "average": {"compressor": "average"},
    "none": {"compressor": "none"},
    "tracks too": {"track_width": TRACK_WIDTH, "moving": NUMBERS},
}
"""What differs from the first, which has guided slots and reads patches alone: first the read-outs, then the
compressors, then what is read."""
SHARED: Final = ("backbone.", "inputs.patches.", "inputs.tracks.", "inputs.digits.")
"""What all may take from a trained grounder: nothing that is compared, and nothing that was learnt for it."""
COLUMNS: Final = ("R1@0.5", "R1@0.7", "mAP", "R1@0.5 blind", "tokens a video", "ms a request", "steps", "ms a step")
EPILOG = (
    "Examples: [bold]python -m miniature.compare_grounders --out runs/compared --minutes 1[/]  |  "
    "[bold]python -m miniature.compare_grounders --out runs/compared --start miniature/weights/grounder[/]  |  "
    "[bold]python -m miniature.compare_grounders --out runs/try --size smoke --steps 2 --workers 0 --videos 1[/]"
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


def compared(size: str) -> Settings:
    """The settings that all share: `full` for a GPU, `smoke`; InputError for another size."""
    sizes = {"full": FULL, "smoke": SMOKE}
    if size not in sizes:
        raise InputError(f"--size: expected one of {', '.join(sizes)}, got {size!r}")
    chosen = sizes[size]
    inside = replace(chosen.grounder, track_width=0, moving=0, visual_tokens=4)
    settings = replace(
        chosen, grounder=inside, mixture={Task.MOMENTS: 1.0}, short=None, refresh=0, first=chosen.pool,
        warm_up=min(chosen.warm_up, 100),
    )  # fmt: skip
    return replace(settings, seconds=60, pool=512, first=512, average=0.99) if size == "full" else settings


def variant(base: Settings, changes: Mapping[str, str | int]) -> Settings:
    """The shared settings with one of VARIANTS' changes."""
    inside: dict[str, Any] = {name: value for name, value in changes.items() if name != "windows"}
    windows: Any = changes.get("windows", base.manner.windows)
    return replace(
        base, grounder=replace(base.grounder, **inside), manner=replace(base.manner, windows=windows)
    )  # fmt: skip


def train(trainer: Trainer, studio: Studio, minutes: float, steps: int | None) -> float:
    """Train until time or steps are over; milliseconds a step.

    Raises:
        TrackSiftError: when the loss is no longer a finite number.
    """
    began = time.monotonic()
    clock = Clock(0.0, steps, 60 * minutes, time.monotonic, began)
    while (progress := clock.progress(trainer.step)) < 1:
        trainer.progress = progress
        losses = trainer.advance(studio)
        if trainer.step % CHECK_EVERY == 0:  # waits for the device, so that the clock does not run ahead of it
            check_loss(float(losses["total"]), trainer.step)
    check_loss(float(losses["total"]), trainer.step)
    return 1e3 * (time.monotonic() - began) / max(trainer.step, 1)


def compare(
    settings: Settings, studio: Studio, films: Sequence[Film], minutes: float, steps: int | None, device: torch.device,
    start: Path | None = None,
) -> dict[str, float]:  # fmt: skip
    """Train one grounder and measure it: values by COLUMNS."""
    torch.manual_seed(settings.seed)
    with closing(Trainer(settings, device)) as trainer:
        if start is not None:
            trainer.borrow(start, SHARED)
        each = train(trainer, studio, minutes, steps)
    figures, seconds = measure(
        trainer.average, films, manner=settings.manner, motion=settings.motion, tasks=(Task.MOMENTS,)
    )  # fmt: skip
    seen = figures[GROUNDER]
    asked = sum(len(film.story.moments) for film in films)
    values = (
        seen["moments_r1_50"], seen["moments_r1_70"], seen["moments_map"], figures[BLIND]["moments_r1_50"],
        count_tokens(settings.grounder, films[0].story.frames), 1e3 * seconds["moments_seconds"] / asked,
        trainer.step, each,
    )  # fmt: skip
    return {name: round(float(value), 4) for name, value in zip(COLUMNS, values, strict=True)}


@app.command(epilog=EPILOG)
def main(
    out: Annotated[Path, typer.Option(help="Folder for compared.json.")],
    minutes: Annotated[float, typer.Option(help="Minutes of training for each.", min=0.01)] = 1.0,
    steps: Annotated[int | None, typer.Option(help="Steps for each, instead of minutes.", min=1)] = None,
    size: Annotated[str, typer.Option(help="full (a GPU) or smoke.")] = "full",
    only: Annotated[str, typer.Option(help="Some of them, parted by semicolons.")] = ";".join(VARIANTS),
    videos: Annotated[int, typer.Option(help=f"Films to measure on, from {SPLIT}.", min=1)] = 24,
    start: Annotated[
        Path | None,
        typer.Option(help="A grounder's folder, whose front ends and language model are the first of each."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that draw; 0 draws here.", min=0)] = 14,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Train a small grounder with each read-out and each compressor and print one table."""
    base, place = compared(size), pick_device(device)
    chosen = [name.strip() for name in only.split(";")]
    if wrong := [name for name in chosen if name not in VARIANTS]:
        raise InputError(f"--only: expected some of {'; '.join(VARIANTS)}, got {wrong[0]!r}")
    check_folder(out)
    if start is not None:  # before films are drawn
        for name in chosen:
            with closing(Trainer(variant(base, VARIANTS[name]), place, writers=0)) as trainer:
                trainer.borrow(start, SHARED)
    torch.set_float32_matmul_precision("high")
    sight = Sight(load_image_encoder(str(WEIGHTS / "clip"), place), base.grid, base.tiles)
    tracks = base.grounder.tracks
    like = Order(0, 0, seconds=base.seconds, most=base.most, tracks=tracks)
    with closing(Studio(base.pool, sight, workers=workers, like=like)) as studio:
        with progress_bar("films made", base.first) as tell:
            for count in studio.wait_for(base.first):
                tell(min(count, base.first), base.first)
        films = list(held_out(SPLIT, videos, sight, workers=workers, seconds=base.seconds, tracks=tracks))
    found: dict[str, dict[str, float]] = {}
    with progress_bar("grounders", len(chosen)) as tell:
        for name in chosen:
            found[name] = compare(variant(base, VARIANTS[name]), studio, films, minutes, steps, place, start)
            tell(len(found), len(chosen))
    budget = {"minutes": minutes} if steps is None else {"steps": steps}
    facts = {"size": size, "videos": videos, "seconds": base.seconds, "device": describe_device(place), **budget}
    if start is not None:
        facts["started_from"] = read_record(start)["weights_sha256"]
    out.mkdir(parents=True, exist_ok=True)
    with atomic_path(out / "compared.json") as path:
        path.write_text(json.dumps({"compared": found, **facts}, indent=1) + "\n", encoding="utf-8")
    title = f"miniature, {videos} films of {SPLIT} of {base.seconds} s, same budget each"
    print_table(title, ("grounder", *COLUMNS), [(name, *values.values()) for name, values in found.items()])
    emit({f"{name}: {column}": value for name, row in found.items() for column, value in row.items()}, facts)


if __name__ == "__main__":
    cli.run(app)
