"""Reads a cache file lazily: opening checks the frame of the file, each read checks the data it returns.

Trust runs down a chain: `complete` and the content hash vouch for each dataset's hash, and each dataset's hash for its
bytes, so that tokens are verified without touching the masks. No file stays open: a `CacheFile` can be
pickled, forked and kept. Knows `schema`. Does not know HDF5's faults (`datasets`), how files are written, nor what made
them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
from numpy.typing import NDArray

from cache import schema
from cache.datasets import AGAIN, header_of, named, opened, read_dataset, text_of
from core.errors import CacheForeignError, CacheVersionError
from core.types import Labels, Prompt, Source, Track, TrackSet, VideoMeta


@dataclass(frozen=True)
class CacheFile:
    """One complete cache file. Each method reads, verifies and returns one thing.

    Every method raises CacheCorruptError when its bytes are not those that were there at opening, and CacheError when
    the file is gone.
    """

    path: Path
    video: VideoMeta
    provenance: Mapping[str, Any]
    content_sha256: str
    manifest: schema.Manifest
    has_labels: bool
    version: int
    held: Mapping[str, NDArray[np.generic]] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        """N."""
        return self.manifest.sizes["N"]

    def load(self) -> CacheFile:
        """The same with every dataset read and verified in one opening, for whoever reads them all."""
        with opened(self.path) as file:
            entries = self.manifest.entries.items()
            return replace(self, held={name: read_dataset(self.path, file, name, entry) for name, entry in entries})

    def tokens(self) -> NDArray[np.float16]:
        """Object tokens [N, T, D] float16."""
        return cast(NDArray[np.float16], self._read("tracks/tokens"))

    def looks(self) -> NDArray[np.float16] | None:
        """What each track looks like [N, C] float16, or None where the file has none."""
        if schema.LOOK.path not in self.manifest.entries:
            return None
        return cast(NDArray[np.float16], self._read(schema.LOOK.path))

    def boxes(self) -> NDArray[np.float32]:
        """Boxes [N, T, 4] float32 pixels, NaN where absent."""
        return cast(NDArray[np.float32], self._read("tracks/boxes"))

    def object_score(self) -> NDArray[np.float32]:
        """Object score logits [N, T] float32, > 0 present."""
        return cast(NDArray[np.float32], self._read("tracks/object_score"))

    def predicted_iou(self) -> NDArray[np.float32]:
        """The tracker's own estimate [N, T] float32 in 0..1."""
        return cast(NDArray[np.float32], self._read("tracks/predicted_iou"))

    def sources(self) -> tuple[Source, ...]:
        """Where each track's prompt came from, [N]."""
        with named(self.path, "tracks/source"):
            return tuple(schema.SOURCES[code] for code in self._read("tracks/source").tolist())

    def prompts(self) -> tuple[Prompt, ...]:
        """What each track started from, [N]."""
        frame, score, stability = (self._read(f"prompts/{n}").tolist() for n in ("frame", "score", "stability"))
        expression = self._json("prompts/expression")
        with named(self.path, "prompts"):
            return tuple(Prompt(*row) for row in zip(frame, expression, score, stability, strict=True))

    def masks(self) -> tuple[tuple[bytes, ...], ...]:
        """COCO run-length masks, [N][T]."""
        offsets, frames = self._read("tracks/rle_offsets").tolist(), self.video.frames
        data = self._read("tracks/rle").tobytes()
        with named(self.path, "tracks/rle_offsets"):
            expected = len(self) * frames + 1
            if len(offsets) != expected or offsets[0] != 0 or offsets[-1] != len(data) or sorted(offsets) != offsets:
                raise ValueError(f"expected {expected} rising offsets from 0 to {len(data)}, got others")
        counts = [data[a:b] for a, b in itertools.pairwise(offsets)]
        return tuple(tuple(counts[n * frames : (n + 1) * frames]) for n in range(len(self)))

    def labels(self) -> Labels | None:
        """Overlap of each track with each ground-truth object, or None where the file has none."""
        if not self.has_labels:
            return None
        iou, precision, recall = (
            cast(NDArray[np.float32], self._read(f"labels/{n}")) for n in ("iou", "precision", "recall")
        )
        ids = self._json("labels/object_ids")
        with named(self.path, "labels"):
            return Labels(tuple(ids), iou, precision, recall)

    def track_set(self) -> TrackSet:
        """Everything but the labels."""
        if not self.held:
            return self.load().track_set()
        looks = self.looks()
        parts = (self.masks(), self.boxes(), self.tokens(), self.object_score(), self.predicted_iou())
        rows = zip(self.sources(), self.prompts(), *parts, [None] * len(self) if looks is None else looks, strict=True)
        with named(self.path, "tracks"):
            tracks = tuple(Track(source, prompt, self.video.size, *rest) for source, prompt, *rest in rows)
            return TrackSet(self.video, tracks, self.provenance)

    def _read(self, path: str) -> NDArray[np.generic]:
        if path in self.held:
            return self.held[path]
        with opened(self.path) as file:
            return read_dataset(self.path, file, path, self.manifest.entries[path])

    def _json(self, path: str) -> Any:
        with named(self.path, path):
            return json.loads(self._read(path).tobytes())


def open_cache(path: Path) -> CacheFile:
    """Open a cache: checks marker, version, every hash and shape; reads video and provenance, no tracks.

    Raises:
        CacheError: when there is no such file, or it is corrupt, foreign or newer (its named subclasses).
    """
    path = Path(path)
    with opened(path) as file, named(path, ""):
        version = _check_frame(path, file)
        if version < schema.OUTLINES_VERSION and schema.MASKS not in file:
            raise ValueError(f"/{schema.MASKS}: expected masks, got none")
        columns: tuple[schema.Column, ...] = schema.CORE_COLUMNS
        if version >= schema.LOOK_VERSION and schema.LOOK.path in file:
            columns += (schema.LOOK,)
        entries = {c.path: header_of(file, c.path) for c in columns}
        content = text_of(file, "content_sha256")
        if schema.content_sha256(entries, columns) != content:
            raise ValueError("its content hash does not match its datasets")
        has_labels = schema.LABELS in file
        if has_labels:
            entries |= {c.path: header_of(file, c.path) for c in schema.LABEL_COLUMNS}
            if schema.content_sha256(entries, schema.LABEL_COLUMNS) != text_of(file[schema.LABELS], "sha256"):
                raise ValueError("/labels: its hash does not match its datasets")
            columns += schema.LABEL_COLUMNS
        sizes = schema.axis_sizes(entries, columns)
        info = json.loads(read_dataset(path, file, "video/info", entries["video/info"]).tobytes())
        times = cast(NDArray[np.float64], read_dataset(path, file, "video/timestamps", entries["video/timestamps"]))
        size = (info["height"], info["width"])
        video = VideoMeta(info["id"], info["source"], size, times, info["end"], info["fingerprint"])
        provenance = json.loads(read_dataset(path, file, "provenance", entries["provenance"]).tobytes())
    return CacheFile(path, video, provenance, content, schema.Manifest(entries, sizes), has_labels, version)


def read_cache(path: Path) -> TrackSet:
    """Every track of a cache file, verified; raises as `open_cache`."""
    return open_cache(path).track_set()


def _check_frame(path: Path, file: h5py.File) -> int:
    """The schema version of a complete file of ours."""
    mark = file.attrs.get("format")
    if not isinstance(mark, bytes) or mark != schema.FORMAT:
        raise CacheForeignError(f"{path}: expected a TrackSift cache, got other HDF5; move it away, then {AGAIN}")
    version = int(file.attrs["schema_version"])
    if version > schema.SCHEMA_VERSION:
        raise CacheVersionError(
            f"{path}: expected schema {schema.SCHEMA_VERSION} or older, got {version}; "
            "upgrade TrackSift, or run `tracksift generate` into another folder"
        )
    if version < 1 or int(file.attrs["complete"]) != 1:
        raise ValueError("no mark that it was completed")
    return version
