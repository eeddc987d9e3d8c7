"""Films of the long world as the frozen image tower wants them: drawn by worker processes, encoded on the device.

A worker draws a whole story and keeps each frame at the tower's side in pixels, with every object's boxes. Knows how
stories are drawn and encoded. Does not know questions or models. Axis letters: T frames, O objects, P patches, Q their
width, S the tower's side in pixels, C the width of its pooled feature.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from core.images import OpenClipImages, image_size, resize, scaled
from miniature.long_world import Story, make_long_clip, make_story
from miniature.supply import Supply
from miniature.world.spec import SIDE

FIRST_SEED = 10_000
"""Training seeds lie between those of the long world's splits `train` and `calib`: no story of any split comes up."""
SEEDS = 90_000
FRAMES_AT_ONCE = 1024


@dataclass(frozen=True)
class Order:
    """What is to be drawn: the story of a seed, at a side of S pixels; seconds and most as in `make_story`."""

    seed: int
    side: int
    shifted: bool = False
    seconds: int | None = None
    most: int | None = None

    def story(self) -> Story:
        """The story alone, in milliseconds."""
        return make_story(self.seed, shifted=self.shifted, seconds=self.seconds, most=self.most)


@dataclass(frozen=True)
class Footage:
    """frames: uint8 [T, S, S, 3].   boxes: float32 [O, T, 4], shares of the frame, NaN where unseen.   order: of it."""

    frames: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    order: Order


@dataclass(frozen=True)
class Film:
    """A story, its features [T, P, Q] on any device, and its boxes [O, T, 4] as `Footage` has them."""

    story: Story
    patches: Tensor
    boxes: NDArray[np.float32]


def shoot(order: Order) -> Footage:
    """Draw a story; about a second of work."""
    clip = make_long_clip(order.seed, shifted=order.shifted, seconds=order.seconds, most=order.most)
    frames = np.stack([resize(frame, order.side) for frame in clip.frames])
    return Footage(frames, _boxes(clip.labels, len(clip.story.objects)) / np.float32(SIDE), order)


def develop(footage: Footage, encoder: OpenClipImages, grid: int) -> Film:
    """The film of a footage, its features float16 on the encoder's device; they are those of `encode_frames`."""
    return Film(footage.order.story(), encode(footage.frames, encoder, grid), footage.boxes)


@torch.no_grad()
def encode(frames: NDArray[np.uint8], encoder: OpenClipImages, grid: int) -> Tensor:
    """Patches float16 [T, grid * grid, Q] of frames [T, S, S, 3] on the encoder's device, as `encode_frames` has them.

    That one brings them to the host, from where they would have to go back.
    """
    parts = []
    for part in torch.split(torch.from_numpy(frames), FRAMES_AT_ONCE):
        pixels = scaled(part.to(encoder.device))
        out = encoder.model.forward_intermediates(
            image=pixels, image_indices=1, normalize_intermediates=True, image_output_extra_tokens=False
        )
        cells = F.adaptive_avg_pool2d(out["image_intermediates"][-1].float(), grid)
        parts.append(cells.flatten(2).transpose(1, 2).half())
    return torch.cat(parts)


class Studio:
    """A ring of `size` films on the encoder's device, refilled by workers while a training goes on.

    `filled` films are there, `drawn` were there at any time. The oldest gives way to the newest.
    """

    def __init__(
        self, size: int, encoder: OpenClipImages, grid: int, *, workers: int, skip: int = 0, like: Order | None = None
    ) -> None:
        """Workers start at once. skip: films of an earlier part of the training.   like: all but seed and side."""
        self._encoder, self._grid = encoder, grid
        self.films: list[Film] = []
        self.size, self.drawn = size, 0
        like = like or Order(0, 0)
        side = image_size(encoder.model.visual.image_size)
        orders = ((replace(like, seed=FIRST_SEED + i % SEEDS, side=side),) for i in itertools.count(skip))
        self._supply = Supply(shoot, orders, array="frames", workers=workers, ahead=3)

    @property
    def filled(self) -> int:
        """How many films are there."""
        return len(self.films)

    def wait_for(self, count: int) -> Iterator[int]:
        """Take films until `count` are there; yields how many are, for a progress bar."""
        while self.filled < min(count, self.size):
            for footage in self._supply.first():
                self._store(footage)
            yield self.filled

    def take(self, most: int) -> int:
        """Store up to `most` films that have arrived, without waiting; how many they were."""
        before = self.drawn
        for footage in self._supply.ready(most):
            self._store(footage)
        return self.drawn - before

    def close(self) -> None:
        """Stop the workers and delete their files."""
        self._supply.close()

    def _store(self, footage: Footage) -> None:
        film = develop(footage, self._encoder, self._grid)
        if self.filled < self.size:
            self.films.append(film)
        else:
            self.films[self.drawn % self.size] = film
        self.drawn += 1


def _boxes(labels: NDArray[np.uint8], objects: int) -> NDArray[np.float32]:
    """x1, y1, x2, y2 of each object's pixels in each frame, [O, T, 4], NaN where it has none."""
    out = np.full((objects, len(labels), 4), np.nan, dtype=np.float32)
    for k in range(objects):
        seen = labels == k + 1
        columns, rows = seen.any(axis=1), seen.any(axis=2)  # [T, W], [T, H]
        for column, flags in ((0, columns), (1, rows)):
            there = flags.any(axis=1)
            out[k, there, column] = flags.argmax(axis=1)[there]
            out[k, there, column + 2] = flags.shape[1] - flags[:, ::-1].argmax(axis=1)[there]
    return out
