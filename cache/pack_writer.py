"""Writes the tokens of a split's caches as one pack (`cache.pack` says what it looks like).

Knows caches and the pack's form. Does not know who reads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np

from cache.pack import HEAD, MAGIC, NAME, PackEntry, checksum_of, padded
from cache.paths import find_caches
from cache.reader import CacheFile, open_cache
from core.atomic import atomic_path
from core.errors import InputError


def write_pack(folder: Path, on_done: Callable[[int, int], None] | None = None) -> Path:
    """Pack the tokens of every cache file of a split's folder into `tokens.pack` there, and return its path.

    Raises:
        InputError: for a folder without cache files.
        CacheError: for a cache file that cannot be used.
        OutputError: when the place cannot be written.
    """
    paths = find_caches(folder)
    if not folder.is_dir() or not paths or any(path.parent != folder for path in paths):
        raise InputError(f"{folder}: expected the folder of one split with cache files in it, got another")
    files = [(path, path.stat(), open_cache(path)) for path in paths]
    target, entries = folder / NAME, list[PackEntry]()
    with atomic_path(target) as temporary, temporary.open("wb") as out:
        start = padded(HEAD + _header_room([file for _, _, file in files]))
        out.seek(start)
        for number, (path, stat, file) in enumerate(files, start=1):
            tokens = file.tokens()
            data = tokens.tobytes().ljust(padded(tokens.nbytes), b"\0")
            digest, checksum = hashlib.sha256(data).hexdigest(), checksum_of(np.frombuffer(data, dtype=np.uint8))
            shape = cast(tuple[int, int, int], tokens.shape)
            identity = (path.name, file.video.id, file.content_sha256, stat.st_size, stat.st_mtime_ns)
            entries.append(PackEntry(*identity, shape, out.tell(), checksum, digest))
            out.write(data)
            if on_done is not None:
                on_done(number, len(files))
        header = json.dumps([asdict(entry) for entry in entries]).encode().ljust(start - HEAD)
        assert len(header) == start - HEAD, "the header has less room than _header_room promised"
        out.seek(0)
        out.write(MAGIC + len(header).to_bytes(8, "little") + hashlib.sha256(header).digest() + header)
    return target


def _header_room(files: Sequence[CacheFile]) -> int:
    """More bytes than the header will have."""
    longest: dict[str, Any] = {"shape": (2**40, 2**40, 2**40), "offset": 2**60, "checksum": 2**64, "sha256": "0" * 64}
    names = [{"file": f.path.name, "video_id": f.video.id, "content_sha256": "0" * 64} for f in files]
    return 64 + sum(len(json.dumps(n | longest | {"bytes": 2**60, "mtime_ns": 2**64})) + 2 for n in names)
