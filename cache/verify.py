"""Is a cache file there, whole and current? What resuming asks, answered by integrity and not by existence.

Knows the reader. Does not know what a run's settings mean: it compares their hash.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from cache.frames import verify_frames
from cache.reader import CacheFile, open_cache
from core.errors import CacheError, CacheForeignError, CacheVersionError
from core.hashing import json_sha256

CacheState = Literal["missing", "stale", "complete"]


def verify_cache(path: Path) -> CacheFile:
    """Read and check every dataset of a file.

    Raises:
        CacheError: as `cache.reader.open_cache`, naming file, dataset and cause.
    """
    file = open_cache(path)
    held = file.load()
    held.track_set()
    held.labels()
    verify_frames(path)
    return file


def cache_state(path: Path, provenance_sha256: str) -> CacheState:
    """Whether the work for `path` is still to be done.

    provenance_sha256: `core.hashing.json_sha256` of the provenance that a new file would hold; it should name models,
    checkpoint bytes, settings and the source's fingerprint.

    Returns "missing", "stale" (a sound head, but made with another provenance) or "complete" (every byte verified).

    Raises:
        CacheError: when the file is there but corrupt, foreign or newer: the caller says whether to replace it.
    """
    if not Path(path).exists():
        return "missing"
    if json_sha256(open_cache(path).provenance) != provenance_sha256:
        return "stale"
    verify_cache(path)
    return "complete"


def is_current(path: Path, provenance: Mapping[str, Any]) -> bool:
    """Whether a file can be kept, being whole and made as `provenance` says; a damaged one cannot, and is replaced.

    Raises:
        CacheForeignError, CacheVersionError: for a file that is not ours to replace.
    """
    try:
        return cache_state(path, json_sha256(dict(provenance))) == "complete"
    except (CacheForeignError, CacheVersionError):
        raise
    except CacheError:
        return False
