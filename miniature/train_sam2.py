"""`python -m miniature.train_sam2`: trains the miniature SAM2 on rendered clips and cut-outs, in minutes on one GPU.

Knows the trainer, the schedule and the files that a training leaves. Does not know forward passes or losses.

It begins with random weights, or goes on from `--init`. Under `torchrun --nproc-per-node N` every process has a GPU and
clips of its own, and a batch is N times as large. Three stages (images, clips of a few frames with memory, longer
clips) share the wall clock, so that each ends on time. In `--out`: `state.pt` (to go on with `--resume`), `log.jsonl`,
`sam2.safetensors` (float16) and `sam2.yaml`, all as they are every minute, and at the end `sam2.json`, the record of
seed, device, minutes, data, curve and figures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from sam2.modeling.sam2_base import SAM2Base

from core import cli
from core.devices import pick_device
from core.errors import InputError
from core.hashing import file_sha256
from core.reporting import Progress, emit, print_table, track
from miniature import training_run
from miniature.eval_sam2 import COLUMNS, CUTOUTS, Figures, evaluate_sam2, evaluate_split, flat, rows, split_clips
from miniature.sam2_training.pool import Pool, Rendered
from miniature.sam2_training.record import CONFIG, write_record, write_weights
from miniature.sam2_training.schedule import Clock, stage_at
from miniature.sam2_training.steps import compiled_parts, plain_parts
from miniature.sam2_training.team import join
from miniature.sam2_training.trainer import SMOKE, Settings, Trainer
from miniature.training_run import check, check_loss, named_signals, prepare, say_waiting, stopped
from proposals.checkpoints import build_sam2, load_sam2
from tracksift.scheduling.stopping import Stop

LOG_EVERY = 20
MEASURED = ("valid", "shifted_dev", CUTOUTS)
CURVE = ("valid", CUTOUTS)
app = typer.Typer(add_completion=False, help=(__doc__ or "").split("\n", maxsplit=1)[0])


@dataclass
class Run(training_run.Run):
    """One invocation, and what it measures while it trains.

    held_out: clips of each split of the curve.   init: hash of the weights that it began with, if any.
    """

    held_out: Mapping[str, Sequence[Rendered]]
    judge: SAM2Base
    init: str | None = None


def train(trainer: Trainer, pool: Pool, clock: Clock, run: Run, tell: Progress, stop: Stop) -> None:
    """Steps until the clock says 1; logs, measures and saves on the way.

    stop: asked after every step; what one process of a team is asked ends all of them.

    Raises:
        StoppedError: when a signal asked to stop; the state to go on from is written.
        TrackSiftError: when the loss is no longer a finite number.
    """
    last = LOG_EVERY if clock.steps is None else min(LOG_EVERY, max(1, clock.steps // 4))
    run.measured, before = time.monotonic(), used_up(trainer.rendered, trainer.settings)
    team = trainer.team
    while (progress := team.agree(clock.progress(trainer.step), trainer.device)) < 1:
        trainer.progress = progress
        stage = stage_at(progress)
        losses = trainer.advance(pool, stage)
        if number := team.most(stop.signal, trainer.device):  # before workers are asked, whom it may have ended too
            trainer.rendered = before + pool.rendered
            if run.leads:
                trainer.save(run.state)
            team.part()  # else torchrun would end the one that writes when the first of the others is gone
            raise stopped(run.out, number, f"--resume goes on from step {trainer.step}")
        # While the pool fills, take all there is; afterwards no more than keeps the steps waiting for nothing.
        full = pool.filled == len(pool.area)
        pool.take(trainer.settings.refresh if full else 4 * trainer.settings.refresh)
        trainer.rendered = before + pool.rendered
        if trainer.step % last == 0:
            values = {name: round(float(value.detach()), 5) for name, value in vars(losses).items()}
            run.log(step=trainer.step, stage=stage.name, progress=round(progress, 4), clips=trainer.rendered, **values)
            check_loss(values["total"], trainer.step)
            tell(round(1000 * progress), 1000)
        if run.due():
            measure(trainer, run)
            trainer.save(run.state)
            write_weights(trainer.model, run.out)  # so that a training cut short leaves something to look at
    trainer.progress = 1.0
    if run.leads:
        trainer.save(run.state)


def measure(trainer: Trainer, run: Run) -> None:
    """One line of the curve: J on the held-out clips with the weights as they are."""
    run.judge.load_state_dict(trainer.model.state_dict())
    values = {
        f"{split}_{prompt}_j": round(figures.j, 4)
        for split, clips in run.held_out.items()
        for prompt, figures in evaluate_sam2(run.judge.eval(), clips, together=len(clips)).items()
    }
    run.log(step=trainer.step, progress=round(trainer.progress, 4), held_out=values)
    run.measured = time.monotonic()


def finish(trainer: Trainer, run: Run, *, clips: int, workers: int) -> tuple[dict[str, Figures], ...]:
    """Write the weights, measure the written file, write the record; the figures of each split of MEASURED."""
    weights = write_weights(trainer.model, run.out)
    tracker = load_sam2(str(weights), str(trainer.device))
    together = max(len(held) for held in run.held_out.values())
    measured = tuple(
        evaluate_split(tracker.model, split, clips, workers=workers, together=together) for split in MEASURED
    )
    figures = {name: value for s, f in zip(MEASURED, measured, strict=True) for name, value in flat(s, f).items()}
    write_record(run.out, trainer, init=run.init, seconds=time.monotonic() - run.began, figures=figures)
    return measured


def held_out_clips(count: int) -> dict[str, list[Rendered]]:
    """The first clips of each split of the curve; made here, a fraction of a second each."""
    return {
        split: list(track(split_clips(split, count, workers=0), f"{split}: held-out clips", total=count))
        for split in CURVE
    }


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder for state, log, weights and record.")],
    seed: Annotated[int, typer.Option(help="Seed of weights and batches.", min=0)] = 0,
    minutes: Annotated[float, typer.Option(help="Minutes from the start of the command to the last step.")] = 6.5,
    steps: Annotated[int | None, typer.Option(help="Steps in all, instead of minutes.", min=1)] = None,
    cutouts: Annotated[float, typer.Option(help="Share of cut-out clips among the rendered ones, 0..1.")] = 0.5,
    init: Annotated[Path | None, typer.Option(help="Weights (.safetensors) to train further; else random.")] = None,
    rate: Annotated[float, typer.Option(help="Factor on the learning rate; 0.5 suits --init.")] = 1.0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    workers: Annotated[int, typer.Option(help="Processes that render; 0 renders once, here.", min=0)] = 14,
    clips: Annotated[int, typer.Option(help="Clips of each split measured at the end.", min=1)] = 60,
    compile: Annotated[bool, typer.Option(help="Compile parts, replay steps as CUDA graphs (CUDA).")] = True,
    resume: Annotated[bool, typer.Option(help="Go on from OUT/state.pt.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what would be done, and write nothing.")] = False,
    smoke: Annotated[bool, typer.Option(help="Tiny sizes and 4 steps, to see that everything runs.")] = False,
) -> None:
    """Train the miniature SAM2 and leave weights, log and record in OUT."""
    began = time.monotonic()
    team, place = join(pick_device(device))
    settings = replace(SMOKE if smoke else Settings(), seed=seed, cutouts=cutouts, rate=rate)
    workers, clips, steps = (0, 1, steps or 4) if smoke else (workers, clips, steps)
    check(out, resume=resume, minutes=minutes)
    check_init(init, resume=resume)
    if dry_run:
        plan = {
            "out": out,
            "device": place,
            "minutes": minutes,
            "steps": steps or "by time",
            "init": init,
            **asdict(settings),
        }
        print_table("would train", ("setting", "value"), [[name, str(value)] for name, value in plan.items()])
        return
    torch.manual_seed(seed)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = place.type == "cuda"
    out.mkdir(parents=True, exist_ok=True)
    fast = compile and place.type == "cuda" and not smoke
    model, source = first_weights(init)
    model = model.to(place)
    trainer = Trainer(model, compiled_parts(model) if fast else plain_parts(model), settings, capture=fast, team=team)
    done = saved_clips(out / training_run.STATE, settings) if resume else 0
    with (
        named_signals(out),
        closing(Pool(settings.pool, place, workers=workers, skip=done, cutouts=cutouts, rank=team.rank)) as pool,
    ):
        held_out = held_out_clips(1 if smoke else 8) if team.leads else {}
        run = Run(out, began, 60.0, held_out, build_sam2(CONFIG).to(place), source, leads=team.leads)
        prepare(trainer, pool, run, items="clips", resume=resume)
        left = 60 * minutes - (time.monotonic() - began)
        clock = Clock(trainer.progress, steps, left, time.monotonic, time.monotonic())
        with run.bar("training, thousandths", 1000) as tell, named_signals(out, say_waiting) as stop:
            train(trainer, pool, clock, run, tell, stop)
    team.part()
    if not team.leads:
        return
    with named_signals(out):
        measured = finish(trainer, run, clips=clips, workers=workers)
    table = [row for split, figures in zip(MEASURED, measured, strict=True) for row in rows(split, figures)]
    print_table(f"miniature SAM2 after {trainer.step} steps, {clips} clips a split", COLUMNS, table)
    emit(json.loads((out / "sam2.json").read_text())["figures"], {"seed": seed, "steps": trainer.step})


def first_weights(init: Path | None) -> tuple[SAM2Base, str | None]:
    """A model with random weights, or with those of a file, and the hash of that file."""
    model = build_sam2(CONFIG)
    if init is None:
        return model, None
    model.load_state_dict(load_sam2(str(init), "cpu").model.state_dict())
    return model, file_sha256(init)


def check_init(init: Path | None, *, resume: bool) -> None:
    """Refuse weights to begin with that are not there, or not to begin with."""
    if init is not None and not init.is_file():
        raise InputError(f"--init: expected a .safetensors file, got nothing at {init}")
    if init is not None and resume:
        raise InputError("--init: expected without --resume, which goes on from OUT/state.pt")


def saved_clips(state: Path, settings: Settings) -> int:
    """How many seeds an earlier training has used up, so that a refreshed pool goes on behind them."""
    saved = torch.load(state, map_location="cpu", weights_only=True)
    return used_up(int(saved["rendered"]), settings)


def used_up(rendered: int, settings: Settings) -> int:
    """How many of the clips that ever arrived are no longer in the pool."""
    return max(0, rendered - settings.pool)


if __name__ == "__main__":
    cli.run(app)
