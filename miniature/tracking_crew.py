"""Blocks of clips, rendered ahead by some processes and tracked by others, until all is done or time is up.

A tracking process is a command of its own with one thread: it ends, is stopped and fails without touching the others.
Knows processes, signals and files. Does not know trackers, nor what the command does with a block.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import ClassVar

from core.errors import TrackSiftError
from miniature.splits import Split
from miniature.supply import leave_interrupts
from miniature.world import layout

GRACE = 45.0  # seconds for the videos in work, once a command was asked to stop
STEP = 0.2  # seconds between looks


@dataclass(frozen=True)
class Block:
    """Clips of a split that lie in one dataset folder `data`, which holds them as DATA/SPLIT.

    shard: i and n for every n-th of them from the i-th on; None for all.
    """

    split: Split
    data: Path
    shard: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """For logs."""
        part = "" if self.shard is None else f"-{self.shard[0]}of{self.shard[1]}"
        return f"{self.split.name}-{self.split.first_seed}{part}"

    @property
    def count(self) -> int:
        """Clips."""
        first, step = self.shard or (0, 1)
        return len(range(first, self.split.count, step))


@dataclass(frozen=True)
class Place:
    """Where a tracking process works.   environment: what its command sees beside this process's own."""

    name: str
    environment: Mapping[str, str]


class _Renderer:
    """One process: renders blocks until it is told to stop, which it is after a clip, so that nothing is left over."""

    stopping: ClassVar[Event]

    @classmethod
    def open(cls, stopping: Event) -> None:
        cls.stopping = stopping
        leave_interrupts()

    @classmethod
    def render(cls, block: Block) -> None:
        """Render the block's clips, unless they are there."""
        part, folder = block.split, block.data / block.split.name
        if not (folder / layout.META).is_file():
            layout.write_split(
                folder, part.seeds, shifted=part.shifted, expressions=part.expressions, no_target=part.no_target,
                on_progress=cls._look,
            )  # fmt: skip

    @classmethod
    def _look(cls, done: int, total: int) -> None:
        if cls.stopping.is_set():
            raise TrackSiftError(f"rendering: stopped after {done} of {total} clips")


class Crew:
    """Tracks blocks: one thread for each place, which waits for that place's command.

    command: of a block, as a list for the operating system.   logs: a folder for what the commands say.
    deadline: seconds of the monotonic clock at which commands are asked to stop; None for never.
    """

    def __init__(
        self, command: Callable[[Block, Place], Sequence[str]], places: Sequence[Place], logs: Path,
        deadline: float | None = None, grace: float = GRACE,
    ) -> None:  # fmt: skip
        """Nothing runs yet."""
        self._command, self._places, self._logs = command, places, logs
        self._deadline, self._grace = deadline, grace
        self._rendered: queue.Queue[Block | BaseException] = queue.Queue()
        self._stop = threading.Event()
        self._done: list[Block] = []
        self._faults: list[BaseException] = []

    def run(self, blocks: Sequence[Block], renderers: int, on_look: Callable[[], None]) -> bool:
        """Render with so many processes and track; whether all blocks were done before the deadline.

        on_look: called now and then.

        Raises:
            TrackSiftError: where a command fails, once the others have ended.
            KeyboardInterrupt: passed on, once the commands were asked to stop and have ended.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        context = get_context("spawn")
        stopping = context.Event()
        threads = [threading.Thread(target=self._follow, args=(place,), name=place.name) for place in self._places]
        with ProcessPoolExecutor(renderers, context, _Renderer.open, (stopping,)) as pool:
            made: dict[tuple[Path, str], Future[None]] = {}
            for block in blocks:  # shards of a split are rendered together
                place = (block.data, block.split.name)
                if place not in made:
                    made[place] = pool.submit(_Renderer.render, block)
                made[place].add_done_callback(partial(self._hand_on, block))
            for thread in threads:
                thread.start()
            try:
                self._wait(blocks, threads, on_look)
            finally:
                self._stop.set()
                stopping.set()
                for future in made.values():
                    future.cancel()
                for thread in threads:
                    thread.join()
        if self._faults:
            raise self._faults[0]
        return len(self._done) == len(blocks)

    def _hand_on(self, block: Block, done: Future[None]) -> None:
        """A rendered block, or what went wrong with it, to whoever is free."""
        if not done.cancelled():
            self._rendered.put(done.exception() or block)

    def _wait(self, blocks: Sequence[Block], threads: Sequence[threading.Thread], on_look: Callable[[], None]) -> None:
        while any(thread.is_alive() for thread in threads):
            on_look()
            if self._late() or len(self._done) == len(blocks):
                self._stop.set()
            time.sleep(STEP)

    def _late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _follow(self, place: Place) -> None:
        """One block after another, as they are rendered."""
        try:
            while not self._stop.is_set():
                try:
                    block = self._rendered.get(timeout=STEP)
                except queue.Empty:
                    continue
                if isinstance(block, BaseException):
                    raise block
                if self._track(block, place):
                    self._done.append(block)
        except BaseException as fault:  # noqa: BLE001  raised again by `run`
            self._faults.append(fault)
            self._stop.set()

    def _track(self, block: Block, place: Place) -> bool:
        """Run the command; whether it did the whole block."""
        log = self._logs / f"{block.name}.log"
        with log.open("w", encoding="utf-8") as out:
            process = subprocess.Popen(
                self._command(block, place), stdout=out, stderr=subprocess.STDOUT,
                env=os.environ | dict(place.environment), start_new_session=True,
            )  # fmt: skip
            asked: float | None = None
            while process.poll() is None:
                if self._stop.is_set() and (asked is None or time.monotonic() - asked > self._grace):
                    # The first finishes the videos in work, the second discards them.
                    process.send_signal(signal.SIGINT if asked is None else signal.SIGKILL)
                    asked = time.monotonic()
                time.sleep(STEP)
        if process.returncode and asked is None:
            said = log.read_text(encoding="utf-8").strip().splitlines() or ["nothing"]
            raise TrackSiftError(
                f"{block.name}: expected tracking to end well, got exit code {process.returncode}: {said[-1]}"
            )
        return process.returncode == 0
