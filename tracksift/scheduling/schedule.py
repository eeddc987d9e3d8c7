"""Numbered jobs through lanes: who works next, what happens when a worker is gone, and when memory is short.

The same for one process, several, and a cluster. Knows lanes and results. Does not know videos or files, nor what
signals ask for.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass
from typing import Any

from core.errors import TrackSiftError
from tracksift.generate import JobResult
from tracksift.scheduling.lanes import Lane
from tracksift.scheduling.stopping import signals_afterwards

BEAT = 0.5
"""Seconds after which a wait looks whether it should stop."""
LOSSES = 3
"""A job that took so many workers with it is given up. After the second, one worker fewer: most often a system kills
the process that takes the last memory."""


@dataclass
class _Slot:
    """A lane and what its future is for: a job's number, or None while its models load."""

    index: int
    lane: Lane
    future: Future[Any]
    number: int | None = None


class Schedule:
    """One run over `order`; `width` lanes at most, fewer where memory runs out. `names`: of the jobs, for causes."""

    def __init__(
        self,
        order: Sequence[int],
        make: Callable[[int], Lane],
        width: int,
        *,
        names: Sequence[str],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._queue = deque(order)
        self._make, self._names, self._stopping = make, names, stopping
        self.width = min(width, len(order))
        self._slots: dict[int, _Slot] = {}
        self._losses = Counter[int | None]()

    @property
    def in_work(self) -> list[int]:
        """Numbers of the jobs that workers are at."""
        return [slot.number for slot in list(self._slots.values()) if slot.number is not None]

    def run(self) -> Generator[tuple[int, JobResult], None, None]:
        """Results as they come; jobs that are not begun when `stopping` are left out.

        Closing the iterator, or an exception, ends all workers at once.

        Raises:
            TrackSiftError: when models cannot be loaded, or workers end while they load them.
        """
        now = True
        try:
            self._fill()
            while self._queue or self.in_work:
                futures = {slot.future: slot for slot in self._slots.values() if slot.number is not None or _new(slot)}
                done, _ = wait(futures, timeout=BEAT, return_when=FIRST_COMPLETED)
                for future in done:
                    yield from self._ended(futures[future])
                self._fill()
            now = False
        finally:
            with signals_afterwards():  # one that came between would leave a worker, and its pool, to Python's exit
                for slot in self._slots.values():
                    slot.lane.close(now=now or _new(slot))
                self._slots.clear()

    def _fill(self) -> None:
        """Open lanes for the jobs that are left, and give a job to each that is idle."""
        if self._stopping():
            self._queue.clear()
        wanted = min(self.width, len(self._queue) + len(self.in_work))
        for index in range(self.width):
            if len(self._slots) < wanted and index not in self._slots:
                self._open(index)
        for slot in list(self._slots.values()):
            if self._queue and slot.number is None and not _new(slot) and not self._stopping():
                self._submit(slot, self._queue.popleft())

    def _open(self, index: int) -> None:
        lane = self._make(index)
        slot = self._slots[index] = _Slot(index, lane, Future())  # before, so that whoever ends here finds it to close
        slot.future = lane.open()

    def _submit(self, slot: _Slot, number: int) -> None:
        slot.number = number  # before, since a lane of this process works inside `submit`
        try:
            slot.future = slot.lane.submit(number)
        except BrokenExecutor:  # the worker ended while it was idle
            self._queue.appendleft(number)
            self._drop(slot)

    def _drop(self, slot: _Slot) -> None:
        with signals_afterwards():
            del self._slots[slot.index]
            slot.lane.close(now=True)

    def _ended(self, slot: _Slot) -> Iterator[tuple[int, JobResult]]:
        lost = slot.future.exception()
        if lost is not None:
            yield from self._lost(slot, lost)
        elif slot.number is None:
            error = slot.future.result()
            if error is not None:
                raise error
            slot.future = _READY
        else:
            yield from self._finished(slot, slot.number, slot.future.result())

    def _finished(self, slot: _Slot, number: int, result: JobResult) -> Iterator[tuple[int, JobResult]]:
        slot.number, slot.future = None, _READY
        if result.fault == "memory" and len(self._slots) > 1:
            self._drop(slot)
            self._fewer()
            self._queue.append(number)  # last, when the others' memory is more likely to be free
            return
        if result.fault == "unexpected":
            self._drop(slot)  # a GPU's error stays with its process, and would fail all jobs after it
        yield number, result

    def _lost(self, slot: _Slot, cause: BaseException) -> Iterator[tuple[int, JobResult]]:
        number = slot.number
        self._drop(slot)
        self._losses[number] += 1
        lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
        said = f"{type(cause).__name__}: {lines[-1] if lines else 'no word'}"  # where a stack says what it is about
        if number is None:
            if self._losses[None] >= LOSSES:
                raise TrackSiftError(f"workers: expected them to load their models, got {LOSSES} that ended ({said})")
            return
        if self._losses[number] >= LOSSES:
            text = f"expected its worker to live, got {LOSSES} that ended while they were at it ({said})"
            yield number, JobResult(self._names[number], "failed", cause=text, fault="lost")
        elif self._losses[number] == 1:
            self._queue.appendleft(number)
        else:
            self._fewer()
            self._queue.append(number)

    def _fewer(self) -> None:
        """One worker fewer from now on, never none."""
        self.width = max(1, self.width - 1)


_READY: Future[Any] = Future()
_READY.set_result(None)


def _new(slot: _Slot) -> bool:
    """Whether the slot's worker still loads its models."""
    return slot.number is None and slot.future is not _READY
