"""What a cache file holds, in numbers, without its tracks: for people who look at a folder of them.

Knows the reader. Does not know whether data are whole: that is `survey`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py

from cache.datasets import stored_name
from cache.pack import NAME, open_pack
from cache.reader import CacheFile, open_cache
from cache.shelf import stale_cause
from core.errors import CacheError


@dataclass(frozen=True)
class Description:
    """One file. size: H, W.  stored: bytes on disk by group (tokens, masks, other).  sources: tracks by source."""

    path: Path
    video_id: str
    tracks: int
    frames: int
    size: tuple[int, int]
    width: int
    version: int
    looks: bool
    labels: bool
    tracker: str
    tracker_sha256: str
    content_sha256: str
    sources: Mapping[str, int] = field(default_factory=dict)
    stored: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SplitSummary:
    """The files of one folder. unusable: those that do not even open.  pack: "none", "current" or "stale"."""

    folder: Path
    files: int
    unusable: int
    tracks: int
    frames: int
    bytes: int
    trackers: tuple[str, ...]
    versions: tuple[int, ...]
    pack: str


def describe(path: Path) -> Description:
    """Numbers of one file; raises as `cache.reader.open_cache`."""
    file = open_cache(path)
    sizes = file.manifest.sizes
    stored = Counter[str]()
    with h5py.File(path, "r", locking=False) as raw:
        for name in file.manifest.entries:
            kind = {"tracks/tokens": "tokens", "tracks/rle": "masks", "tracks/rle_offsets": "masks"}.get(name, "other")
            stored[kind] += raw[stored_name(raw, name)].id.get_storage_size()
    return Description(
        path, file.video.id, len(file), file.video.frames, file.video.size, sizes.get("D", 0), file.version,
        "C" in sizes, file.has_labels, str(file.provenance.get("tracker", "")), _tracker(file), file.content_sha256,
        Counter(source.value for source in file.sources()), stored,
    )  # fmt: skip


def summarise(paths: Sequence[Path], on_done: Callable[[int, int], None] | None = None) -> list[SplitSummary]:
    """Numbers of each folder of the files; a file that does not open is counted as unusable."""
    summaries, done = [], 0
    for folder in sorted({path.parent for path in paths}):
        here = [path for path in paths if path.parent == folder]
        opened, unusable = list[CacheFile](), 0
        for path in here:
            try:
                opened.append(open_cache(path))
            except CacheError:
                unusable += 1
            done += 1
            if on_done is not None:
                on_done(done, len(paths))
        summaries.append(
            SplitSummary(
                folder, len(here), unusable, sum(map(len, opened)), sum(file.video.frames for file in opened),
                sum(path.stat().st_size for path in here), tuple(sorted({_tracker(file)[:12] for file in opened})),
                tuple(sorted({file.version for file in opened})), _pack_state(folder),
            )
        )  # fmt: skip
    return summaries


def _tracker(file: CacheFile) -> str:
    return str(file.provenance.get("tracker_sha256", ""))


def _pack_state(folder: Path) -> str:
    if not (folder / NAME).exists():
        return "none"
    try:
        return "stale" if stale_cause(open_pack(folder)) else "current"
    except CacheError:
        return "unusable"
