"""Tracks of a drawn film, as stage 1 would have found them: from the world's own masks, with a tracker's faults.

A visit that begins after the object was away is mostly a track of its own; boxes and outlines tremble; now and then
something that is no object is followed. Looks come from crops, by the tower on the CPU. Knows films, caches' types
and numbers of tracks. Does not know trackers or models. Axis letters: O objects, N tracks, T frames, D values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core import rle
from core.images import ImageEncoder, load_image_encoder
from core.types import TrackSet, VideoMeta
from miniature.drawn_tracks import DrawnFrames, as_track
from miniature.long_world import FPS, LongClip
from miniature.world.spec import SIDE
from proposals.looks import with_looks
from selector.settings import BOX_WIDTH
from tracksift.clips import read_track_clip
from tracksift.models import WEIGHTS

LEAST: Final = 8  # visible pixels from which a tracker finds an object
AWAY: Final = 4  # frames, after which an object that comes back is someone new
AGAIN: Final = 0.15  # share of those that are known again
NOTHING: Final = -1  # owner of a track that is no object
STRAY: Final = 0.4  # share of films with such a track
# What the miniature SAM2's masks of films of valid differ by from the world's: deviation of a box's side or centre as
# a share of the picture, of an area as a share of itself, of an outline's number.
TREMBLE_BOX, TREMBLE_AREA, TREMBLE_OUTLINE = 0.003, 0.03, 0.02


@dataclass(frozen=True, eq=False)
class Masklets:
    """values: [N, T, D] float16.   boxes: [N, T, 4] float32 shares of the picture, NaN where absent.   owner: [N], the
    number of each track's object, or NOTHING.   where: the boxes, on the CPU, so that nobody waits for a device.
    """

    values: Tensor
    boxes: Tensor
    owner: NDArray[np.int64]
    where: NDArray[np.float32]

    def to(self, device: torch.device) -> Masklets:
        """The same on a device."""
        return replace(self, values=self.values.to(device), boxes=self.boxes.to(device))


def draw_masklets(clip: LongClip, most: int) -> Masklets:
    """The tracks of a film, `most` at most; all follow from its seed."""
    rng = np.random.default_rng([clip.story.seed, 2])
    size, frames = (SIDE, SIDE), clip.story.frames
    tracks: list[tuple[Sequence[bytes], NDArray[np.bool_]]] = []
    owners = []
    for number in range(len(clip.story.objects)):
        counts = rle.encode(clip.labels == number + 1)
        for seen in visits(rle.areas(counts, size) >= LEAST, rng):
            tracks.append((counts, seen))
            owners.append(number)
    if rng.random() < STRAY:
        tracks.append(_stray(rng, frames))
        owners.append(NOTHING)
    order = rng.permutation(len(tracks))[:most]
    made = tuple(as_track(counts, seen, rng, size) for counts, seen in (tracks[n] for n in order.tolist()))
    name = f"{clip.story.seed}"
    meta = VideoMeta(name, name, size, np.arange(frames) / FPS, frames / FPS, "")
    found = with_looks(TrackSet(meta, made, {"drawn": clip.story.seed}), DrawnFrames(clip.frames, meta), _tower())
    values, boxes = read_track_clip(found, numbers=True)
    values, boxes = _tremble(values, boxes, rng)
    return Masklets(values, boxes, np.array(owners, dtype=np.int64)[order], boxes.numpy())


def visits(seen: NDArray[np.bool_], rng: np.random.Generator) -> list[NDArray[np.bool_]]:
    """The frames [T] of each track of an object that is seen in frames [T]: most are new after AWAY frames."""
    at = np.flatnonzero(seen)
    if not len(at):
        return []
    comes = [0, *(i for i in range(1, len(at)) if at[i] - at[i - 1] > AWAY and rng.random() >= AGAIN)]
    parts: list[NDArray[np.bool_]] = []
    for first, last in zip(comes, [*comes[1:], len(at)], strict=True):
        own = np.zeros_like(seen)
        own[at[first:last]] = True
        parts.append(own)
    return parts


def _stray(rng: np.random.Generator, frames: int) -> tuple[Sequence[bytes], NDArray[np.bool_]]:
    """A still disc somewhere, from some frame on."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    y, x = rng.uniform(20, SIDE - 20, 2)
    disc = (columns - x) ** 2 + (rows - y) ** 2 <= rng.uniform(12, 40) ** 2
    return rle.encode(disc[None]) * frames, np.arange(frames) >= int(rng.integers(frames // 2))


def _tremble(values: Tensor, boxes: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Values and boxes of masks that are not quite right."""
    there = ~boxes[..., :1].isnan()
    shake = torch.from_numpy(rng.normal(0, TREMBLE_BOX, boxes.shape).astype(np.float32))
    moved = (boxes + shake).clamp(0, 1)
    low, high = moved[..., :2].minimum(moved[..., 2:] - 1e-3), moved[..., 2:]
    moved = torch.cat([low.clamp(min=0), high], -1)
    told = values.float()
    told[..., :4] = torch.cat([(moved[..., :2] + moved[..., 2:]) / 2, moved[..., 2:] - moved[..., :2]], -1).nan_to_num()
    told[..., 4] *= 1 + torch.from_numpy(rng.normal(0, TREMBLE_AREA, told.shape[:2]).astype(np.float32))
    outline = told[..., BOX_WIDTH : BOX_WIDTH + 10]
    outline += torch.from_numpy(rng.normal(0, TREMBLE_OUTLINE, outline.shape).astype(np.float32))
    return (told * there).half(), moved


@lru_cache(maxsize=1)
def _tower() -> ImageEncoder:
    return load_image_encoder(str(WEIGHTS / "clip"), torch.device("cpu"))
