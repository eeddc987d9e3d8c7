"""The tokens of a whole split in one memory-mapped file, for training: no HDF5, no inflating, no masks.

    <root>/<dataset>/<split>/tokens.pack
    8 bytes   "TSPACK01"
    8 bytes   length of the header, little-endian
    32 bytes  SHA-256 of the header
    header    JSON: for each video its cache's name, id, content hash, size and time, shape [N, T, D], offset, checksum
              and SHA-256
    tokens    float16, little-endian, video after video, each from a multiple of 64 bytes

The checksum is the sum of a video's 8-byte words modulo 2^64: made at the speed of memory, so that every read checks
it, and any single damaged word changes it. The SHA-256 is for `verify_pack`. A pack is a copy: it is made again from
the caches, never repaired. Knows a pack's form and how it is read. Does not know the caches that it is made from
(`cache.pack_writer`), models or batches. Axis letters: N tracks, T frames, D token width.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cache.paths import PACK
from core.errors import CacheCorruptError, CacheError, CacheForeignError, InputError

if TYPE_CHECKING:
    from torch import Tensor

NAME = "tokens" + PACK
MAGIC = b"TSPACK01"
HEAD = len(MAGIC) + 8 + 32
_ALIGN = 64
_BLOCK = 1 << 19  # what it becomes, 1 MB, still stays in a core's second-level cache while it is summed and widened
_AGAIN = "run `tracksift cache pack` again"


@dataclass(frozen=True)
class PackEntry:
    """One video: what its cache file was when it was packed, and where its tokens [N, T, D] float16 lie, in bytes."""

    file: str
    video_id: str
    content_sha256: str
    bytes: int
    mtime_ns: int
    shape: tuple[int, int, int]
    offset: int
    checksum: int
    sha256: str

    @property
    def count(self) -> int:
        """Numbers."""
        tracks, frames, width = self.shape
        return tracks * frames * width


class _Room(NamedTuple):
    """A block of memory as bytes, as words [any] uint64 and as numbers [any] float16."""

    bytes: memoryview
    words: NDArray[np.uint64]
    halves: Tensor


@dataclass(frozen=True)
class TokenPack:
    """An opened pack; the file is mapped when tokens are asked for, so that a pack can be pickled."""

    path: Path
    entries: tuple[PackEntry, ...]

    def __len__(self) -> int:
        """Videos."""
        return len(self.entries)

    def tokens(self, index: int) -> NDArray[np.float16]:
        """Tokens [N, T, D] of a video, read-only and still in the file; their checksum has been checked.

        Raises:
            CacheCorruptError: when they are not what was packed.
        """
        return self._view(index, self._map())

    def all_tokens(self) -> list[NDArray[np.float16]]:
        """As `tokens`, of every video in order, through one mapping of the file."""
        return list(map(self.reader(), range(len(self))))

    def reader(self) -> Callable[[int], NDArray[np.float16]]:
        """`tokens`, through one mapping of the file for as many videos as are asked for."""
        data = self._map()
        return lambda index: self._view(index, data)

    def float32(self, buffer: Tensor | None = None) -> list[Tensor]:
        """Tokens [N, T, D] float32 of every video in order, in memory, in one buffer (a new one by default).

        buffer: float32 of at least `numbers`, to be written into; a buffer used again spares what fresh memory costs.

        Raises:
            InputError: for a buffer that is smaller.
            CacheCorruptError: when tokens are not what was packed.
        """
        import torch  # here, because it takes seconds to import, and verifying needs none of it

        if buffer is None:
            buffer = torch.from_numpy(np.empty(self.numbers, dtype=np.float32))  # numpy asks for huge pages
        counts = [entry.count for entry in self.entries]
        total = sum(counts)
        if buffer.ndim != 1 or buffer.shape[0] < total or buffer.dtype != torch.float32:
            raise InputError(f"{self.path}: expected a buffer of {total} float32, got {list(buffer.shape)}")
        parts: tuple[Tensor, ...] = torch.split(buffer[:total], counts)
        block = np.empty(_BLOCK, dtype=np.uint8)
        room = _Room(block.data, block.view("<u8"), torch.from_numpy(block.view("<f2")))
        with _readable(self.path), self.path.open("rb", buffering=0) as handle:
            for part, entry in zip(parts, self.entries, strict=True):
                self._fill(part, entry, handle, room)
        return [part.view(entry.shape) for part, entry in zip(parts, self.entries, strict=True)]

    @property
    def numbers(self) -> int:
        """Numbers of all videos."""
        return sum(entry.count for entry in self.entries)

    def _fill(self, part: Tensor, entry: PackEntry, handle: FileIO, room: _Room) -> None:
        """Read a video's tokens into `part` [numbers] float32, block by block, each checked and widened while at hand.

        Read and not mapped: as fast, and a disk's fault is an error of the call in place of a signal.
        """
        handle.seek(entry.offset)
        left, total, start = padded(2 * entry.count), 0, 0
        while left:
            size = min(left, _BLOCK)
            if not _read_into(handle, room.bytes[:size]):
                raise CacheCorruptError(f"{self.path}: expected {left} bytes more, got the file's end; {_AGAIN}")
            total += int(np.add.reduce(room.words[: size // 8], dtype=np.uint64))
            end = min(start + size // 2, entry.count)
            part[start:end].copy_(room.halves[: end - start])
            start, left = end, left - size
        if total % (1 << 64) != entry.checksum:
            raise self._changed(entry)

    def _changed(self, entry: PackEntry) -> CacheCorruptError:
        return CacheCorruptError(
            f"{self.path}: expected the tokens of {entry.video_id!r} as they were packed, got others; {_AGAIN}"
        )

    def _view(self, index: int, data: NDArray[np.uint8]) -> NDArray[np.float16]:
        entry = self.entries[index]
        part = data[entry.offset : entry.offset + padded(2 * entry.count)]
        if checksum_of(part) != entry.checksum:
            raise self._changed(entry)
        return part[: 2 * entry.count].view("<f2").reshape(entry.shape)

    def _map(self, *, in_order: bool = False) -> NDArray[np.uint8]:
        """The file's bytes [any]; in_order: they will be read from front to back."""
        expected = max((entry.offset + padded(2 * entry.count) for entry in self.entries), default=HEAD)
        with _readable(self.path), self.path.open("rb") as handle:
            mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
        mapped.madvise(mmap.MADV_SEQUENTIAL if in_order else mmap.MADV_NORMAL)
        data = np.frombuffer(mapped, dtype=np.uint8)
        if len(data) < expected:
            raise CacheCorruptError(f"{self.path}: expected {expected} bytes, got {len(data)}; {_AGAIN}")
        return data


def open_pack(path: Path) -> TokenPack:
    """A pack by its file or its split's folder; its header is checked, no token is read.

    Raises:
        CacheError: when there is none, or it is corrupt or foreign (its named subclasses).
    """
    path = path / NAME if path.is_dir() else path
    with _readable(path), path.open("rb") as handle:
        head = handle.read(HEAD)
        if head[: len(MAGIC)] != MAGIC[: len(head)]:
            raise CacheForeignError(f"{path}: expected a pack of tokens, got another file; {_AGAIN}")
        size = path.stat().st_size
        length = int.from_bytes(head[8:16], "little")
        header = handle.read(length) if len(head) == HEAD and length <= size else b""
    if len(header) != length or not header or hashlib.sha256(header).digest() != head[16:HEAD]:
        raise CacheCorruptError(f"{path}: expected a whole header, got a damaged one; {_AGAIN}")
    entries = [PackEntry(**value | {"shape": tuple(value["shape"])}) for value in json.loads(header)]
    return TokenPack(path, tuple(entries))


def verify_pack(path: Path) -> TokenPack:
    """Read and check every byte of a pack that is ever read; raises as `open_pack` and `TokenPack.tokens`."""
    pack = open_pack(path)
    data = pack._map(in_order=True)
    for index, entry in enumerate(pack.entries):
        pack._view(index, data)
        if hashlib.sha256(data[entry.offset : entry.offset + padded(2 * entry.count)].data).hexdigest() != entry.sha256:
            raise pack._changed(entry)
    return pack


def _read_into(handle: FileIO, room: memoryview) -> bool:
    """Fill `room` from a raw file, which may give less than it is asked for; whether there was enough."""
    done = 0
    while done < len(room):
        got = handle.readinto(room[done:])
        if not got:
            return False
        done += got
    return True


def checksum_of(data: NDArray[np.uint8]) -> int:
    """The sum of 8-byte words modulo 2^64."""
    return int(np.add.reduce(data.view("<u8"), dtype=np.uint64))


def padded(size: int) -> int:
    """The size in bytes that so many take up, a multiple of 64."""
    return _ALIGN * -(-size // _ALIGN)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Name what a missing or unreadable file raises."""
    try:
        yield
    except FileNotFoundError as error:
        raise CacheError(f"{path}: expected a pack of tokens, got none; run `tracksift cache pack`") from error
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise CacheError(f"{path}: expected a readable pack, got {error}") from error
