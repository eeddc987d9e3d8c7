"""What may be deleted under a root: writes that never ended, packs of older caches, caches without a video.

A write that still runs has a young temporary file; on a shared folder nobody can ask its process, so age decides.
Knows paths and packs. Does not know datasets: whoever has one says which files belong to it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cache.pack import open_pack
from cache.paths import PACK, find_caches
from cache.reader import open_cache
from cache.shelf import stale_cause
from core.errors import CacheError, OutputError

Kind = Literal["temporary", "pack", "orphan", "stale", "job", "note"]
"""job, note: what a job left of itself, or of a video that failed; `tracksift.scheduling.outdated` finds these."""
YOUNG_S = 3600.0
_TEMPORARY = re.compile(r"\..{1,80}\.[0-9a-f]{12}\.tmp(\.[a-z0-9]+)?")  # as core.atomic names them


@dataclass(frozen=True)
class Garbage:
    """One file that nothing needs; `why` is a clause."""

    path: Path
    kind: Kind
    why: str
    bytes: int


def find_leftovers(root: Path, older_than_s: float = YOUNG_S) -> list[Garbage]:
    """Temporary files of at least that age, and packs that are not of the caches beside them."""
    found, now = list[Garbage](), time.time()
    for path in sorted(root.rglob(".*")):
        if not path.is_file() or _TEMPORARY.fullmatch(path.name) is None:
            continue
        stat = path.stat()
        if now - stat.st_mtime >= older_than_s:
            hours = (now - stat.st_mtime) / 3600
            found.append(Garbage(path, "temporary", f"a write that did not end, {hours:.1f} h ago", stat.st_size))
    for path in find_caches(root, (PACK,)):
        try:
            cause = stale_cause(open_pack(path))
        except CacheError as error:
            cause = str(error)
        if cause is not None:
            found.append(Garbage(path, "pack", cause, path.stat().st_size))
    return found


def find_orphans(files: Sequence[Path], fingerprints: Mapping[Path, str]) -> list[Garbage]:
    """Of a split's files, those that belong to no video of it, or whose video has other frames now.

    fingerprints: cache path -> fingerprint of each video of the split as it is now. A file that does not open is left
    to `repair`.
    """
    found = []
    for path in files:
        if path not in fingerprints:
            found.append(Garbage(path, "orphan", "the split has no such video", path.stat().st_size))
            continue
        try:
            made_of = open_cache(path).video.fingerprint
        except CacheError:
            continue
        if made_of != fingerprints[path]:
            found.append(Garbage(path, "stale", "its video has other frames now", path.stat().st_size))
    return found


def delete(garbage: Sequence[Garbage]) -> None:
    """Delete the files; one that is gone already is fine; OutputError where one cannot be."""
    for item in garbage:
        try:
            item.path.unlink(missing_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OutputError(f"{item.path}: expected a file that can be deleted, got {reason}") from error
