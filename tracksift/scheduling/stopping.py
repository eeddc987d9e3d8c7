"""SIGINT and SIGTERM as a request: the first finishes the videos in work and begins no more, the second discards them.

Knows signals. Does not know jobs.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_NAMES = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Stop:
    """The signal that asked to stop; 0 while none did."""

    signal: int = 0

    def asked(self) -> bool:
        """Whether to begin no more."""
        return self.signal != 0


@contextmanager
def stop_on_signals(on_first: Callable[[], None] | None) -> Iterator[Stop]:
    """What signals asked for, inside the block.

    on_first: says that the first one waits for the work at hand; None where the first one discards it.
    Outside the main thread nothing is changed, since Python gives signals to that one alone.

    Raises:
        KeyboardInterrupt: inside the block, from the signal that discards.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, _: FrameType | None) -> None:
        first, stop.signal = not stop.signal, stop.signal or number
        if on_first is None or not first:
            raise KeyboardInterrupt
        on_first()

    before = {name: signal.signal(name, ask) for name in _NAMES}
    try:
        yield stop
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextmanager
def signals_afterwards() -> Iterator[None]:
    """SIGINT and SIGTERM inside the block take effect behind it, once, so that what it tidies up is tidied up whole.

    Outside the main thread nothing is changed, as above.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {name: signal.signal(name, lambda number, _: came.append(number)) for name in _NAMES}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
        if came:
            signal.raise_signal(came[0])
