"""What the long trainings of the miniature share: a folder with a state and a log, a pool that fills, how they end.

Knows files, the clock, signals and what a trainer and its pool are asked to do. Does not know models, data or losses.
"""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from core.atomic import check_folder
from core.errors import InputError, StoppedError, TrackSiftError
from core.reporting import Progress, progress_bar
from tracksift.scheduling.stopping import Stop, stop_on_signals

STATE = "state.pt"
LOG = "log.jsonl"


@dataclass
class Run:
    """One invocation: where it writes, when it began, how often it measures, and when it last did; monotonic seconds.

    leads: whether this process logs and shows bars; of several that train together one does.
    """

    out: Path
    began: float
    every: float
    measured: float = field(default=0.0, kw_only=True)
    leads: bool = field(default=True, kw_only=True)

    @property
    def state(self) -> Path:
        """The file to go on from."""
        return self.out / STATE

    def log(self, **line: object) -> None:
        """Append one line to the log."""
        if not self.leads:
            return
        with (self.out / LOG).open("a") as handle:
            handle.write(json.dumps({"seconds": round(time.monotonic() - self.began, 2), **line}) + "\n")

    def bar(self, description: str, total: int) -> AbstractContextManager[Progress]:
        """A progress bar of the one that leads; the others are silent."""
        return progress_bar(description, total) if self.leads else nullcontext(_silent)

    def due(self) -> bool:
        """Whether this process is to measure and save now."""
        return self.leads and time.monotonic() - self.measured >= self.every


class Pool(Protocol):
    """Training data that workers make while a training goes on."""

    @property
    def filled(self) -> int:
        """How many items are there."""

    def wait_for(self, count: int, /) -> Iterator[int]:
        """Take items until `count` are there; yields how many are."""


P = TypeVar("P", bound=Pool, contravariant=True)


class Trainer(Protocol[P]):
    """A model under training, with `settings` a dataclass that says how many items it needs `first`."""

    capture: bool
    step: int

    @property
    def settings(self) -> Any:
        """A frozen dataclass with `first`."""

    def warm_up(self, pool: P) -> None:
        """Do what takes long at first."""

    def restore(self, path: Path) -> None:
        """Go on from a saved state."""


def check(out: Path, *, resume: bool, minutes: float) -> None:
    """Refuse what could only fail later.

    Raises:
        InputError: for no minutes, nothing to resume, or another training in `out`.
        OutputError: where `out` cannot be written.
    """
    state = out / STATE
    if not minutes > 0:
        raise InputError(f"--minutes: expected more than 0, got {minutes}")
    if resume and not state.is_file():
        raise InputError(f"--resume: expected {state} of an earlier training, got nothing there")
    if not resume and state.exists():
        raise InputError(f"--out: expected a folder without a training, got {state}; add --resume or delete it")
    check_folder(out)


def prepare(trainer: Trainer[P], pool: P, run: Run, *, items: str, resume: bool) -> None:
    """Fill the pool far enough to begin, warm up, take up a saved state, and log the beginning.

    items: what the pool holds ("clips"), for the bar and the log.
    """
    first = trainer.settings.first
    with run.bar(f"{items} made", first) as tell:
        for count in pool.wait_for(first):
            tell(min(count, first), first)
    if trainer.capture:
        trainer.warm_up(pool)
    if resume:
        trainer.restore(run.state)
    settings = asdict(trainer.settings)
    begin = {"resumed": resume, "step": trainer.step, "captured": trainer.capture, items: pool.filled}
    run.log(begin=True, **begin, settings=settings)


@contextmanager
def named_signals(out: Path, on_first: Callable[[], None] | None = None) -> Iterator[Stop]:
    """What signals asked for, inside the block; those that end the training at once do so with a sentence.

    on_first: says that the first one waits for the step at hand; None where it waits for nothing.

    Raises:
        StoppedError: from the signal that waits for nothing.
    """
    with stop_on_signals(on_first) as stop:
        try:
            yield stop
        except KeyboardInterrupt:
            there = (out / STATE).exists()
            how = (
                "--resume goes on from its last state"
                if there
                else "nothing was kept, and the same command starts anew"
            )
            raise stopped(out, stop.signal, how) from None


def say_waiting() -> None:
    """What the first signal answers, to be given to `named_signals`, where a step is at hand."""
    sys.stderr.write("stopping after the step at hand; once more ends at once\n")


def stopped(out: Path, number: int, how: str) -> StoppedError:
    """The error of a training in `out` that a signal ended.   how: it goes on."""
    return StoppedError(f"{out}: training ended by {signal.Signals(number).name}; {how}", number)


def check_loss(total: float, step: int) -> None:
    """TrackSiftError when the loss of a step is no longer a finite number."""
    if not math.isfinite(total):
        raise TrackSiftError(f"training: expected a finite loss, got {total} at step {step}")


def _silent(done: int, total: int | None = None) -> None:
    """A bar that is not drawn."""
