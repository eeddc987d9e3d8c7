"""Whether a pack is still that of the caches beside it, and the tokens of a cache from there where it is.

Knows packs and caches. Does not know how either is written. Axis letters: N tracks, T frames, D token width.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache.pack import NAME, TokenPack, open_pack
from cache.paths import SUFFIX
from cache.reader import CacheFile, open_cache
from core.errors import CacheError

Reader = Callable[[], NDArray[np.float16]]


class TokenShelf:
    """Tokens of cache files, out of the pack beside each where that holds the same content, else out of the file.

    The content hash decides, video by video, so that a pack that lacks one video still serves the others. Packs stay
    mapped, and tokens that came from one are no copy: they can be gone through again and again, by several processes,
    without memory of their own.   packed, unpacked: how many were read in either way.
    """

    def __init__(self) -> None:
        self.packed = self.unpacked = 0
        self._known: dict[Path, dict[str, Reader]] = {}

    def tokens(self, file: CacheFile) -> NDArray[np.float16]:
        """Tokens [N, T, D] float16 of an opened cache, checked.

        Raises:
            CacheCorruptError: when the bytes in the pack or the file are not those that were written.
            CacheForeignError: when a file with the pack's name is none.
        """
        reader = self._readers(file.path.parent).get(file.content_sha256)
        if reader is None:
            self.unpacked += 1
            return file.tokens()
        self.packed += 1
        return reader()

    def contents(self, folders: Iterable[Path]) -> frozenset[str]:
        """Content hashes of all that is packed in the folders."""
        return frozenset(content for folder in folders for content in self._readers(folder))

    def _readers(self, folder: Path) -> dict[str, Reader]:
        if folder not in self._known:
            self._known[folder] = _readers(folder)
        return self._known[folder]


def stale_cause(pack: TokenPack) -> str | None:
    """Why the caches beside a pack are no longer those that it was made of; None where they are.

    A file of the same size and time is believed to be the same; of any other the content hash is compared.
    """
    folder = pack.path.parent
    there, packed = _files(folder), {entry.file for entry in pack.entries}
    if there.keys() != packed:
        name = min(there.keys() ^ packed)
        return f"{name} is {'new' if name in there else 'gone'}"
    for entry in pack.entries:
        stat = there[entry.file]
        if (stat.st_size, stat.st_mtime_ns) != (entry.bytes, entry.mtime_ns):
            try:
                if open_cache(folder / entry.file).content_sha256 != entry.content_sha256:
                    return f"{entry.file} has other tracks"
            except CacheError:
                return f"{entry.file} cannot be read"
    return None


def fresh_pack(folder: Path) -> TokenPack:
    """The pack of a split's folder; CacheError where there is none, or it is stale."""
    pack = open_pack(folder)
    cause = stale_cause(pack)
    if cause is not None:
        raise CacheError(
            f"{pack.path}: expected a pack of the caches beside it, got an older one ({cause}); "
            "run `tracksift cache pack` again"
        )
    return pack


def _readers(folder: Path) -> dict[str, Reader]:
    """Content hash -> reader of each video of the folder's pack; nothing where there is no pack."""
    if not (folder / NAME).exists():
        return {}
    pack = open_pack(folder)
    read = pack.reader()
    return {entry.content_sha256: partial(read, index) for index, entry in enumerate(pack.entries)}


def _files(folder: Path) -> dict[str, os.stat_result]:
    """Name -> what the file system knows of each cache file; one pass, since training asks at every start."""
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and not entry.name.startswith("."):
                    with suppress(FileNotFoundError):  # replaced or deleted meanwhile, or a link to nothing
                        found[entry.name] = entry.stat()
    except OSError as error:
        raise CacheError(f"{folder}: expected a folder that can be listed, got {error}") from error
    return found
