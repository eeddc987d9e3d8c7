"""Frames of random scenes: drawn by worker processes into files, from there into tensors on the training device.

Knows how scenes are drawn. Does not know phrases, batches or models. Only pictures and looks are needed here, so that
a scene's words are never made, and a few frames of it are drawn instead of all. Axis letters: M objects of a scene.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from miniature.detector_training.phrases import UNCERTAIN, WORDS
from miniature.supply import Supply
from miniature.world.paint import paint
from miniature.world.scene import clip_length, draw_scene
from miniature.world.spec import SIDE, ObjectSpec

MOST_OBJECTS = 8
FRAMES = 8
"""Frames of a scene that are drawn."""
FIRST_SEED = 10_000
"""Training seeds lie between those of the splits `train` and `calib`; scenes are drawn from them in a way of its own,
so that no clip of any split comes up."""
SEEDS = 90_000
ROUND = 7  # what the second and later rounds through the seeds change them by


@dataclass(frozen=True)
class Scene:
    """FRAMES frames uint8 [FRAMES, H, W, 3]; boxes float32 [FRAMES, M, 4] (centre, size; shares of the frame), their
    visible pixels int32 [FRAMES, M], and looks int64 [M, 4] in the order of `phrases.WORDS`.
    """

    frames: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    area: NDArray[np.int32]
    looks: NDArray[np.int64]


def draw(seed: int) -> Scene:
    """The scene of a seed: objects that move through a clip of ordinary length, a few of its frames."""
    rng = np.random.default_rng([seed, 1])
    length = clip_length(rng, shifted=False)
    times = np.sort(rng.choice(length, FRAMES, replace=False))
    whole = draw_scene(rng, length, shifted=False)
    objects = tuple(_at(thing, times) for thing in whole)
    picture = paint(rng, objects, FRAMES, shifted=False)
    boxes = np.full((FRAMES, MOST_OBJECTS, 4), 0.5, dtype=np.float32)
    area = np.zeros((FRAMES, MOST_OBJECTS), dtype=np.int32)
    looks = np.full((MOST_OBJECTS, 4), UNCERTAIN, dtype=np.int64)
    area[:, : len(objects)] = picture.masks.sum(axis=(2, 3)).T
    for i, thing in enumerate(whole):
        looks[i] = look_of(thing)
        for t in np.flatnonzero(area[:, i]):
            boxes[t, i] = box_of(picture.masks[i, t])
    return Scene(picture.frames, boxes, area, looks)


def look_of(thing: ObjectSpec) -> tuple[int, ...]:
    """Indices of an object's words in `phrases.WORDS`; UNCERTAIN for the size of one that grows or shrinks."""
    numbers = [words.index(word) for words, word in zip(WORDS, (thing.size, thing.colour, thing.texture, thing.shape),
                                                         strict=True)]  # fmt: skip
    if float(np.ptp(thing.path.radius)) > 1:
        numbers[0] = UNCERTAIN
    return tuple(numbers)


def box_of(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Centre and size of a mask's box as shares of the frame."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    (y1, y2), (x1, x2) = (ys[0], ys[-1] + 1), (xs[0], xs[-1] + 1)
    height, width = mask.shape
    return (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height


def _at(thing: ObjectSpec, times: NDArray[np.int64]) -> ObjectSpec:
    """The object at some frames alone."""
    path = thing.path
    parts = {name: getattr(path, name)[times] for name in ("centre", "radius", "angle", "shown")}
    return replace(thing, path=replace(path, **parts))


class Pool:
    """`size` scenes on `device`, filled and then refreshed by `workers` processes; 0 workers draw on request, here.

    frames: uint8 [size, FRAMES, H, W, 3].   boxes, area, looks: as of `Scene`, [size, ...].   filled: scenes that may
    be used.   drawn: scenes that ever arrived.
    """

    def __init__(self, size: int, device: torch.device, *, workers: int, skip: int = 0) -> None:
        self.frames = torch.zeros(size, FRAMES, SIDE, SIDE, 3, dtype=torch.uint8, device=device)
        self.boxes = torch.zeros(size, FRAMES, MOST_OBJECTS, 4, device=device)
        self.area = torch.zeros(size, FRAMES, MOST_OBJECTS, dtype=torch.int32, device=device)
        self.looks = torch.zeros(size, MOST_OBJECTS, 4, dtype=torch.long, device=device)
        self.size, self.filled, self.drawn = size, 0, 0
        seeds = ((FIRST_SEED + i % SEEDS + (i // SEEDS) * ROUND * 1_000_000,) for i in itertools.count(skip))
        self._supply = Supply(draw, seeds, array="frames", workers=workers, ahead=4)

    def wait_for(self, scenes: int) -> Iterator[int]:
        """Take scenes until `scenes` are there; yields how many are, for a progress bar."""
        while self.filled < min(scenes, self.size):
            for scene in self._supply.first():
                self._store(scene)
            yield self.filled

    def take(self, most: int) -> int:
        """Store up to `most` scenes that have arrived, without waiting; how many they were."""
        before = self.drawn
        for scene in self._supply.ready(most):
            self._store(scene)
        return self.drawn - before

    def close(self) -> None:
        """Stop the workers and delete their files."""
        self._supply.close()

    def _store(self, scene: Scene) -> None:
        place = self.drawn % self.size
        for name in ("frames", "boxes", "area", "looks"):
            values = torch.from_numpy(getattr(scene, name))
            if self.frames.is_cuda:
                values = values.pin_memory()  # so that the copy queues behind the steps instead of stopping them
            getattr(self, name)[place].copy_(values, non_blocking=True)
        self.drawn += 1
        self.filled = min(self.drawn, self.size)
