"""Tracks as the rendered world itself knows them: masks, boxes and looks of every object, and no object tokens.

A selector that reads no tokens learns from these as from a tracker's, at a tenth of the work. Knows clips, looks
and caches. Does not know trackers, nor how many are drawn. Axis letters: T frames, H and W of a frame.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.track_labels import track_labels
from cache import SUFFIX, write_cache
from core import rle
from core.atomic import atomic_folder
from core.images import ImageEncoder
from core.types import Labels, Prompt, Source, Track, TrackSet, VideoMeta
from miniature.splits import Split
from miniature.world import SIDE, Clip, make_clip
from miniature.world.layout import MASKS, META, expressions_json, video_id
from proposals.looks import with_looks

LEAST = 8  # visible pixels from which a tracker finds an object
# What the miniature SAM2 says of tracks of 120 clips of the training split: logits of frames with and without the
# object (quantiles .05, .5, .95 of the first: 6.1, 10.1, 11.9; of the second: -8.0, -6.1, -2.7), and its estimates of
# IoU (.77, .95, .98).
PRESENT, ABSENT, SPREAD, DOUBT = 10.0, -6.0, 1.5, 0.06


@dataclass(frozen=True, eq=False)
class DrawnFrames:
    """Drawn frames uint8 [T, H, W, 3] as a `core.frames.VideoReader`."""

    frames: NDArray[np.uint8]
    meta: VideoMeta

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """All frames in order."""
        return iter(self.frames)

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Some frames, in the order asked for."""
        return self.frames[list(indices)]

    def close(self) -> None:
        """Nothing is open."""


def draw_tracks(clip: Clip, name: str, encoder: ImageEncoder) -> tuple[TrackSet, Labels]:
    """The tracks of all objects that are ever seen, in random order, and their labels; all follow from the seed.

    Object scores and estimates of IoU are drawn as a tracker gives them. The tracks say that they are of the grid,
    since they stand for its tracks. Objects are numbered from 0, as in `draw_block`'s annotations.
    """
    frames, size = len(clip.frames), (SIDE, SIDE)
    rng = np.random.default_rng([clip.seed, 1])  # 0 is the world's own
    meta = VideoMeta(name, name, size, np.arange(frames) / clip.fps, frames / clip.fps, "")
    counts = [rle.encode(masks) for masks in clip.masks]
    tracks = []
    for number in rng.permutation(len(counts)):
        seen = rle.areas(counts[number], size) >= LEAST
        if not seen.any():
            continue
        tracks.append(as_track(counts[number], seen, rng, size))
    found = with_looks(TrackSet(meta, tuple(tracks), {"drawn": clip.seed}), DrawnFrames(clip.frames, meta), encoder)
    truth = {str(number): masks for number, masks in enumerate(counts)}
    return found, track_labels([track.masks for track in found.tracks], truth, size)


def as_track(
    counts: Sequence[bytes], seen: NDArray[np.bool_], rng: np.random.Generator, size: tuple[int, int]
) -> Track:
    """A track of masks [T] of the world, absent where it is not `seen` [T], with scores such as a tracker gives."""
    frames, empty = len(seen), rle.union((), size)
    masks = tuple(c if there else empty for c, there in zip(counts, seen, strict=True))
    score = rng.normal(np.where(seen, PRESENT, ABSENT), SPREAD)
    score = np.where(seen, score.clip(min=1), score.clip(max=-1))
    iou = (1 - np.abs(rng.normal(0, DOUBT, frames))).clip(0, 1)
    prompt, tokens = Prompt(int(np.argmax(seen))), np.zeros((frames, 0), dtype=np.float16)
    told = (score.astype(np.float32), iou.astype(np.float32))
    return Track(Source.GRID, prompt, size, masks, rle.boxes(masks, size), tokens, *told)


def draw_block(
    part: Split, folder: Path, caches: Path, encoder: ImageEncoder, on_clip: Callable[[int], None] | None = None
) -> None:
    """Draw the clips of a split: a cache each into `caches`, and FOLDER as a split without pixels and masks.

    FOLDER comes last, and is complete or not there.   on_clip: is told how many are done; what it raises ends it.
    """
    videos: dict[str, Any] = {}
    for done, seed in enumerate(part.seeds, start=1):
        clip = make_clip(seed, shifted=part.shifted, expressions=part.expressions, no_target=part.no_target)
        name = video_id(seed, part.shifted)
        write_cache(caches / f"{name}{SUFFIX}", *draw_tracks(clip, name, encoder))
        frames = [f"{t:05d}" for t in range(len(clip.frames))]
        videos[name] = {"frames": frames, "expressions": expressions_json(clip), "fps": clip.fps}
        if on_clip is not None:
            on_clip(done)
    with atomic_folder(folder) as temporary:
        (temporary / META).write_text(json.dumps({"videos": videos}), encoding="utf-8")
        (temporary / MASKS).write_text("{}", encoding="utf-8")
