"""How a job stands, as a file beside its caches: written while it runs, taken away when it ends well.

A job that was killed leaves its record, which is how `status` knows of it; the next job in the folder takes it away.
Nothing depends on a record: caches alone say what is done. Knows processes and this file. Does not know videos.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from core.atomic import atomic_path
from core.errors import InputError, OutputError
from tracksift.scheduling.leftovers import discard

PATTERN = ".job-*.json"
FIRST = 0.5
"""Seconds before the first sign of life: a job with nothing to do leaves its folder as it is."""
BEAT = 10.0
"""Seconds between signs of life."""
SILENCE = 120.0
"""Seconds without one after which a job of another machine counts as ended; clocks of a cluster differ by less."""

State = Literal["running", "stopped"]
Settings = dict[str, str | int | float | bool | None]


class Record(BaseModel):
    """One job. Times are seconds since 1970; born: the start of its process in ticks, so that a reused id is not it.

    left: seconds until the end at the pace so far; None before the first video is made.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    host: str
    process: int
    born: int
    settings: Settings
    started: float
    updated: float
    state: State = "running"
    videos: int = 0
    made: int = 0
    kept: int = 0
    failed: int = 0
    frames: int = 0
    frames_per_second: float = 0.0
    left: float | None = None
    in_work: list[str] = []

    @property
    def alive(self) -> bool:
        """Whether the job still runs: asked of this machine, or judged by its last sign of life."""
        if self.state != "running":
            return False
        if self.host == socket.gethostname():
            return _is_running(self.process) and _born(self.process) == self.born
        return time.time() - self.updated < SILENCE


def new_record(settings: Settings) -> Record:
    """The record of a job of this process that begins now."""
    now, process = time.time(), os.getpid()
    return Record(
        host=socket.gethostname(), process=process, born=_born(process), settings=settings, started=now, updated=now
    )


def read_records(folder: Path) -> dict[Path, Record]:
    """All records in a folder of caches; InputError for a file that is none of ours."""
    found = {}
    for path in sorted(folder.glob(PATTERN)):
        try:
            found[path] = Record.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            continue  # its job ended meanwhile
        except (OSError, ValidationError) as error:
            cause = str(error).splitlines()[0]
            raise InputError(f"{path}: expected a record of a job, got {cause}; delete it") from error
    return found


@contextmanager
def recorded(folder: Path, now: Callable[[], Record]) -> Iterator[None]:
    """Keep a record of the job in `folder` up to date while the block runs; `now` says how the job stands.

    Left as `stopped` when the block raises. Where it cannot be written there is none: whether caches can be written
    is for the caches to find out.
    """
    path = folder / f".job-{secrets.token_hex(6)}.json"
    ended = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, now, ended), daemon=True)
    beat.start()
    try:
        yield
    except BaseException:
        _end(ended, beat)
        with suppress(OutputError):
            _write(path, now().model_copy(update={"state": "stopped", "in_work": []}))
        raise
    _end(ended, beat)
    discard(path)


def _end(ended: threading.Event, beat: threading.Thread) -> None:
    ended.set()
    beat.join()


def _beat(path: Path, now: Callable[[], Record], ended: threading.Event) -> None:
    pause = FIRST
    while not ended.wait(pause):
        with suppress(OutputError):
            pause = BEAT if _write(path, now()) else FIRST


def _write(path: Path, record: Record) -> bool:
    """Write the record, and return whether it was time to: a job that ends before its first video leaves no folder."""
    if not path.parent.is_dir() and not record.in_work:
        return False
    with atomic_path(path) as temporary:
        temporary.write_text(record.model_dump_json(), encoding="utf-8")
    return True


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def _born(process: int) -> int:
    """Clock ticks from the machine's start to the process's; 0 where the system does not say."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[19])
