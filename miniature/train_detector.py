"""`python -m miniature.train_detector`: trains the miniature GroundingDINO on rendered frames, from nothing.

Knows the trainer and the files that a training leaves. Does not know forward passes or losses.

In `--out`: `state.pt` (to go on with `--resume`) and `log.jsonl`, as they are every minute, and `detector`, a folder
that transformers reads: configuration, float16 weights (a running average), tokenizer and processor, at the end with
`detector.json`, the record of seed, device, minutes, data, curve and figures, and the log.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from transformers import GroundingDinoForObjectDetection, GroundingDinoImageProcessor, GroundingDinoProcessor

from core import cli
from core.atomic import atomic_folder, atomic_path
from core.devices import describe_device, pick_device
from core.errors import InputError
from core.hashing import file_sha256
from core.reporting import Progress, emit, environment, print_table, track
from miniature import training_run
from miniature.detector_training.evaluate import (
    Answered,
    Figures,
    HeldOut,
    answer,
    choose_threshold,
    figures,
    held_out,
)
from miniature.detector_training.model import FULL, LIGHT, freeze
from miniature.detector_training.pool import FIRST_SEED, Pool
from miniature.detector_training.trainer import SMOKE, TERMS, Settings, Trainer, read_state
from miniature.detector_training.vocabulary import make_tokenizer
from miniature.sam2_training.schedule import Clock
from miniature.training_run import check, check_loss, named_signals, prepare, say_waiting, stopped
from miniature.world.spec import SIDE
from proposals.detector import Detector, load_detector, quiet
from tracksift.scheduling.stopping import Stop

LOG_EVERY = 50
MEASURED = ("valid", "shifted_dev")
SIZES = {"full": FULL, "light": LIGHT}
LONGEST = 448
"""Side to which a long frame is shrunk; its short side is the world's."""
app = typer.Typer(add_completion=False, help=(__doc__ or "").split("\n", maxsplit=1)[0])


@dataclass
class Run(training_run.Run):
    """One invocation, and the frames on which it measures while it trains."""

    frames: Sequence[HeldOut]


def train(trainer: Trainer, pool: Pool, clock: Clock, run: Run, tell: Progress, stop: Stop) -> None:
    """Steps until the clock says 1; logs, measures and saves on the way.   stop: asked after every step.

    Raises:
        StoppedError: when a signal asked to stop; the state to go on from is written.
        TrackSiftError: when the loss is no longer a finite number.
    """
    every = LOG_EVERY if clock.steps is None else min(LOG_EVERY, max(1, clock.steps // 4))
    run.measured, before = time.monotonic(), trainer.drawn
    while (progress := clock.progress(trainer.step)) < 1:
        trainer.progress = progress
        told = trainer.advance(pool)
        if stop.asked():  # before anything is asked of workers, whom the signal may have ended too
            trainer.drawn = before + pool.drawn
            trainer.save(run.state)
            raise stopped(run.out, stop.signal, f"--resume goes on from step {trainer.step}")
        # While the pool fills, take all there is; afterwards no more than keeps the steps waiting for nothing.
        pool.take(trainer.settings.refresh if pool.filled == pool.size else 8 * trainer.settings.refresh)
        trainer.drawn = before + pool.drawn
        if trainer.step % every == 0:
            values = {name: round(value, 4) for name, value in zip(TERMS, told.tolist(), strict=True)}
            run.log(step=trainer.step, progress=round(progress, 4), scenes=trainer.drawn, **values)
            check_loss(values["total"], trainer.step)
            tell(round(1000 * progress), 1000)
        if run.due():
            measure(trainer, run)
            trainer.save(run.state)
            run.measured = time.monotonic()
    trainer.progress = 1.0
    trainer.save(run.state)


def measure(trainer: Trainer, run: Run) -> None:
    """One line of the curve: the averaged weights on the held-out frames, at the threshold that is best there."""
    model = freeze(trainer.average, trainer.settings.size).to(trainer.device)
    answers = _answers(Detector(model, make_processor(), "in training", ""), run.frames)
    values = asdict(figures(answers, choose_threshold(answers)))
    rounded = {name: round(value, 4) for name, value in values.items()}
    run.log(step=trainer.step, progress=round(trainer.progress, 4), held_out=rounded)


def make_processor() -> GroundingDinoProcessor:
    """The world's words, and frames at the size that training sees."""
    images = GroundingDinoImageProcessor(size={"shortest_edge": SIDE, "longest_edge": LONGEST})
    return GroundingDinoProcessor(images, make_tokenizer())


def write_model(model: GroundingDinoForObjectDetection, folder: Path) -> None:
    """Everything that transformers reads, the weights in float16."""
    with quiet():
        model.half().save_pretrained(folder)
    make_processor().save_pretrained(folder)


def finish(trainer: Trainer, run: Run, *, clips: int, workers: int) -> dict[str, Figures]:
    """Write the model, measure what was written, write the record and the log beside it; figures by split.

    The threshold is chosen on `valid` and holds for all splits.
    """
    folder = run.out / "detector"
    with atomic_folder(folder) as temporary:
        write_model(freeze(trainer.average, trainer.settings.size), temporary)
    detector = load_detector(str(folder), str(trainer.device))
    measured: dict[str, Figures] = {}
    threshold: float | None = None
    for split in MEASURED:
        answers = measure_split(detector, split, clips, workers)
        threshold = choose_threshold(answers) if threshold is None else threshold
        measured[split] = figures(answers, threshold)
    record = make_record(trainer, run, measured, folder)
    with atomic_path(folder / "detector.json") as path:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    with atomic_path(folder / "log.jsonl") as path:
        path.write_text((run.out / training_run.LOG).read_text(), encoding="utf-8")
    return measured


def measure_split(detector: Detector, split: str, clips: int, workers: int) -> list[Answered]:
    """A detector's answers about the first clips of a split, under progress bars."""
    frames = list(track(held_out(split, clips, workers), f"rendering {split}"))
    return _answers(detector, frames, f"detecting on {split}")


def make_record(trainer: Trainer, run: Run, measured: dict[str, Figures], folder: Path) -> dict[str, Any]:
    """What was trained, on what, for how long, how it went and what came of it."""
    lines = [json.loads(line) for line in (run.out / training_run.LOG).read_text().splitlines()]
    minutes = (time.monotonic() - run.began) / 60
    return {
        "weights_sha256": file_sha256(folder / "model.safetensors"),
        "seed": trainer.settings.seed,
        "minutes": round(minutes, 2),
        "steps": trainer.step,
        "threshold": measured[MEASURED[0]].threshold,
        "figures": {split: {k: round(v, 4) for k, v in asdict(f).items()} for split, f in measured.items()},
        **environment(),
        "device": describe_device(trainer.device),
        "settings": asdict(trainer.settings),
        "data": {"scenes_from_seed": FIRST_SEED, "scenes": trainer.drawn, "measured_on": list(MEASURED)},
        "curve": [line for line in lines if "held_out" in line],
    }


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder for state, log and the model's folder.")],
    seed: Annotated[int, typer.Option(help="Seed of weights and batches.", min=0)] = 0,
    minutes: Annotated[float, typer.Option(help="Minutes from the start of the command to the last step.")] = 8.0,
    steps: Annotated[int | None, typer.Option(help="Steps in all, instead of minutes.", min=1)] = None,
    size: Annotated[
        str, typer.Option(help="full (strides 8 to 64) or light (16 to 64, a third of the time).")
    ] = "full",
    frames: Annotated[int | None, typer.Option(help="Frames a batch.", min=1)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    workers: Annotated[int, typer.Option(help="Processes that draw; 0 draws once, here.", min=0)] = 14,
    clips: Annotated[int, typer.Option(help="Clips of each split measured at the end.", min=1, max=60)] = 60,
    capture: Annotated[bool, typer.Option(help="Replay the step as a CUDA graph (CUDA).")] = True,
    resume: Annotated[bool, typer.Option(help="Go on from OUT/state.pt.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
    smoke: Annotated[bool, typer.Option(help="Tiny sizes and 4 steps, to see that everything runs.")] = False,
) -> None:
    """Train the miniature GroundingDINO and leave the model's folder, log and record in OUT.

    Example: python -m miniature.train_detector --out runs/detector --minutes 8 --workers 14
    """
    began = time.monotonic()
    place = pick_device(device)
    settings = choose_settings(size, seed, frames, smoke)
    workers, clips, steps = (0, 1, steps or 4) if smoke else (workers, clips, steps)
    check(out, resume=resume, minutes=minutes)
    if dry_run:
        plan = {"out": out, "device": place, "minutes": minutes, "steps": steps or "by time", **asdict(settings)}
        print_table("would train", ("setting", "value"), [[name, str(value)] for name, value in plan.items()])
        return
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = place.type == "cuda"
    out.mkdir(parents=True, exist_ok=True)
    drawn = int(read_state(out / training_run.STATE)["drawn"]) if resume else 0
    with named_signals(out), closing(Pool(settings.pool, place, workers=workers, skip=drawn)) as pool:
        trainer = Trainer(settings, place, capture=capture and place.type == "cuda")
        run = Run(out, began, 60.0, list(held_out("valid", 1 if smoke else 12)))
        prepare(trainer, pool, run, items="scenes", resume=resume)
        left = 60 * minutes - (time.monotonic() - began)
        clock = Clock(trainer.progress, steps, left, time.monotonic, time.monotonic())
        with run.bar("training, thousandths", 1000) as tell, named_signals(out, say_waiting) as stop:
            train(trainer, pool, clock, run, tell, stop)
    with named_signals(out):
        measured = finish(trainer, run, clips=clips, workers=workers)
    print_figures(f"miniature GroundingDINO after {trainer.step} steps, attribute expressions", measured)
    emit(flat(measured) | {"steps": trainer.step}, {"seed": seed, "minutes": minutes, "size": asdict(settings.size)})


def choose_settings(size: str, seed: int, frames: int | None, smoke: bool) -> Settings:
    """The settings of the flags; InputError for an unknown size."""
    if size not in SIZES:
        raise InputError(f"--size: expected one of {', '.join(SIZES)}, got {size!r}")
    settings = replace(SMOKE, seed=seed) if smoke else replace(Settings(), seed=seed, size=SIZES[size])
    return settings if frames is None else replace(settings, frames=frames)


def print_figures(title: str, measured: dict[str, Figures]) -> None:
    """A table of figures by split."""
    columns = ("split", "recall", "precision", "false boxes", "boxes", "pairs", "without target", "threshold")
    rows = [(split, f.recall, f.precision, f.false_boxes, f.boxes, f.pairs, f.no_target_pairs, f.threshold)
            for split, f in measured.items()]  # fmt: skip
    print_table(title, columns, rows)


def flat(measured: dict[str, Figures]) -> dict[str, float | int]:
    """Figures by flat names."""
    return {f"{split}_{name}": value for split, f in measured.items() for name, value in asdict(f).items()}


def _answers(detector: Detector, frames: Sequence[HeldOut], what: str = "") -> list[Answered]:
    found = answer(detector, frames)
    shown = track(found, what, len(frames)) if what else found
    return [one for answers in shown for one in answers]


if __name__ == "__main__":
    cli.run(app)
