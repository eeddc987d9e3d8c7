"""Work on untrusted files in child processes, so that a crash or a hang of a library is an answer and not an end.

`concurrent.futures` gives up on all work when one process dies, and cannot end one that hangs. Knows processes and
pipes. Does not know what the work is.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_SPAWN = multiprocessing.get_context("spawn")  # a forked child would share HDF5's and the bar's threads in a bad state
_LOOK_S = 0.5  # how often overdue work is looked for
_DYING_S = 5.0


@dataclass(frozen=True)
class Lost:
    """No result, since the process that worked on the item died or was ended after its time; `cause` is a clause."""

    cause: str


@dataclass
class _Worker(Generic[Item, Result]):
    """A child process, our end of its pipe, and what it works on since when."""

    process: BaseProcess
    pipe: Connection
    index: int | None = None
    since: float = field(default=0.0)


def run_each(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int,
    limit_s: float,
    on_done: Callable[[int, int], None] | None = None,
) -> list[Result | Lost]:
    """`work` of every item in `workers` child processes, in the items' order.

    work: importable by name; an error that it raises is raised here.   limit_s: seconds that one item may take, of
    which none count before its process is ready.   on_done: called with (done, total).
    """
    todo = deque(range(len(items)))
    results: dict[int, Result | Lost] = {}
    pool: list[_Worker[Item, Result]] = []
    try:
        while len(results) < len(items):
            while todo and len(pool) < min(workers, len(items) - len(results)):
                pool.append(_start(work))
            for worker in pool:
                if worker.index is None and todo:
                    worker.index, worker.since = todo.popleft(), time.monotonic()
                    with suppress(OSError):  # it has died: its sentinel says so below
                        worker.pipe.send(items[worker.index])
            for worker in _answered(pool, limit_s):
                result = _collect(worker, limit_s)
                if worker.index is not None:
                    results[worker.index] = result
                    worker.index = None
                if isinstance(result, Lost):
                    pool.remove(worker)
                if on_done is not None:
                    on_done(len(results), len(items))
    finally:
        for worker in pool:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
    return [results[i] for i in range(len(items))]


def _start(work: Callable[[Item], Result]) -> _Worker[Item, Result]:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(work, theirs), daemon=True)
    process.start()
    theirs.close()
    ours.poll(None)  # it says when it is ready, so that importing counts for nothing
    with suppress(EOFError, OSError):  # it died on the way: its sentinel says so
        ours.recv()
    return _Worker(process, ours)


def _serve(work: Callable[[Item], Result], pipe: Connection) -> None:
    """The child's life: items in, results or errors out, until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends its children
    pipe.send(None)
    with suppress(EOFError, OSError):
        while True:
            item: Item = pipe.recv()
            try:
                answer: tuple[Result | None, Exception | None] = (work(item), None)
            except Exception as error:  # noqa: BLE001 - handed over, and raised in the parent
                answer = (None, error)
            pipe.send(answer)


def _answered(pool: Sequence[_Worker[Item, Result]], limit_s: float) -> list[_Worker[Item, Result]]:
    """The workers that have an answer, have died, or have had their time."""
    ready = set(wait([w.pipe for w in pool] + [w.process.sentinel for w in pool], timeout=_LOOK_S))
    now = time.monotonic()
    return [
        w for w in pool
        if w.pipe in ready or w.process.sentinel in ready or (w.index is not None and now - w.since > limit_s)
    ]  # fmt: skip


def _collect(worker: _Worker[Item, Result], limit_s: float) -> Result | Lost:
    """A worker's result; Lost, and its process ended, where there is none."""
    if worker.pipe.poll():
        with suppress(EOFError, OSError):
            result, error = worker.pipe.recv()
            if error is not None:
                raise error
            return result  # type: ignore[no-any-return]
    # A process that dies closes its pipe a moment before it can be waited for.
    worker.process.join(0 if time.monotonic() - worker.since > limit_s else _DYING_S)
    alive = worker.process.is_alive()
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()
    if alive:
        return Lost(f"no end within {limit_s:.0f} s")
    code = worker.process.exitcode or 0
    return Lost(f"the end of the reading process by {signal.Signals(-code).name if code < 0 else f'exit {code}'}")
