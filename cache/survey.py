"""Is everything under a root whole? Every file read to its last byte, in child processes, each with a cause by name.

Knows the reader and packs. Does not know datasets, nor what is to be done about a broken file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from cache.children import Lost, run_each
from cache.pack import verify_pack
from cache.paths import PACK, SUFFIX
from cache.verify import verify_cache
from core.errors import CacheCorruptError, CacheError, CacheForeignError, CacheVersionError
from core.ids import safe_name

State = Literal["sound", "corrupt", "foreign", "newer", "unreadable", "misplaced", "lost"]
"""lost: reading it ended or stalled the reading process. misplaced: sound, under a name that its id does not have."""

LIMIT_S = 60.0
LEAST_BYTES_S = 1 << 20
"""A file may take LIMIT_S, and longer where it is so large that reading LEAST_BYTES_S a second would."""


@dataclass(frozen=True)
class Finding:
    """What is true of one file; `cause` is a sentence, "" where it is sound. bytes: its size.  seconds: to read it."""

    path: Path
    state: State
    cause: str = ""
    bytes: int = 0
    tracks: int = 0
    frames: int = 0
    seconds: float = 0.0


def survey_files(
    paths: Sequence[Path],
    *,
    workers: int,
    placed: bool = True,
    on_done: Callable[[int, int], None] | None = None,
) -> list[Finding]:
    """Verify cache files and packs, in their order; a file that breaks its reader is found and the others go on.

    placed: whether the files lie under a root, where their names must be those of their ids.
    """
    limit = max([LIMIT_S, *(_size(path) / LEAST_BYTES_S for path in paths)])
    found = run_each(partial(check_file, placed=placed), paths, workers=workers, limit_s=limit, on_done=on_done)
    return [
        Finding(path, "lost", f"{path}: expected a file that can be read, got {finding.cause}", _size(path))
        if isinstance(finding, Lost) else finding
        for path, finding in zip(paths, found, strict=True)
    ]  # fmt: skip


def check_file(path: Path, *, placed: bool = False) -> Finding:
    """One file, in this process."""
    start, size = time.perf_counter(), _size(path)
    try:
        if path.suffix == PACK:
            entries = verify_pack(path).entries
            tracks, frames, name = sum(e.shape[0] for e in entries), sum(e.shape[1] for e in entries), path.name
        else:
            file = verify_cache(path)
            tracks, frames, name = len(file), file.video.frames, safe_name(file.video.id) + SUFFIX
    except CacheError as error:
        return Finding(path, _state(error), str(error), size, seconds=time.perf_counter() - start)
    seconds = time.perf_counter() - start
    if placed and name != path.name:
        cause = f"{path}: expected the name {name}, which its video's id has, got another"
        return Finding(path, "misplaced", cause, size, tracks, frames, seconds)
    return Finding(path, "sound", "", size, tracks, frames, seconds)


def _state(error: CacheError) -> State:
    if isinstance(error, CacheCorruptError):
        return "corrupt"
    if isinstance(error, CacheForeignError):
        return "foreign"
    return "newer" if isinstance(error, CacheVersionError) else "unreadable"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # whoever reads it says what is wrong
