"""`python -m miniature.train_grounder`: trains the miniature grounder on films of the long world, from nothing.

Knows the trainer and the files that a training leaves. Does not know lessons or losses. Workers draw stories while the
frozen miniature tower looks at them on the device.

In `--out`: `state.pt` (to go on with `--resume`) and `log.jsonl` (losses, and figures on held-out films every few
minutes), and `grounder`, a folder of weights and record that `eval_grounder` and `predict-moments` read; all as they
are then.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from core import cli
from core.atomic import atomic_path
from core.devices import describe_device, pick_device
from core.errors import CheckpointError, InputError
from core.images import load_image_encoder
from core.reporting import Progress, emit, environment, print_table, track
from llm_grounder.checkpoints import save_grounder
from llm_grounder.compressors import count_tokens
from llm_grounder.types import Task
from miniature import training_run
from miniature.eval_grounder import GROUNDER, held_out, measure
from miniature.grounder_training.figures import Figures
from miniature.grounder_training.films import FIRST_SEED, Film, Order, Sight, Studio
from miniature.grounder_training.settings import FULL, SMALL, SMOKE, Settings
from miniature.grounder_training.trainer import Trainer, read_state
from miniature.sam2_training.schedule import Clock
from miniature.training_run import check, check_loss, named_signals, prepare, say_waiting, stopped
from tracksift.clips import Inputs
from tracksift.models import WEIGHTS
from tracksift.scheduling.stopping import Stop

LOG_EVERY = 20
MEASURE_EVERY = 180.0  # seconds
FRAMES = 256  # of a usual story, for the count of tokens
WATCHED = (Task.MOMENTS, Task.SUMMARY, Task.RSOT, Task.SOT)
"""What is measured while training: the tasks that need no words written, which would take long."""
SIZES = {"full": FULL, "small": SMALL, "smoke": SMOKE}
EPILOG = (
    "Examples: [bold]python -m miniature.train_grounder --out runs/grounder --minutes 10[/]  |  "
    "[bold]python -m miniature.train_grounder --out runs/try --size small --minutes 3 --workers 1 --device cpu[/]"
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


@dataclass
class Run(training_run.Run):
    """One invocation, and the films on which it measures while it trains."""

    films: Sequence[Film]


def train(
    trainer: Trainer, studio: Studio, clock: Clock, sight: Sight, run: Run, tell: Progress, stop: Stop,
    until: float = 1.0,
) -> Figures:  # fmt: skip
    """Steps until the clock says so; logs, measures and saves on the way. The figures at the end.

    stop: asked after every step.

    Raises:
        StoppedError: when a signal asked to stop; the state to go on from is written.
        TrackSiftError: when the loss is no longer a finite number.
    """
    every = LOG_EVERY if clock.steps is None else min(LOG_EVERY, max(1, clock.steps // 4))
    run.measured, before = time.monotonic(), trainer.drawn
    while (progress := clock.progress(trainer.step)) < until:
        trainer.progress = progress
        losses = trainer.advance(studio)
        if stop.asked():  # before anything is asked of workers, whom the signal may have ended too
            trainer.drawn = before + studio.drawn
            trainer.save(run.state)
            raise stopped(run.out, stop.signal, f"--resume goes on from step {trainer.step}")
        # While the pool fills, take all there is; afterwards no more than keeps the steps waiting for nothing.
        studio.take(trainer.settings.refresh if studio.filled == studio.size else 1 + 4 * trainer.settings.refresh)
        trainer.drawn = before + studio.drawn
        if trainer.step % every == 0:
            values = {name: round(float(value), 4) for name, value in losses.items()}
            pace = {"films": trainer.drawn, "ms": trainer.pace(every)}
            run.log(step=trainer.step, progress=round(progress, 4), **pace, losses=values)
            check_loss(values["total"], trainer.step)
            tell(round(1000 * progress), 1000)
        if run.due() and not trainer.looking:
            keep(trainer, run, sight)
            watch(trainer, run)
            run.measured = time.monotonic()
    trainer.progress = until
    keep(trainer, run, sight)  # before it is measured, which may be cut off
    return watch(trainer, run)


def keep(trainer: Trainer, run: Run, sight: Sight) -> Path:
    """Write the state to go on from, and the grounder as it is now; the grounder's folder."""
    trainer.save(run.state)
    return finish(trainer, run, sight)


def watch(trainer: Trainer, run: Run) -> Figures:
    """One line of the curve: the averaged weights on the held-out films."""
    figures, _ = measure(
        trainer.average, run.films, manner=trainer.settings.manner, motion=trainer.settings.motion, tasks=WATCHED,
        baselines=False,
    )  # fmt: skip
    rounded = {name: round(value, 4) for name, value in figures[GROUNDER].items()}
    run.log(step=trainer.step, progress=round(trainer.progress, 4), held_out=rounded)
    return rounded


def finish(trainer: Trainer, run: Run, sight: Sight) -> Path:
    """Write weights and record; the folder."""
    lines = [json.loads(line) for line in (run.out / training_run.LOG).read_text().splitlines()]
    settings = trainer.settings
    record: dict[str, Any] = {
        "inputs": inputs_of(settings, sight).record(),
        "manner": asdict(settings.manner),
        "seed": settings.seed,
        "minutes": round((time.monotonic() - run.began) / 60, 2),
        "steps": trainer.step,
        "started_from": trainer.started,
        "asked": dict(trainer.asked),
        "data": {"stories_from_seed": FIRST_SEED + settings.passed, "films": trainer.drawn},
        "environment": environment() | {"device": describe_device(trainer.device)},
        "training": json.loads(json.dumps(asdict(settings), default=str)),
        "curve": [line for line in lines if "held_out" in line],
    }
    folder = run.out / "grounder"
    save_grounder(folder, trainer.average, record, torch.int8)
    with atomic_path(folder / "log.jsonl") as path:
        path.write_text((run.out / training_run.LOG).read_text(), encoding="utf-8")
    return folder


@app.command(epilog=EPILOG)
def main(
    out: Annotated[Path, typer.Option(help="Folder for state, log and the grounder's folder.")],
    seed: Annotated[int, typer.Option(help="Seed of weights and draws.", min=0)] = 0,
    minutes: Annotated[float, typer.Option(help="Minutes from the start of the command to the last step.")] = 10.0,
    steps: Annotated[int | None, typer.Option(help="Steps in all, instead of minutes.", min=1)] = None,
    size: Annotated[str, typer.Option(help="full (a GPU), small (a CPU, short stories) or smoke.")] = "full",
    compressor: Annotated[str | None, typer.Option(help="guided, slots, t_selector, average or none.")] = None,
    visual_tokens: Annotated[int | None, typer.Option(help="Visual tokens a frame.", min=1)] = None,
    span_rule: Annotated[str | None, typer.Option(help="pointer or mlp.")] = None,
    tiles: Annotated[
        int | None, typer.Option(help="Parts a side in which frames are seen: small things look larger.", min=1)
    ] = None,
    windows: Annotated[str | None, typer.Option(help="Moments from spans, words or relevance.")] = None,
    tasks: Annotated[str | None, typer.Option(help="Only these, NAME or NAME=WEIGHT, parted by commas.")] = None,
    films: Annotated[int | None, typer.Option(help="Films a step.", min=1)] = None,
    rate: Annotated[float | None, typer.Option(help="Highest learning rate.", min=0.0)] = None,
    lost_words: Annotated[
        float | None, typer.Option(help="Share of requests' words left out or replaced.", min=0.0, max=1.0)
    ] = None,
    wide: Annotated[
        bool | None,
        typer.Option("--wide/--plain", help="Requests in more wordings than the splits'; plain by default."),
    ] = None,
    passed: Annotated[
        int | None, typer.Option(help="Films to pass over at first: those that --start has seen.", min=0)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    workers: Annotated[int, typer.Option(help="Processes that draw; 0 draws once, here.", min=0)] = 14,
    videos: Annotated[int, typer.Option(help="Held-out films of the curve, from valid.", min=1)] = 12,
    until: Annotated[
        float, typer.Option(help="Stop at this share of the training; --resume goes on.", min=0.01, max=1.0)
    ] = 1.0,
    start: Annotated[
        Path | None, typer.Option(help="A grounder's folder of the same size, whose weights are the first.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from OUT/state.pt.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
) -> None:
    """Train the miniature grounder and leave its folder, state and log in OUT."""
    began, place = time.monotonic(), pick_device(device)
    settings = choose_settings(
        size, seed=seed, films=films, rate=rate, tiles=tiles, lost_words=lost_words, mixture=read_mixture(tasks),
        compressor=compressor, visual_tokens=visual_tokens, span_rule=span_rule, windows=windows, passed=passed,
        wide=wide,
    )  # fmt: skip
    check(out, resume=resume, minutes=minutes)
    if dry_run:
        plan = {"out": out, "device": place, "minutes": minutes, "steps": steps or "by time", **asdict(settings)}
        plan["tokens a video"] = count_tokens(settings.grounder, FRAMES)
        print_table("would train", ("setting", "value"), [[name, str(value)] for name, value in plan.items()])
        return
    torch.set_float32_matmul_precision("high")
    if place.type == "cuda":
        torch.set_num_threads(2)  # the cores belong to those who draw; small steps wait longer for many threads
    out.mkdir(parents=True, exist_ok=True)
    sight = Sight(load_image_encoder(str(WEIGHTS / "clip"), place), settings.grid, settings.tiles)
    drawn = int(read_state(out / training_run.STATE)["drawn"]) if resume else 0
    like = Order(0, 0, seconds=settings.seconds, most=settings.most, tracks=settings.most_tracks, wide=settings.wide)
    with (
        named_signals(out),
        closing(begin(settings, place, None if resume else start)) as trainer,
        closing(
            Studio(settings.pool, sight, workers=workers, skip=settings.passed + drawn, like=like, short=settings.short)
        ) as studio,
    ):
        seen = held_out("valid", videos, sight, workers=0, seconds=settings.seconds, tracks=settings.most_tracks)
        run = Run(out, began, MEASURE_EVERY, list(track(seen, "held-out films", videos)))
        prepare(trainer, studio, run, items="films", resume=resume)
        left = 60 * minutes - (time.monotonic() - began)  # for this part of the training, of which the clock wants all
        whole = left * (1 - trainer.progress) / max(until - trainer.progress, 1e-9)
        clock = Clock(trainer.progress, steps, whole, time.monotonic, time.monotonic())
        with run.bar("training, thousandths", 1000) as tell, named_signals(out, say_waiting) as stop:
            figures = train(trainer, studio, clock, sight, run, tell, stop, until)
    folder = finish(trainer, run, sight)  # once more, with the last figures in its record
    rows = [(name, f"{value:.3f}") for name, value in figures.items()]
    print_table(f"miniature grounder after {trainer.step} steps, {videos} videos of valid", ("figure", "value"), rows)
    emit(
        figures | {"steps": trainer.step, "films": trainer.drawn},
        {"seed": seed, "minutes": minutes, "size": size, "grounder": str(folder)},
    )


def begin(settings: Settings, device: torch.device, start: Path | None) -> Trainer:
    """A trainer whose weights are random, or those of a grounder's folder; whoever takes it closes it.

    Raises:
        CheckpointError: for a folder of another grounder.
    """
    trainer = Trainer(settings, device)
    if start is not None:
        try:
            trainer.start(start)
        except CheckpointError:
            trainer.close()
            raise
    return trainer


def inputs_of(settings: Settings, sight: Sight) -> Inputs:
    """What the grounder reads, for its record."""
    tracks = settings.most_tracks
    trackless = bool(tracks and settings.trackless_share)
    return Inputs(
        sight.encoder.sha256, settings.grid, settings.tiles, 2.0, settings.motion, tracks, bool(tracks), trackless
    )  # fmt: skip


def choose_settings(size: str, *, mixture: Mapping[Task, float] | None, **values: Any) -> Settings:
    """The settings of the flags, those that are None being the size's own; InputError for an unknown size."""
    if size not in SIZES:
        raise InputError(f"--size: expected one of {', '.join(SIZES)}, got {size!r}")
    base = SIZES[size]
    given = {name: value for name, value in values.items() if value is not None}
    inside = {name: given.pop(name) for name in ("compressor", "visual_tokens", "span_rule") if name in given}
    manner = replace(base.manner, windows=given.pop("windows", base.manner.windows))
    return replace(
        base, manner=manner, grounder=replace(base.grounder, **inside), mixture=mixture or base.mixture, **given
    )


def read_mixture(text: str | None) -> dict[Task, float] | None:
    """Tasks and weights of a flag; InputError for an unknown task or a weight that is none."""
    if text is None:
        return None
    out = {}
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        try:
            out[Task(name)] = float(weight or 1)
        except ValueError:
            raise InputError(f"--tasks: expected names among {', '.join(Task)} and weights, got {part!r}") from None
    if not all(weight > 0 for weight in out.values()):
        raise InputError(f"--tasks: expected weights above 0, got {text!r}")
    return out


if __name__ == "__main__":
    cli.run(app)
