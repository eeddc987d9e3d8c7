"""How a training that Lightning runs ends at a signal: with a `StoppedError` that says what is kept.

Knows Lightning's ways of leaving. Does not know trainings. Left alone, Lightning leaves with exit code 0 at SIGTERM, as
if the training were done, and with 1 at SIGINT, and says nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

from core.errors import StoppedError


class AgreedStop(lightning.Callback):  # type: ignore[misc]  # the library is untyped
    """Ends a training of several processes at SIGTERM after the same batch in all, whichever of them got it.

    Lightning's own handler sends a message from inside the signal: a process that waits for gradients meanwhile waits
    for ever.
    """

    def __init__(self) -> None:
        self.asked = False

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Take the place of Lightning's handler, which puts back what was there before its own."""
        if trainer.world_size > 1:
            signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Ask all, when the state of the batch before is written if it was due.

        Raises:
            SIGTERMException: in every process, where any was asked to stop.
        """
        if trainer.world_size > 1:
            asked = torch.tensor(int(self.asked), device=trainer.strategy.root_device)
            torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX)
            if asked.item():
                raise SIGTERMException


@contextmanager
def told_of_signals(out: Path, kept: Callable[[], str]) -> Iterator[None]:
    """Name the signal that ends the training inside the block.

    out: the training's folder, for the sentence.   kept: asked then how to go on, as the sentence's end.

    Raises:
        StoppedError: for SIGTERM and SIGINT.
    """
    try:
        yield
    except SystemExit as left:
        if isinstance(left, SIGTERMException):
            number = signal.SIGTERM
        elif isinstance(left.__context__, KeyboardInterrupt):
            number = signal.SIGINT
        else:
            raise
        raise StoppedError(f"{out}: training ended by {number.name}; {kept()}", number) from None
