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
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeVar, cast

from core.errors import OutputError

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
class _Worker:
    """A child process, our end of its pipe, whether it has started, and which item it works on since when."""

    process: BaseProcess
    pipe: Connection
    ready: bool = False
    index: int | None = None
    since: float = 0.0


def run_each(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int,
    limit_s: float,
    on_done: Callable[[int, int], None] | None = None,
) -> list[Result | Lost]:
    """`work` of every item in `workers` child processes, in the items' order.

    work: importable by name; an error that it raises is raised here.   limit_s: seconds that one item may take.
    on_done: called with (done, total).

    Raises:
        OutputError: when processes cannot be started.
    """
    todo = deque(range(len(items)))
    results: dict[int, Result | Lost] = {}
    pool: list[_Worker] = []
    try:
        while len(results) < len(items):
            while len(pool) < min(workers, len(todo) + sum(w.index is not None for w in pool)):
                pool.append(_start(work))
            _hand_out(pool, todo, items)
            for worker in _answered(pool, limit_s):
                result = _collect(worker, limit_s)
                if isinstance(result, Lost):
                    pool.remove(worker)
                    if not worker.ready:
                        raise OutputError(f"processes: expected one that starts, got {result.cause}")
                if worker.index is not None:
                    results[worker.index] = cast(Result | Lost, result)
                    worker.index = None
                    if on_done is not None:
                        on_done(len(results), len(items))
                worker.ready = True  # its first word says no more than that
    finally:
        for worker in pool:
            worker.process.kill()
        for worker in pool:
            worker.process.join()
            worker.pipe.close()
    return [results[i] for i in range(len(items))]


def _start(work: Callable[[Item], Result]) -> _Worker:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(work, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _hand_out(pool: Sequence[_Worker], todo: deque[int], items: Sequence[object]) -> None:
    """An item to every worker that waits for one."""
    for worker in pool:
        if worker.ready and worker.index is None and todo:
            worker.index, worker.since = todo.popleft(), time.monotonic()
            with suppress(OSError):  # it has died: its sentinel will say so
                worker.pipe.send(items[worker.index])


def _serve(work: Callable[[Item], Result], pipe: Connection) -> None:
    """The child's life: a word that it has started, items in, results or errors out, until the parent ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends its children
    with suppress(EOFError, OSError):
        pipe.send((None, None))
        while True:
            item: Item = pipe.recv()
            try:
                answer: tuple[Result | None, Exception | None] = (work(item), None)
            except Exception as error:  # noqa: BLE001 - handed over, and raised in the parent
                answer = (None, error)
            pipe.send(answer)


def _answered(pool: Sequence[_Worker], limit_s: float) -> list[_Worker]:
    """The workers that have an answer, have died, or have had their time."""
    heard = set(wait([w.pipe for w in pool] + [w.process.sentinel for w in pool], timeout=_LOOK_S))
    return [w for w in pool if w.pipe in heard or w.process.sentinel in heard or _overdue(w, limit_s)]


def _overdue(worker: _Worker, limit_s: float) -> bool:
    return worker.index is not None and time.monotonic() - worker.since > limit_s


def _collect(worker: _Worker, limit_s: float) -> object:
    """A worker's word; Lost, and its process ended, where there is none."""
    if worker.pipe.poll():
        with suppress(EOFError, OSError):
            result, error = worker.pipe.recv()
            if error is not None:
                raise error
            return result
    # A process that dies closes its pipe a moment before it can be waited for.
    worker.process.join(0 if _overdue(worker, limit_s) else _DYING_S)
    alive = worker.process.is_alive()
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()
    if alive:
        return Lost(f"no end within {limit_s:.0f} s")
    code = worker.process.exitcode or 0
    return Lost(f"the end of the reading process by {signal.Signals(-code).name if code < 0 else f'exit {code}'}")
