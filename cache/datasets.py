"""HDF5 files and datasets read with care: whatever broken bytes raise is a named error that says where.

Knows HDF5, and `schema` for what a header may say. Does not know what a cache's datasets mean together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import h5py
import numpy as np
from numpy.typing import NDArray

from cache import outlines, schema
from core.errors import CacheCorruptError, CacheError, CacheForeignError, InputError

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
AGAIN = "run `tracksift generate` again to write it anew"
# What h5py and numpy raise on broken bytes; anything else would be a bug of ours and must be seen.
_BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError)


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file open for reading; a named error where it is missing, foreign or broken, also inside the block."""
    try:
        with path.open("rb") as handle:
            head = handle.read(len(_SIGNATURE))
    except FileNotFoundError as error:
        raise CacheError(f"{path}: expected a cache file, got none; run `tracksift generate` first") from error
    except OSError as error:
        raise CacheError(f"{path}: expected a readable file, got {error.strerror or error}") from error
    if head and head != _SIGNATURE[: len(head)]:
        raise CacheForeignError(f"{path}: expected a TrackSift cache, got no HDF5 file; move it away, then {AGAIN}")
    with named(path, ""), h5py.File(path, "r", locking=False) as file:
        yield file


@contextmanager
def named(path: Path, place: str) -> Iterator[None]:
    """Turn what broken bytes raise into a CacheCorruptError that says file, place and what to run next."""
    try:
        yield
    except (*_BROKEN, InputError) as error:
        where = f"/{place}: " if place else ""
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CacheCorruptError(f"{path}: expected a whole cache file, got {where}{cause}; {AGAIN}") from error


def text_of(owner: h5py.HLObject, name: str) -> str:
    """An attribute of fixed-size text."""
    value = owner.attrs[name]
    if not isinstance(value, bytes):
        raise ValueError(f"attribute {name}: expected fixed-size text, got {type(value).__name__}")
    return value.decode("ascii")


def header_of(file: h5py.File, path: str) -> schema.Entry:
    """What the header says of a dataset; no data is read and none is allocated for absurd sizes."""
    return _dataset(file, path)[1]


def stored_name(file: h5py.File, path: str) -> str:
    """The dataset in which that of a path lies: its own, but for masks that are stored as moves of their edges."""
    return schema.OUTLINES if path == schema.MASKS and path not in file and schema.OUTLINES in file else path


def _dataset(file: h5py.File, path: str) -> tuple[h5py.Dataset, schema.Entry]:
    """A dataset as it is stored, and what its header says of what it stands for."""
    stored_path = stored_name(file, path)
    dataset = file[stored_path]
    if not isinstance(dataset, h5py.Dataset) or dataset.chunks is None:
        raise ValueError(f"/{path}: expected a chunked dataset, got another object")
    size = int(np.prod(dataset.shape, dtype=object)) * dataset.dtype.itemsize
    chunk = int(np.prod(dataset.chunks, dtype=object)) * dataset.dtype.itemsize
    stored = int(dataset.id.get_storage_size())
    if size > schema.MAX_EXPANSION * stored or chunk > schema.MAX_CHUNK_BYTES:
        raise ValueError(f"/{path}: {size} bytes cannot come from {stored} stored bytes in chunks of {chunk}")
    shape = dataset.shape if stored_path == path else (int(dataset.attrs["bytes"]),)
    return dataset, schema.Entry(dataset.dtype.str, shape, text_of(dataset, "sha256"))


def read_dataset(path: Path, file: h5py.File, name: str, entry: schema.Entry) -> NDArray[np.generic]:
    """All of a dataset, verified; CacheCorruptError where its header is not `entry` or its bytes are not its hash's."""
    with named(path, name):
        dataset, found = _dataset(file, name)
        if found != entry:
            raise ValueError("another content than when the file was opened")
        data = dataset[...]
        if stored_name(file, name) != name:
            data = np.frombuffer(outlines.decode(data.tobytes()), dtype=np.uint8)
        if schema.data_sha256(data) != entry.sha256:
            raise ValueError("data that do not match their SHA-256")
    return cast(NDArray[np.generic], data)
