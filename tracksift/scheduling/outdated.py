"""Notes and records that say nothing any more: of jobs that ended long ago, of videos that were done or are gone.

Knows the files beside caches. Does not know datasets: whoever has one says which caches belong to it.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from cache import SUFFIX as CACHE
from cache import Garbage
from tracksift.scheduling.quarantine import SUFFIX, read_note
from tracksift.scheduling.record import read_records


def find_outdated(root: Path, older_than_s: float) -> list[Garbage]:
    """Below a root of caches: records of jobs that ended that long ago, notes of videos whose cache was made since.

    Raises:
        InputError: for a note or record that is none of ours.
    """
    return [item for folder in sorted(root.glob("*/*")) if folder.is_dir() for item in _outdated(folder, older_than_s)]


def find_gone(folder: Path, known: Collection[Path]) -> list[Garbage]:
    """Notes in a split's folder of videos that the split does not have; known: the cache path of each that it has."""
    return [
        Garbage(note, "note", "the split has no such video", note.stat().st_size)
        for note in sorted(folder.glob(f"*{SUFFIX}"))
        if _cache_of(note) not in known
    ]


def _outdated(folder: Path, older_than_s: float) -> list[Garbage]:
    found, now = list[Garbage](), time.time()
    for path, record in read_records(folder).items():
        ago = now - record.updated
        if not record.alive and ago >= older_than_s:
            found.append(Garbage(path, "job", f"a job that ended {ago / 3600:.1f} h ago", path.stat().st_size))
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        note, cache = read_note(path), _cache_of(path)
        if note is not None and cache.is_file() and cache.stat().st_mtime > note.when:
            found.append(Garbage(path, "note", "its video was done since", path.stat().st_size))
    return found


def _cache_of(note: Path) -> Path:
    """Where the cache of a note's video is."""
    return note.with_name(note.name.removesuffix(SUFFIX) + CACHE)
