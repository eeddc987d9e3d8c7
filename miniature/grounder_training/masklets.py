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
from miniature.drawn_tracks import LEAST, DrawnFrames, as_track
from miniature.long_world import FPS, LongClip
from miniature.world.spec import SIDE
from proposals.looks import with_looks
from selector.settings import BOX_WIDTH
from tracksift.clips import read_track_clip
from tracksift.models import WEIGHTS

AWAY: Final = 4  # frames, after which an object that comes back is someone new
AGAIN: Final = 0.15  # share of those that are known again
NOTHING: Final = -1  # owner of a track that is no object
# How tracks of the miniature SAM2's grid differ from the world on 11 films of valid: of 76, 11 went over to another
# object and 4 were none; 18 of 73 visits had a second track, 2 had none. Where a track lies on its object, a box's side
# is off by .008 of the picture (a robust deviation says .006), an area by .06 of itself, an outline's number by .11
# (.03).
SWITCHED, STRAY, DOUBLED, MISSED = 0.15, 0.4, 0.2, 0.03
TREMBLE_BOX, TREMBLE_AREA, TREMBLE_OUTLINE = 0.005, 0.03, 0.03
WILD, WILDER = 0.3, 5.0  # share of tracks that tremble so many times as much for a while
SPREAD = 0.5  # of the logarithm of how much a track trembles


@dataclass(frozen=True, eq=False)
class Masklets:
    """values: [N, T, D] float16.   boxes: [N, T, 4] float32 shares of the picture, NaN where absent.

    owner: [N, T], the number of the object that each track shows in each frame, or NOTHING.   where: the boxes, on the
    CPU, so that nobody waits for a device.
    """

    values: Tensor
    boxes: Tensor
    owner: NDArray[np.int64]
    where: NDArray[np.float32]

    def to(self, device: torch.device) -> Masklets:
        """The same on a device."""
        return replace(self, values=self.values.to(device), boxes=self.boxes.to(device))


@dataclass(frozen=True, eq=False)
class _Draft:
    """A track before it is one: COCO counts and owner in each of T frames, and where it is seen, [T]."""

    counts: Sequence[bytes]
    owner: NDArray[np.int64]
    seen: NDArray[np.bool_]


def draw_masklets(clip: LongClip, most: int) -> Masklets:
    """The tracks of a film, `most` at most; all follow from its seed."""
    rng = np.random.default_rng([clip.story.seed, 2])
    size, frames = (SIDE, SIDE), clip.story.frames
    drafts: list[_Draft] = []
    for number in range(len(clip.story.objects)):
        counts = rle.encode(clip.labels == number + 1)
        found = visits(rle.areas(counts, size) >= LEAST, rng)
        drafts += [_Draft(counts, np.where(seen, number, NOTHING), seen) for seen in found if rng.random() >= MISSED]
    drafts = _doubled(_switched(drafts, rng), rng)
    if rng.random() < STRAY:
        drafts.append(_stray(rng, frames))
    chosen = [drafts[n] for n in rng.permutation(len(drafts))[:most]]
    made = tuple(as_track(draft.counts, draft.seen, rng, size) for draft in chosen)
    name = f"{clip.story.seed}"
    meta = VideoMeta(name, name, size, np.arange(frames) / FPS, frames / FPS, "")
    tracked = with_looks(TrackSet(meta, made, {"drawn": clip.story.seed}), DrawnFrames(clip.frames, meta), _tower())
    values, boxes = _tremble(*read_track_clip(tracked, numbers=True), rng)
    owner = np.array([draft.owner for draft in chosen], dtype=np.int64).reshape(-1, frames)
    return Masklets(values, boxes, owner, boxes.numpy())


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


def _switched(drafts: Sequence[_Draft], rng: np.random.Generator) -> list[_Draft]:
    """Some tracks go over to an object that comes when theirs has left, whose own track they take."""
    left = list(drafts)
    for draft in drafts:
        if draft not in left or rng.random() >= SWITCHED:
            continue
        end = int(np.flatnonzero(draft.seen)[-1])
        later = [d for d in left if np.flatnonzero(d.seen)[0] > end and not np.isin(d.owner, draft.owner[end]).any()]
        if later:
            other = later[int(rng.integers(len(later)))]
            counts = [b if there else a for a, b, there in zip(draft.counts, other.counts, other.seen, strict=True)]
            owner = np.where(other.seen, other.owner, draft.owner)
            left[left.index(draft)] = _Draft(counts, owner, draft.seen | other.seen)
            left.remove(other)
    return left


def _doubled(drafts: Sequence[_Draft], rng: np.random.Generator) -> list[_Draft]:
    """Some are followed twice for a while."""
    more = []
    for draft in drafts:
        at = np.flatnonzero(draft.seen)
        if rng.random() < DOUBLED and len(at) > AWAY:
            first = int(rng.integers(len(at) - AWAY))
            part = np.zeros_like(draft.seen)
            part[at[first : first + int(rng.integers(AWAY, 1 + len(at) - first))]] = True
            more.append(_Draft(draft.counts, np.where(part, draft.owner, NOTHING), part))
    return [*drafts, *more]


def _stray(rng: np.random.Generator, frames: int) -> _Draft:
    """A still disc somewhere, from some frame on."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    y, x = rng.uniform(20, SIDE - 20, 2)
    disc = (columns - x) ** 2 + (rows - y) ** 2 <= rng.uniform(12, 40) ** 2
    seen = np.arange(frames) >= int(rng.integers(frames // 2))
    return _Draft(rle.encode(disc[None]) * frames, np.full(frames, NOTHING), seen)


def _tremble(values: Tensor, boxes: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Values and boxes of masks that are not quite right, some less than others, some for a while only."""
    tracks, frames = boxes.shape[:2]
    much = np.exp(rng.normal(0, SPREAD, (tracks, 1))) * np.ones((1, frames))
    for n in np.flatnonzero(rng.random(tracks) < WILD):
        start = int(rng.integers(frames))
        much[n, start : start + int(rng.integers(5, 30))] *= WILDER

    def shaken(deviation: float, *shape: int) -> Tensor:
        noise = rng.normal(0, deviation, (tracks, frames, *shape)) * much.reshape(tracks, frames, *[1] * len(shape))
        return torch.from_numpy(noise.astype(np.float32))

    moved = (boxes + shaken(TREMBLE_BOX, 4)).clamp(0, 1)
    high = moved[..., 2:].maximum(moved[..., :2] + 1e-3).clamp(max=1)
    moved = torch.cat([moved[..., :2].minimum(high - 1e-3), high], -1)
    told = values.float()
    told[..., :4] = torch.cat([(moved[..., :2] + moved[..., 2:]) / 2, moved[..., 2:] - moved[..., :2]], -1).nan_to_num()
    told[..., 4] *= (1 + shaken(TREMBLE_AREA)).clamp(min=0.1)
    told[..., BOX_WIDTH : BOX_WIDTH + 10] += shaken(TREMBLE_OUTLINE, 10)
    return (told * ~boxes[..., :1].isnan()).half(), moved


@lru_cache(maxsize=1)
def _tower() -> ImageEncoder:
    return load_image_encoder(str(WEIGHTS / "clip"), torch.device("cpu"))
