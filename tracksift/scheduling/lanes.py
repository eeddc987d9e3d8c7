"""Where workers live on one machine: in this process, in threads that share a model, or each in a process of its own.

A lane opens one worker and answers with futures, so that the schedule is the same for all kinds. Any exception of a
future means that the worker itself is gone: what goes wrong with a video is in its result.
Knows processes and signals. Does not know jobs, nor what a worker does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection
from typing import Protocol

from core.errors import TrackSiftError
from tracksift.generate import JobResult

Work = Callable[[int], JobResult]
Opener = Callable[[], Work]


class Lane(Protocol):
    """One worker."""

    def open(self) -> Future[TrackSiftError | None]:
        """Load the worker's models; the future gives the error that forbids it, or None when it is ready."""

    def submit(self, number: int) -> Future[JobResult]:
        """Begin a job."""

    def close(self, *, now: bool = False) -> None:
        """Let the worker end; `now` without its job, whose file is then not there."""


class InlineLane:
    """The worker of this process: `submit` returns when the job is done."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._work: Work | None = None

    def open(self) -> Future[TrackSiftError | None]:
        """Load the models here."""
        future: Future[TrackSiftError | None] = Future()
        try:
            self._work = self._opener()
        except TrackSiftError as error:
            future.set_result(error)
        else:
            future.set_result(None)
        return future

    def submit(self, number: int) -> Future[JobResult]:
        """Do the job."""
        assert self._work is not None, "opened before it is used"
        future: Future[JobResult] = Future()
        future.set_result(self._work(number))
        return future

    def close(self, *, now: bool = False) -> None:
        """Forget the models."""
        self._work = None


class ThreadLane(InlineLane):
    """A thread of this process; `opener` may give the same worker to several, which then share its models.

    A thread cannot be ended: `close` waits for its video, also `now`.
    """

    def __init__(self, opener: Opener) -> None:
        super().__init__(opener)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="video")

    def submit(self, number: int) -> Future[JobResult]:
        """Begin the job."""
        assert self._work is not None, "opened before it is used"
        return self._thread.submit(self._work, number)

    def close(self, *, now: bool = False) -> None:
        """Wait for the video in work, and forget the models."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        super().close(now=now)


class ProcessLane:
    """A worker in a spawned process, since a forked one would inherit threads and a CUDA context that it cannot use.

    One executor a worker: when its process is killed, no other lane breaks.
    """

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._pid: int | None = None
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_follow_parent)

    def open(self) -> Future[TrackSiftError | None]:
        """Start the process and load the models there."""
        with _signals_left_to_parent():
            started = self._pool.submit(os.getpid)
        started.add_done_callback(self._note_pid)
        return self._pool.submit(_open, self._opener)

    def submit(self, number: int) -> Future[JobResult]:
        """Begin a job; BrokenExecutor when the process is gone."""
        return self._pool.submit(_work, number)

    def close(self, *, now: bool = False) -> None:
        """Let the process end, or kill it."""
        if now and self._pid is not None:
            try:
                os.kill(self._pid, signal.SIGKILL)
            except ProcessLookupError:
                self._pid = None
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _note_pid(self, started: Future[int]) -> None:
        if not started.cancelled() and started.exception() is None:
            self._pid = started.result()


class _Held:
    """What a worker process keeps between jobs."""

    work: Work


def _open(opener: Opener) -> TrackSiftError | None:
    try:
        _Held.work = opener()
    except TrackSiftError as error:
        return error
    return None


def _work(number: int) -> JobResult:
    return _Held.work(number)


def _follow_parent() -> None:
    """Leave signals to the parent, which says when to end, and end with it when it is killed."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    # An idle worker of a killed parent would wait for its next job for ever, and keep its GPU.
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


@contextmanager
def _signals_left_to_parent() -> Iterator[None]:
    """A process started inside ignores the signals of its terminal from its first moment, imports included."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {name: signal.signal(name, signal.SIG_IGN) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
