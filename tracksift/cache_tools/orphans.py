"""Which cache files a split should have, and of which frames: what `cache gc` compares a folder with.

Knows splits and videos. Does not know what is done with the files that do not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.errors import InputError
from tracksift.jobs import split_jobs


def split_fingerprints(
    data: Path, split: str, cache_root: Path, on_done: Callable[[int, int], None] | None = None
) -> dict[Path, str]:
    """Cache path -> fingerprint of the frames, for every video of a split as it is now.

    Raises:
        InputError: for a folder without the split, or a split without videos.
        VideoError: for a video that cannot be opened: nothing is an orphan because a disk is not mounted.
    """
    _, jobs = split_jobs(data, split, cache_root)
    if not jobs:
        raise InputError(f"{data}: expected videos in split {split!r}, got none")
    found = {}
    for number, job in enumerate(jobs, start=1):
        reader = job.open()
        found[job.cache] = reader.meta.fingerprint
        reader.close()
        if on_done is not None:
            on_done(number, len(jobs))
    return found
