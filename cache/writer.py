"""Writes one video's tracks as one file, whole or not at all.

The file is built in memory, then written to a temporary name, synced and renamed: a killed, failed or doubled write
never leaves half a file under the final name, and a fault of the disk is an ordinary OSError, not an HDF5 state.
Knows `schema`. Does not know how files are read.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from cache import outlines, schema
from core.atomic import atomic_path
from core.errors import InputError
from core.types import Labels, TrackSet

Arrays = dict[str, NDArray[np.generic]]


def write_cache(
    path: Path,
    track_set: TrackSet,
    labels: Labels | None = None,
    *,
    version: int = 1,
    expected: str | None = None,
    more: Callable[[h5py.File], None] | None = None,
) -> str:
    """Write `track_set` and `labels` to `path`, replacing what is there, and return the content hash.

    The hash covers video, provenance, prompts and tracks, not the labels nor the version: scores stay valid when labels
    are added. The schema is the lowest, from `version` on, that holds the content.   expected: the content hash, where
    it is known; nothing is written under another.   more: puts in what is not core, before the file is complete.

    Raises:
        InputError: when an array is not of the schema's dtype or shape, the provenance is not JSON, or the content is
            not the expected one.
        OutputError: when the place cannot be written; nothing is left behind.
    """
    if labels is not None and len(labels.iou) != len(track_set.tracks):
        raise InputError(f"labels: expected rows for {len(track_set.tracks)} tracks, got {len(labels.iou)}")
    columns, named = track_set_arrays(track_set), labels_arrays(labels) if labels is not None else None
    image, content = _build(columns, _moves(track_set) if track_set.tracks else None, named, version, more)
    if expected not in (None, content):
        raise InputError(f"{path}: expected to write content {expected}, got {content}")
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(image)
    return content


def track_set_arrays(track_set: TrackSet) -> Arrays:
    """Path -> array of every core dataset, looks only where the tracks have them."""
    video, tracks = track_set.video, track_set.tracks
    shape = (len(tracks), video.frames)
    counts = [c for t in tracks for c in t.masks]
    info = {
        "id": video.id,
        "source": video.source,
        "height": int(video.size[0]),
        "width": int(video.size[1]),
        "end": float(video.end),
        "fingerprint": video.fingerprint,
    }
    widths = sorted({t.tokens.shape[1] for t in tracks}) or [0]
    if len(widths) > 1:
        raise InputError(f"video {video.id!r}: expected tokens of one width, got {widths}")
    looks = track_set.looks()
    return {
        "provenance": json_bytes("provenance", dict(track_set.provenance)),
        "video/info": json_bytes("video", info),
        "video/timestamps": video.timestamps,
        "prompts/frame": np.array([t.prompt.frame for t in tracks], dtype="<i4"),
        "prompts/expression": json_bytes("prompts", [t.prompt.expression_id for t in tracks]),
        "prompts/score": np.array([t.prompt.score for t in tracks], dtype="<f8"),
        "prompts/stability": np.array([t.prompt.stability for t in tracks], dtype="<f8"),
        "tracks/source": np.array([schema.SOURCES.index(t.source) for t in tracks], dtype="|u1"),
        schema.MASKS: np.frombuffer(b"".join(counts), dtype="|u1"),
        "tracks/rle_offsets": np.cumsum([0, *map(len, counts)], dtype="<i8"),
        "tracks/boxes": _stack([t.boxes for t in tracks], (*shape, 4), "<f4"),
        "tracks/tokens": _stack([t.tokens for t in tracks], (*shape, widths[0]), "<f2"),
        "tracks/object_score": _stack([t.object_score for t in tracks], shape, "<f4"),
        "tracks/predicted_iou": _stack([t.predicted_iou for t in tracks], shape, "<f4"),
        **({} if looks is None else {schema.LOOK.path: looks}),
    }


def labels_arrays(labels: Labels) -> Arrays:
    """Path -> array of every label dataset."""
    return {
        "labels/object_ids": json_bytes("labels", list(labels.object_ids)),
        "labels/iou": labels.iou,
        "labels/precision": labels.precision,
        "labels/recall": labels.recall,
    }


def _stack(parts: list[NDArray[np.generic]], shape: tuple[int, ...], dtype: str) -> NDArray[np.generic]:
    return np.stack(parts) if parts else np.zeros(shape, dtype=dtype)


def json_bytes(name: str, value: object) -> NDArray[np.uint8]:
    """JSON as the format stores it; InputError for what JSON cannot hold."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected values that JSON can hold, got {error}") from error
    return np.frombuffer(text.encode(), dtype="|u1")


def _build(
    core: Arrays,
    moves: bytes | None,
    labels: Arrays | None,
    version: int,
    more: Callable[[h5py.File], None] | None,
) -> tuple[bytes, str]:
    """The bytes of the file, and its content hash. moves: the masks as `cache.outlines` has them."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=schema.LIBRARY_VERSION) as file:
        file.attrs.create("format", np.bytes_(schema.FORMAT))
        looks = schema.LOOK.path in core
        lowest = schema.OUTLINES_VERSION if moves is not None else schema.LOOK_VERSION if looks else 1
        file.attrs.create("schema_version", np.int64(max(version, lowest)))
        content = put_columns(file, core, (*schema.CORE_COLUMNS, *((schema.LOOK,) if looks else ())), moves)
        if labels is not None:
            group_hash = put_columns(file, labels, schema.LABEL_COLUMNS)
            file[schema.LABELS].attrs.create("sha256", np.bytes_(group_hash))
        if more is not None:
            more(file)
        file.attrs.create("content_sha256", np.bytes_(content))
        file.attrs.create("complete", np.uint8(1))  # last: without it nothing of the file is believed
    return buffer.getvalue(), content


def put_columns(
    file: h5py.File,
    arrays: Mapping[str, NDArray[np.generic]],
    columns: tuple[schema.Column, ...],
    moves: bytes | None = None,
) -> str:
    """Write every column; return their common hash. moves: what is stored in place of the masks, if anything."""
    entries: dict[str, schema.Entry] = {}
    for column in columns:
        array = arrays[column.path]
        if array.dtype != np.dtype(column.dtype):
            raise InputError(f"cache /{column.path}: expected dtype {np.dtype(column.dtype)}, got {array.dtype}")
        entry = schema.Entry(column.dtype, array.shape, schema.data_sha256(array))
        entries[column.path] = entry
        if moves is not None and column.path == schema.MASKS:
            dataset = _put(file, schema.OUTLINES, np.frombuffer(moves, dtype="|u1"))
            dataset.attrs.create("bytes", np.int64(array.size))
        else:
            dataset = _put(file, column.path, np.ascontiguousarray(array, dtype=column.dtype))
        dataset.attrs.create("sha256", np.bytes_(entry.sha256))
    try:
        schema.axis_sizes(entries, columns)
    except ValueError as error:
        raise InputError(f"cache {error}") from error
    return schema.content_sha256(entries, columns)


def _put(file: h5py.File, path: str, array: NDArray[np.generic]) -> h5py.Dataset:
    return file.create_dataset(
        path,
        data=array,
        chunks=schema.chunk_shape(array.shape, array.itemsize),
        maxshape=tuple(max(n, 1) for n in array.shape),  # a chunk may not exceed it, and an axis may be 0
        compression="gzip",
        compression_opts=schema.MASK_COMPRESSION if path in (schema.MASKS, schema.OUTLINES) else schema.COMPRESSION,
        shuffle=True,
        fletcher32=True,
    )


def _moves(track_set: TrackSet) -> bytes | None:
    """All masks as moves of their edges; None where there are none, or some that would not come back to the byte."""
    try:
        return outlines.encode([mask for track in track_set.tracks for mask in track.masks], track_set.video.size)
    except ValueError:
        return None
