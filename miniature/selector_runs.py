"""Many trainings of selectors on one reading of the caches: runs in processes that share a device, each resumable.

A run is a variant with a seed. Where a variant's learning rate is searched, every rate is tried with the first seed,
the one that is best on `calib` is that seed's, and the other seeds take it.
Knows runs, their folders and processes. Does not know how a selector is trained or scored.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import wait as wait_for
from pathlib import Path

import torch

from core.errors import TrackSiftError
from miniature.selector_variants import Plan
from miniature.supply import leave_interrupts
from selector.checkpoints import WEIGHTS
from selector.fitting import Spread
from selector.settings import Settings, TrainingSettings
from selector.shared import SharedSplits, fitting
from selector.training import SEARCH, Run, Splits, Trained, keep_best, rate_folder
from tracksift.reliability import write_reliability


@dataclass(frozen=True)
class Facts:
    """What all runs have in common.   text_encoder: its hash.   named: the splits, for the record."""

    text_encoder: str
    named: tuple[str, ...]
    device: torch.device
    spread: Spread


@dataclass(frozen=True)
class Task:
    """One training of a plan, into a folder."""

    plan: Plan
    seed: int
    training: TrainingSettings
    folder: Path
    rate: float | None = None

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.plan.variant.name}, seed {self.seed}" + ("" if self.rate is None else f", rate {self.rate:g}")


@dataclass(frozen=True)
class Done:
    """A finished task, what came of it, and how long it took here (seconds; little where it was read)."""

    task: Task
    trained: Trained
    seconds: float


def run_folder(out: Path, name: str, seed: int) -> Path:
    """Where a variant's run with a seed lies."""
    return out / name / str(seed)


def train_all(
    shared: SharedSplits, facts: Facts, plans: Sequence[Plan], seeds: Sequence[int], out: Path,
    processes: int, deadline: float | None = None, on_done: Callable[[Done], None] | None = None,
) -> list[tuple[str, int]]:  # fmt: skip
    """Train every plan with every seed; the (variant, seed) whose folder is complete, in the order of the plans.

    processes: at a time, all on the device.   deadline: seconds of the monotonic clock after which no training begins;
        those that are done are still read.

    Raises:
        TrackSiftError: where a training does, after those that run have ended.
    """
    tasks = [task for plan in plans for task in _first_tasks(plan, seeds, out)]
    tasks.sort(key=lambda task: task.rate is None)  # searches first, since more follows from them
    found: dict[str, dict[float, Trained]] = {plan.variant.name: {} for plan in plans}
    complete: set[tuple[str, int]] = set()
    with _workers(shared, facts, processes) as start:
        running: dict[Future[tuple[Trained, float]], Task] = {}
        while tasks or running:
            while len(running) < processes and (task := _next(tasks, deadline)) is not None:
                tasks.remove(task)
                running[start(task)] = task
            if not running:
                break  # out of time
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                done = Done(task, *future.result())
                if on_done is not None:
                    on_done(done)
                name = task.plan.variant.name
                if task.rate is None:
                    complete.add((name, task.seed))
                    continue
                found[name][task.rate] = done.trained
                if len(found[name]) == len(task.plan.rates):
                    best = keep_best(run_folder(out, name, task.seed), dict(sorted(found[name].items())))
                    complete.add((name, task.seed))
                    tasks += _later_tasks(task.plan, seeds, float(best.figures["learning_rate"]), out)
    order = [(plan.variant.name, seed) for plan in plans for seed in seeds]
    return [run for run in order if run in complete]


def _next(tasks: Sequence[Task], deadline: float | None) -> Task | None:
    """The first that may begin."""
    in_time = deadline is None or time.monotonic() < deadline
    return next((task for task in tasks if in_time or (task.folder / WEIGHTS).exists()), None)


def _first_tasks(plan: Plan, seeds: Sequence[int], out: Path) -> Iterator[Task]:
    if not plan.rates:
        yield from (_task(plan, seed, out) for seed in seeds)
        return
    folder = run_folder(out, plan.variant.name, seeds[0])
    for rate in sorted(plan.rates):
        training = replace(plan.training, seed=seeds[0], learning_rate=rate)
        yield Task(plan, seeds[0], training, rate_folder(folder, rate), rate)


def _later_tasks(plan: Plan, seeds: Sequence[int], rate: float, out: Path) -> list[Task]:
    found = replace(plan, training=replace(plan.training, learning_rate=rate))
    return [_task(found, seed, out) for seed in seeds[1:]]


def _task(plan: Plan, seed: int, out: Path) -> Task:
    return Task(plan, seed, replace(plan.training, seed=seed), run_folder(out, plan.variant.name, seed))


@contextmanager
def _workers(
    shared: SharedSplits, facts: Facts, processes: int
) -> Iterator[Callable[[Task], Future[tuple[Trained, float]]]]:
    """What starts a task in one of the processes."""
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _Worker.open, (shared, facts))
    try:
        yield lambda task: pool.submit(_Worker.run, task)
    except KeyboardInterrupt:  # what runs is not waited for: it goes on from its last epoch another time
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class _Worker:
    """One process: the splits on its device, read once, as each module reads them."""

    splits: Splits
    facts: Facts
    read: dict[tuple[int, int, int], Splits]

    @classmethod
    def open(cls, shared: SharedSplits, facts: Facts) -> None:
        torch.set_num_threads(1)
        leave_interrupts()
        threading.Thread(target=_end_with_parent, daemon=True).start()
        cls.facts, cls.splits, cls.read = facts, shared.open(facts.device), {}

    @classmethod
    def run(cls, task: Task) -> tuple[Trained, float]:
        start = time.monotonic()
        facts, settings = cls.facts, task.plan.settings
        run = Run(
            cls._fitting(settings), facts.text_encoder, settings, facts.device, facts.spread,
            task.plan.variant.recipe, facts.named,
        )  # fmt: skip
        trained = run.finished_or_train(task.training, task.folder)
        if trained is None:
            raise TrackSiftError(f"{task.name}: expected a training of one process, got one of several")
        write_reliability(task.folder, trained.valid, trained.calibration)
        return trained, time.monotonic() - start

    @classmethod
    def _fitting(cls, settings: Settings) -> Splits:
        widths = (settings.token_width, settings.geometry, settings.look_width)
        if widths not in cls.read:
            cls.read[widths] = fitting(cls.splits, settings)
        return cls.read[widths]


def _end_with_parent() -> None:
    """A process whose parent was killed would go on, and then wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)


def search_of(folder: Path) -> list[dict[str, float]]:
    """What a run's search tried, one line a rate; [] where nothing was searched."""
    path = folder / SEARCH
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def told(plan: Plan) -> dict[str, object]:
    """A plan as JSON-able facts."""
    return {"recipe": plan.variant.recipe, "settings": asdict(plan.settings), "training": asdict(plan.training)}
