"""The cache format: names, dtypes, shapes and hashes of everything in a file. Its only owner; `FORMAT.md` is its text.

Axis letters: N tracks, T frames, D token width, C look width, O ground-truth objects. Knows HDF5 names and
arrays. Does not know how files are opened, replaced or repaired, nor what the values mean.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.types import Source

FORMAT = b"tracksift-cache"
SCHEMA_VERSION = 3
# Superblock 3 and object headers 2 carry checksums, unlike the default. "latest" would add nothing but a layout message
# that libraries before HDF5 2.0 cannot read.
LIBRARY_VERSION = "v110"

# The code of a source in /tracks/source is its place here: append only.
SOURCES = (Source.GRID, Source.GROUNDING_DINO, Source.GROUND_TRUTH, Source.USER, Source.IMPORTED)

COMPRESSION = 4  # gzip level
MASK_COMPRESSION = 9  # of masks, which are small: a twelfth less than level 4 on SAM2's masks of SA-V
CHUNK_BYTES = 1 << 17  # one track's tokens of 256 frames of width 256
MAX_CHUNK_BYTES = 1 << 26
# Deflate cannot shrink more than 1032 times; a claim beyond that is a broken or hostile header.
MAX_EXPANSION = 1100


class Column(NamedTuple):
    """One dataset: its path, little-endian dtype and axes (None: any length, tied to nothing)."""

    path: str
    dtype: str
    axes: tuple[str | int | None, ...]


class Entry(NamedTuple):
    """What a file says of one dataset: dtype, shape and SHA-256 of its bytes."""

    dtype: str
    shape: tuple[int, ...]
    sha256: str


MASKS = "tracks/rle"
TEXT: tuple[None] = (None,)  # JSON as UTF-8 bytes

CORE_COLUMNS = (
    Column("provenance", "|u1", TEXT),
    Column("video/info", "|u1", TEXT),
    Column("video/timestamps", "<f8", ("T",)),
    Column("prompts/frame", "<i4", ("N",)),
    Column("prompts/expression", "|u1", TEXT),
    Column("prompts/score", "<f8", ("N",)),
    Column("prompts/stability", "<f8", ("N",)),
    Column("tracks/source", "|u1", ("N",)),
    Column(MASKS, "|u1", (None,)),
    Column("tracks/rle_offsets", "<i8", (None,)),
    Column("tracks/boxes", "<f4", ("N", "T", 4)),
    Column("tracks/tokens", "<f2", ("N", "T", "D")),
    Column("tracks/object_score", "<f4", ("N", "T")),
    Column("tracks/predicted_iou", "<f4", ("N", "T")),
)

# Optional, since version 2; core where present. A file without it is of version 1, which older readers can read.
LOOK = Column("tracks/look", "<f2", ("N", "C"))
LOOK_VERSION = 2

# Since version 3 masks may lie as moves of their edges (`cache.outlines`) in OUTLINES, in place of MASKS. All but the
# stored bytes stays as it is, the content hash too: it covers what OUTLINES stands for.
OUTLINES = "tracks/outlines"
OUTLINES_VERSION = 3

LABELS = "labels"
LABEL_COLUMNS = (
    Column("labels/object_ids", "|u1", TEXT),
    Column("labels/iou", "<f4", ("N", "O")),
    Column("labels/precision", "<f4", ("N", "O")),
    Column("labels/recall", "<f4", ("N", "O")),
)


@dataclass(frozen=True)
class Manifest:
    """The entries of a file by path and the sizes of its axes."""

    entries: Mapping[str, Entry]
    sizes: Mapping[str, int]


def data_sha256(array: NDArray[np.generic]) -> str:
    """Hex SHA-256 of an array's bytes in C order and stored byte order."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def content_sha256(entries: Mapping[str, Entry], columns: Sequence[Column]) -> str:
    """Hex SHA-256 over path, dtype, shape and hash of each of `columns`, sorted by path.

    A hash of hashes: it is checked without reading any data, and vouches for each dataset's own hash.
    """
    lines = []
    for path in sorted(c.path for c in columns):
        entry = entries[path]
        shape = ",".join(str(n) for n in entry.shape)
        lines.append(f"{path} {entry.dtype} [{shape}] {entry.sha256}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def axis_sizes(entries: Mapping[str, Entry], columns: Sequence[Column]) -> dict[str, int]:
    """The size of each axis letter.

    Raises:
        ValueError: when a dataset has another dtype or number of axes, or two datasets disagree about an axis.
    """
    sizes: dict[str, int] = {}
    for column in columns:
        entry = entries[column.path]
        if entry.dtype != column.dtype or len(entry.shape) != len(column.axes):
            raise ValueError(
                f"/{column.path}: expected {len(column.axes)} axes of {column.dtype}, "
                f"got shape {list(entry.shape)} of {entry.dtype}"
            )
        for axis, size in zip(column.axes, entry.shape, strict=True):
            expected = sizes.setdefault(axis, size) if isinstance(axis, str) else axis
            if expected is not None and size != expected:
                raise ValueError(f"/{column.path}: expected axis {axis} of size {expected}, got {size}")
    return sizes


def chunk_shape(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Chunks of about CHUNK_BYTES: trailing axes whole, then as much of the next as fits; at least 1 everywhere.

    For tokens [N, T, D] a chunk thus holds one track, so that tracks are read apart.
    """
    room = max(1, CHUNK_BYTES // itemsize)
    chunk: list[int] = []
    for size in reversed(shape):
        part = max(1, min(size, room // max(1, math.prod(chunk))))
        chunk.append(part)
    return tuple(reversed(chunk))
