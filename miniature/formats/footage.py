"""A rendered video of either world, as the writers of formats see it.

Knows both worlds. Does not know files. T frames, O objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.types import Expression
from miniature.long_world import FPS, Description, LongClip, Story
from miniature.world import Clip
from miniature.world.nouns import Look, name_look
from miniature.world.paint import whole_areas
from miniature.world.spec import SIDE, TEXTURES, ObjectSpec

SIZE = (SIDE, SIDE)
SEEN = 12  # visible pixels that count as seen


@dataclass(frozen=True)
class Footage:
    """A rendered video and what is known of it.

    number: its seed.   frames: uint8 [T, 256, 256, 3].   labels: uint8 [T, 256, 256], k + 1 where object k is seen.
    whole: int64 [O, T], pixels of each object inside the picture, covered or not.   story: of a long clip only.
    """

    id: str
    number: int
    fps: float
    frames: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    whole: NDArray[np.int64]
    objects: tuple[ObjectSpec, ...]
    expressions: tuple[Expression, ...]
    descriptions: tuple[Description, ...]
    story: Story | None = None

    def mask(self, index: int) -> NDArray[np.bool_]:
        """Visible pixels of object `index`, [T, 256, 256]."""
        seen: NDArray[np.bool_] = self.labels == index + 1
        return seen

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """Number of visible pixels of each object, [O, T]."""
        count = len(self.objects) + 1
        table = [np.bincount(labels.reshape(-1), minlength=count) for labels in self.labels]
        areas: NDArray[np.int64] = np.stack(table, axis=1)[1:]
        return areas

    def visible(self, index: int) -> NDArray[np.int64]:
        """Number of visible pixels of object `index`, [T]."""
        seen: NDArray[np.int64] = self.areas[index]
        return seen

    def corners(self, index: int) -> NDArray[np.int64]:
        """x1, y1, x2, y2 of object `index` in whole pixels, ends exclusive, [T, 4]; zeros where nothing is seen."""
        mask = self.mask(index)
        out = np.zeros((len(mask), 4), dtype=np.int64)
        for axis in range(2):
            lines: NDArray[np.bool_] = np.any(mask, axis=axis + 1)  # [T, W], then [T, H]
            out[:, axis] = lines.argmax(axis=1)
            out[:, axis + 2] = np.where(lines.any(axis=1), lines.shape[1] - lines[:, ::-1].argmax(axis=1), 0)
        return out

    def told(self) -> Story:
        """The story; only formats for long clips ask for it."""
        assert self.story is not None  # catalogue.check refuses such formats for short clips
        return self.story


def from_clip(clip: Clip, video_id: str) -> Footage:
    """A clip of the short world; its objects are described by their looks alone."""
    labels = np.zeros(clip.masks.shape[1:], dtype=np.uint8)
    for index, mask in enumerate(clip.masks):
        labels[mask] = index + 1  # visible pixels belong to one object each
    rng = np.random.default_rng(np.random.SeedSequence([clip.seed, 3]))
    descriptions = tuple(_by_look(rng, o) for o in clip.objects)
    whole = whole_areas(clip.objects, len(clip.frames))
    return Footage(
        video_id, clip.seed, clip.fps, clip.frames, labels, whole, clip.objects, clip.expressions, descriptions
    )


def from_long(clip: LongClip, video_id: str) -> Footage:
    """A clip of the long world."""
    told = clip.story
    return Footage(
        video_id, told.seed, FPS, clip.frames, clip.labels, clip.whole, told.objects, told.expressions,
        told.descriptions, told,
    )  # fmt: skip


def _by_look(rng: np.random.Generator, thing: ObjectSpec) -> Description:
    size = thing.size if float(np.ptp(thing.path.radius)) <= 1 else None
    texture = thing.texture if thing.texture in TEXTURES else None
    look = Look(size, thing.colour, texture, thing.shape)
    said = {"size": size, "colour": thing.colour, "texture": texture, "shape": thing.shape}
    texts = tuple(f"a {name_look(rng, look).singular}" for _ in range(3))
    looks = tuple(f"the {name_look(rng, Look(None, thing.colour, texture, thing.shape)).singular}" for _ in range(2))
    return Description(thing.id, texts, looks, {k: v for k, v in said.items() if v is not None})


def longest_run(seen: NDArray[np.bool_]) -> slice:
    """The longest stretch of True in [T]; empty where there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]]).astype(np.int8)))
    runs = [slice(int(a), int(b)) for a, b in list(pairwise(edges))[::2]]
    return max(runs, key=lambda r: r.stop - r.start, default=slice(0, 0))
