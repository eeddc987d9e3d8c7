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
the caches, never repaired. Knows caches. Does not know models or batches.
Axis letters: N tracks, T frames, D token width.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from cache.paths import PACK, SUFFIX, find_caches
from cache.reader import CacheFile, open_cache
from core.atomic import atomic_path
from core.errors import CacheCorruptError, CacheError, CacheForeignError, InputError

if TYPE_CHECKING:
    from torch import Tensor

NAME = "tokens" + PACK
_MAGIC = b"TSPACK01"
_HEAD = len(_MAGIC) + 8 + 32
_ALIGN = 64
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
        return _read_only(self._view(index, self._map()))

    def all_tokens(self) -> list[NDArray[np.float16]]:
        """As `tokens`, of every video in order, through one mapping of the file."""
        data = self._map()
        return [_read_only(self._view(index, data)) for index in range(len(self))]

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
        if buffer.ndim != 1 or len(buffer) < self.numbers or buffer.dtype != torch.float32:
            raise InputError(f"{self.path}: expected a buffer of {self.numbers} float32, got {list(buffer.shape)}")
        found, start, data = [], 0, self._map(in_order=True)
        for index, entry in enumerate(self.entries):
            part = buffer[start : start + entry.count].view(entry.shape)
            if entry.count:
                part.copy_(torch.frombuffer(self._view(index, data), dtype=torch.float16).view(entry.shape))
            found.append(part)
            start += entry.count
        return found

    @property
    def numbers(self) -> int:
        """Numbers of all videos."""
        return sum(entry.count for entry in self.entries)

    def _view(self, index: int, data: NDArray[np.uint8]) -> NDArray[np.float16]:
        entry = self.entries[index]
        part = data[entry.offset : entry.offset + _padded(2 * entry.count)]
        if _checksum(part) != entry.checksum:
            raise CacheCorruptError(
                f"{self.path}: expected the tokens of {entry.video_id!r} as they were packed, got others; {_AGAIN}"
            )
        return part[: 2 * entry.count].view("<f2").reshape(entry.shape)

    def _map(self, *, in_order: bool = False) -> NDArray[np.uint8]:
        """The file's bytes [any]; in_order: they will be read from front to back."""
        expected = max((entry.offset + _padded(2 * entry.count) for entry in self.entries), default=_HEAD)
        with _readable(self.path), self.path.open("rb") as handle:
            # A private copy on write, since torch takes no read-only memory; nothing is ever written.
            mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_COPY)
        mapped.madvise(mmap.MADV_SEQUENTIAL if in_order else mmap.MADV_NORMAL)
        data = np.frombuffer(mapped, dtype=np.uint8)
        if len(data) < expected:
            raise CacheCorruptError(f"{self.path}: expected {expected} bytes, got {len(data)}; {_AGAIN}")
        return data


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
        start = _ALIGN * -(-(_HEAD + _header_room([file for _, _, file in files])) // _ALIGN)
        out.seek(start)
        for number, (path, stat, file) in enumerate(files, start=1):
            tokens = file.tokens()
            data = tokens.tobytes().ljust(_padded(tokens.nbytes), b"\0")
            digest, checksum = hashlib.sha256(data).hexdigest(), _checksum(np.frombuffer(data, dtype=np.uint8))
            shape = cast(tuple[int, int, int], tokens.shape)
            identity = (path.name, file.video.id, file.content_sha256, stat.st_size, stat.st_mtime_ns)
            entries.append(PackEntry(*identity, shape, out.tell(), checksum, digest))
            out.write(data)
            if on_done is not None:
                on_done(number, len(files))
        header = json.dumps([asdict(entry) for entry in entries]).encode().ljust(start - _HEAD)
        assert len(header) == start - _HEAD, "the header has less room than _header_room promised"
        out.seek(0)
        out.write(_MAGIC + len(header).to_bytes(8, "little") + hashlib.sha256(header).digest() + header)
    return target


def open_pack(path: Path) -> TokenPack:
    """A pack by its file or its split's folder; its header is checked, no token is read.

    Raises:
        CacheError: when there is none, or it is corrupt or foreign (its named subclasses).
    """
    path = path / NAME if path.is_dir() else path
    with _readable(path), path.open("rb") as handle:
        head = handle.read(_HEAD)
        if head[: len(_MAGIC)] != _MAGIC[: len(head)]:
            raise CacheForeignError(f"{path}: expected a pack of tokens, got another file; {_AGAIN}")
        size = path.stat().st_size
        length = int.from_bytes(head[8:16], "little")
        header = handle.read(length) if len(head) == _HEAD and length <= size else b""
    if len(header) != length or not header or hashlib.sha256(header).digest() != head[16:_HEAD]:
        raise CacheCorruptError(f"{path}: expected a whole header, got a damaged one; {_AGAIN}")
    entries = [PackEntry(**value | {"shape": tuple(value["shape"])}) for value in json.loads(header)]
    return TokenPack(path, tuple(entries))


def verify_pack(path: Path) -> TokenPack:
    """Read and check every byte of a pack that is ever read; raises as `open_pack` and `TokenPack.tokens`."""
    pack = open_pack(path)
    data = pack._map(in_order=True)
    for index, entry in enumerate(pack.entries):
        pack._view(index, data)
        if (
            hashlib.sha256(data[entry.offset : entry.offset + _padded(2 * entry.count)].data).hexdigest()
            != entry.sha256
        ):
            raise CacheCorruptError(
                f"{path}: expected the tokens of {entry.video_id!r} as packed, got others; {_AGAIN}"
            )
    return pack


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
        raise CacheError(f"{pack.path}: expected a pack of the caches beside it, got an older one ({cause}); {_AGAIN}")
    return pack


def _files(folder: Path) -> dict[str, os.stat_result]:
    """Name -> what the file system knows of each cache file; one pass, since training asks at every start."""
    found = {}
    with _readable(folder), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) and not entry.name.startswith("."):
                with suppress(FileNotFoundError):  # replaced or deleted meanwhile, or a link to nothing
                    found[entry.name] = entry.stat()
    return found


def _read_only(tokens: NDArray[np.float16]) -> NDArray[np.float16]:
    tokens.flags.writeable = False
    return tokens


def _checksum(data: NDArray[np.uint8]) -> int:
    """The sum of 8-byte words modulo 2^64."""
    return int(np.add.reduce(data.view("<u8"), dtype=np.uint64))


def _padded(size: int) -> int:
    return _ALIGN * -(-size // _ALIGN)


def _header_room(files: Sequence[CacheFile]) -> int:
    """More bytes than the header will have."""
    longest: dict[str, Any] = {"shape": (2**40, 2**40, 2**40), "offset": 2**60, "checksum": 2**64, "sha256": "0" * 64}
    names = [{"file": f.path.name, "video_id": f.video.id, "content_sha256": "0" * 64} for f in files]
    return 64 + sum(len(json.dumps(n | longest | {"bytes": 2**60, "mtime_ns": 2**64})) + 2 for n in names)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Name what a missing or unreadable file raises."""
    try:
        yield
    except FileNotFoundError as error:
        raise CacheError(f"{path}: expected a pack of tokens, got none; run `tracksift cache pack`") from error
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise CacheError(f"{path}: expected a readable pack, got {error}") from error
