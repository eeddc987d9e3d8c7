"""Items made by worker processes ahead of their use; the big array of each comes as a file.

Knows processes, files and orders. Does not know what is made. A pipe would keep the training thread waiting for the
array, so that a worker writes it down and hands over the rest.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch

Item = TypeVar("Item")  # a frozen dataclass
GIVE_WAY = 10  # steps of priority below that of the process that trains


class Supply(Generic[Item]):
    """What `make` makes of one order after another, by `workers` processes; 0 workers make it on request, here.

    array: name of the item's field that travels as a file.   ahead: orders in work for each worker.
    """

    def __init__(
        self, make: Callable[..., Item], orders: Iterator[tuple[Any, ...]], *, array: str, workers: int, ahead: int
    ) -> None:
        """`make` takes an order's members; workers start at once, each with one thread."""
        self._make, self._orders, self._array = make, orders, array
        self._most = ahead * workers
        self._made = itertools.count()
        self._folder = tempfile.TemporaryDirectory(prefix="supply-")
        self._waiting: set[Future[tuple[Path, Item]]] = set()
        self._executor: ProcessPoolExecutor | None = None
        if workers:
            one_thread_each()
            self._executor = ProcessPoolExecutor(
                workers, mp_context=multiprocessing.get_context("spawn"), initializer=_stand_back
            )
            self._ask()

    def first(self) -> Iterator[Item]:
        """One item at least, waiting for it, and all that have arrived by then."""
        if self._executor is None:
            yield self._make(*next(self._orders))
            return
        wait(self._waiting, return_when=FIRST_COMPLETED)
        yield from self.ready(len(self._waiting))

    def ready(self, most: int) -> Iterator[Item]:
        """Up to `most` items that have arrived, without waiting; each is to be read before the next."""
        done = list(itertools.islice((future for future in self._waiting if future.done()), most))
        for future in done:
            self._waiting.remove(future)
            path, rest = future.result()
            yield replace(rest, **{self._array: np.load(path, mmap_mode="c")})  # type: ignore[type-var]
            path.unlink()
        if done:
            self._ask()

    def close(self) -> None:
        """Stop the workers and delete their files."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
        self._folder.cleanup()

    def _ask(self) -> None:
        """Keep a few orders a worker in work, so that none idles and the folder stays small."""
        assert self._executor is not None
        while len(self._waiting) < self._most:
            path = Path(self._folder.name) / f"{next(self._made)}.npy"
            self._waiting.add(self._executor.submit(_make_into, self._make, next(self._orders), self._array, path))


def leave_interrupts() -> None:
    """A terminal's Ctrl-C reaches every process; the first one decides what becomes of the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _stand_back() -> None:
    """Who trains gets a core whenever it wants one, on a machine whose cores are all drawing: a device waits for it."""
    leave_interrupts()
    os.nice(GIVE_WAY)


def _make_into(make: Callable[..., Item], order: tuple[Any, ...], array: str, path: Path) -> tuple[Path, Item]:
    """A file with an item's array, and the item without it."""
    torch.set_num_threads(1)
    item = make(*order)
    values = getattr(item, array)
    np.save(path, values)
    return path, replace(item, **{array: values[:0]})  # type: ignore[type-var]


def one_thread_each() -> None:
    """Tell worker processes, started later, to use one thread; this process has read these variables already."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
