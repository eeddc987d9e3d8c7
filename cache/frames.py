"""Frame features in a cache file: what a frozen image encoder says of some of the video's frames, a group an encoder.

They are no part of the content hash: scores stay valid when features are added. Adding copies every other dataset as it
is, into a new file that replaces the old one whole. Knows `schema`, reader and writer. Does not know encoders.
Axis letters: K frames, C width of a frame's feature, P patches, Q width of a patch.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
from numpy.typing import NDArray

from cache import schema
from cache.datasets import header_of, named, opened, read_dataset
from cache.reader import open_cache
from cache.writer import json_bytes, put_columns, write_cache
from core.atomic import atomic_path
from core.errors import CacheError, InputError
from core.types import Labels, TrackSet
from core.validators import check_array, check_rising, check_text

FRAMES = "frames"


@dataclass(frozen=True)
class FrameFeatures:
    """Features of K frames.

    index: [K] int32, rising frame numbers.   pooled: [K, C] float16, one feature a frame, of unit length.
    patches: [K, P, Q] float16, or None.   facts: what decides them, JSON-able, `encoder_sha256` among it.
    """

    index: NDArray[np.int32]
    pooled: NDArray[np.float16]
    patches: NDArray[np.float16] | None
    facts: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together."""
        check_array("frame features: index", self.index, [None], "i")
        check_array("frame features: pooled", self.pooled, [len(self.index), None], "f")
        if self.patches is not None:
            check_array("frame features: patches", self.patches, [len(self.index), None, None], "f")
        check_rising("frame features: index", self.index.astype(np.float64))
        check_text("frame features: encoder_sha256", self.facts.get("encoder_sha256", ""))


def frames_key(encoder_sha256: str) -> str:
    """The name of an encoder's group under /frames."""
    return encoder_sha256[:16]


def write_frames(path: Path, features: FrameFeatures) -> None:
    """Put features into the cache file `path`, in place of those that it has of the same encoder.

    Raises:
        CacheError: when the file cannot be used.
        InputError: for frames that the video does not have.
        OutputError: when it cannot be replaced; then it stays as it was.
    """
    frames = open_cache(path).video.frames
    if len(features.index) and not 0 <= features.index[0] <= features.index[-1] < frames:
        raise InputError(f"{path}: expected features of frames 0..{frames - 1}, got some of {features.index[-1]}")
    key, buffer = frames_key(features.facts["encoder_sha256"]), io.BytesIO()
    with opened(path) as old, h5py.File(buffer, "w", libver=schema.LIBRARY_VERSION) as new:
        for name in old:
            if name != FRAMES:
                old.copy(name, new)
        for other in old.get(FRAMES, ()):
            if other != key:
                old.copy(f"{FRAMES}/{other}", new.require_group(FRAMES))
        _put(new, features)
        for name, value in old.attrs.items():
            if name != "complete":
                new.attrs.create(name, value)
        new.attrs.create("complete", np.uint8(1))  # last, as in `cache.writer`
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def rewrite_cache(path: Path, track_set: TrackSet, labels: Labels | None = None, **settings: Any) -> str:
    """As `write_cache`, but keeps the features that a file which is there has of the same frames.

    Those of a file that is broken, or of other frames, go with it.   settings: further ones of `write_cache`.
    """
    kept = _features_of(path, track_set.video.fingerprint)

    def put(file: h5py.File) -> None:
        for features in kept:
            _put(file, features)

    return write_cache(path, track_set, labels, more=put, **settings)


def read_frames(path: Path, encoder_sha256: str) -> FrameFeatures:
    """The features of one encoder, verified.

    Raises:
        CacheError: when the file cannot be used, or has none of this encoder.
    """
    key, there = frames_key(encoder_sha256), list_frames(path)
    if key not in there:
        raise CacheError(
            f"{path}: expected frame features of the encoder {key}, got {', '.join(there) or 'none at all'}; "
            "run `tracksift extract-features`"
        )
    return _read_group(path, key)


def verify_frames(path: Path) -> None:
    """Read and check the features of every encoder; raises as `read_frames`."""
    for key in list_frames(path):
        _read_group(path, key)


def list_frames(path: Path) -> tuple[str, ...]:
    """The encoders' groups that a cache file has; CacheError when it cannot be used."""
    with opened(path) as file:
        return tuple(sorted(file.get(FRAMES, ())))


def _features_of(path: Path, fingerprint: str) -> list[FrameFeatures]:
    try:
        if open_cache(path).video.fingerprint != fingerprint:
            return []
        return [_read_group(path, key) for key in list_frames(path)]
    except CacheError:  # nothing there, or nothing to be trusted
        return []


def _put(file: h5py.File, features: FrameFeatures) -> None:
    key = frames_key(features.facts["encoder_sha256"])
    put = put_columns(file, _arrays(key, features), _columns(key, features.patches is not None))
    file[f"{FRAMES}/{key}"].attrs.create("sha256", np.bytes_(put))


def _read_group(path: Path, key: str) -> FrameFeatures:
    with opened(path) as file, named(path, f"{FRAMES}/{key}"):
        group = file[f"{FRAMES}/{key}"]
        columns = _columns(key, "patches" in group)
        entries = {c.path: header_of(file, c.path) for c in columns}
        if schema.content_sha256(entries, columns).encode() != group.attrs["sha256"]:
            raise ValueError("its hash does not match its datasets")
        schema.axis_sizes(entries, columns)
        found = {c.path.rsplit("/", 1)[1]: read_dataset(path, file, c.path, entries[c.path]) for c in columns}
        facts = json.loads(found["info"].tobytes())
        index, pooled = cast(NDArray[np.int32], found["index"]), cast(NDArray[np.float16], found["pooled"])
        return FrameFeatures(index, pooled, cast(NDArray[np.float16] | None, found.get("patches")), facts)


def _columns(key: str, patches: bool) -> tuple[schema.Column, ...]:
    place = f"{FRAMES}/{key}"
    columns = (
        schema.Column(f"{place}/info", "|u1", schema.TEXT),
        schema.Column(f"{place}/index", "<i4", ("K",)),
        schema.Column(f"{place}/pooled", "<f2", ("K", "C")),
    )
    return (*columns, schema.Column(f"{place}/patches", "<f2", ("K", "P", "Q"))) if patches else columns


def _arrays(key: str, features: FrameFeatures) -> dict[str, NDArray[np.generic]]:
    place = f"{FRAMES}/{key}"
    arrays: dict[str, NDArray[np.generic]] = {
        f"{place}/info": json_bytes("frame features", dict(features.facts)),
        f"{place}/index": features.index,
        f"{place}/pooled": features.pooled,
    }
    return arrays if features.patches is None else arrays | {f"{place}/patches": features.patches}
