"""Temporary files that a killed writer left in a folder of caches.

Another job may be writing there: its file changes or goes within moments, a dead one's stays as it is.
Knows the names of `core.atomic`. Does not know jobs.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

STILL = 2.0
"""Seconds without a change after which a file is nobody's, where no other job runs."""
LONG = 3600.0
"""The same where another one does, which may wait for a slow disk."""

_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{12}\.tmp(\.\w+)?")


class Leftovers:
    """The temporary files of a folder, as seen when a job began."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = find_temporaries(folder)
        self._at = time.monotonic()

    def clear(self, *, alone: bool) -> int:
        """Delete those that nobody writes, and return how many.

        alone: whether no other job runs in the folder. Waits up to STILL seconds, and only where there are any.
        """
        now = find_temporaries(self._folder)
        if alone and now.keys() - self._seen.keys():
            self._seen, self._at = now, time.monotonic()  # of this job's own workers that were killed
        wait = STILL - (time.monotonic() - self._at)
        if alone and now and wait > 0:
            time.sleep(wait)
            now = find_temporaries(self._folder)
        still = [path for path, change in now.items() if self._seen.get(path) == change]
        dead = still if alone else [path for path in still if time.time() - now[path][1] / 1e9 > LONG]
        for path in dead:
            discard(path)
        return len(dead)


def discard(path: Path) -> None:
    """Delete a file that nothing depends on; on a read-only disk it stays, and what needs to write there says so."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def find_temporaries(folder: Path) -> dict[Path, tuple[int, int]]:
    """Temporary file -> size and time of change (ns); empty where there is no folder."""
    found = {}
    for path in folder.glob(".*.tmp*"):
        try:
            known = path.stat()
        except FileNotFoundError:
            continue  # renamed meanwhile
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            found[path] = (known.st_size, known.st_mtime_ns)
    return found
