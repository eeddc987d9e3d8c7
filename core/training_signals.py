"""How a training that Lightning runs ends at a signal: with a `StoppedError` that says what is kept.

Knows Lightning's ways of leaving. Does not know trainings. Left alone, Lightning leaves with exit code 0 at SIGTERM, as
if the training were done, and with 1 at SIGINT, and says nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch.utilities.exceptions import SIGTERMException

from core.errors import StoppedError


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
