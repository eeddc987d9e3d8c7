"""One at a time, first come first served; and work in a thread whose progress another one reads.

Knows threads. Does not know what the work is.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.errors import TrackSiftError


class Stopped(TrackSiftError):
    """The work was given up because nobody waits for it any more."""


@dataclass(frozen=True)
class Step:
    """How far work is. stage: what is being done.   total: None while unknown; for `waiting`, `done` are ahead."""

    stage: str
    done: int = 0
    total: int | None = None


class Turnstile:
    """A line in which each waits for those before it."""

    def __init__(self) -> None:
        self._line: deque[object] = deque()
        self._moved = threading.Condition()

    @contextmanager
    def turn(self, waiting: Callable[[int], None], patience: float = 0.5) -> Iterator[None]:
        """Wait for one's turn; `waiting(ahead)` is called now and then until it comes, and may raise to leave."""
        ticket = object()
        with self._moved:
            self._line.append(ticket)
        try:
            while ahead := self._ahead(ticket, patience):
                waiting(ahead)
            yield
        finally:
            with self._moved:
                self._line.remove(ticket)
                self._moved.notify_all()

    def _ahead(self, ticket: object, patience: float) -> int:
        """How many are before; returns at once when none is, else when the line moved or patience ended."""
        with self._moved:
            if self._line[0] is not ticket:
                self._moved.wait(patience)
            return self._line.index(ticket)


class Work:
    """Work in a thread, given up when nobody reads its steps any more."""

    def __init__(self, run: Callable[[Callable[[Step], None]], None]) -> None:
        """run: called with `tell`, which it calls with its steps, and which raises Stopped when it shall end."""
        self._changed = threading.Condition()
        self._step: Step | None = None
        self._error: BaseException | None = None
        self._done = self._stop = False
        self._thread = threading.Thread(target=self._run, args=(run,), daemon=True)

    def steps(self, pause: float = 0.15) -> Iterator[Step]:
        """The latest step whenever there is a new one, at most one a `pause` seconds; then what the work raised."""
        self._thread.start()
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._step is not None or self._done)
                    step, self._step = self._step, None
                    if self._done:
                        break
                if step is not None:
                    yield step
                with self._changed:
                    self._changed.wait_for(lambda: self._done, timeout=pause)
        finally:
            self._stop = True
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _tell(self, step: Step) -> None:
        if self._stop:
            raise Stopped("stopped: nobody waits for this any more")
        with self._changed:
            self._step = step
            self._changed.notify_all()

    def _run(self, run: Callable[[Callable[[Step], None]], None]) -> None:
        try:
            run(self._tell)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that reads the steps
            self._error = error
        with self._changed:
            self._done = True
            self._changed.notify_all()
