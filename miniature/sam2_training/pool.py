"""Clips for training: worker processes make files, from which one tensor on the training device is ever refreshed.

Knows `make_clip`, `make_cutout` and their masks. Does not know batches, prompts or models.

A clip is one uint8 array [T, H, W, 4]: red, green, blue, and a label map (0 background, i + 1 the i-th object), since
visible masks never overlap.
"""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import InputError
from miniature.cutouts.compose import make_cutout
from miniature.splits import find_split
from miniature.supply import Supply, one_thread_each
from miniature.world import make_clip

MOST_OBJECTS = 12
APART = 500_000  # clips between the first ones of processes that train together
FRAMES = 24
FIRST_SEED, LAST_SEED = 10_000, 99_999
"""Seeds of training clips: between the `train` and the `calib` split, so that no other split is touched."""


@dataclass(frozen=True)
class Rendered:
    """One clip: pixels uint8 [T, H, W, 4] (RGB and label map), visible area int32 [MOST_OBJECTS, T], objects.

    outlined: the first so many objects are things of their own, which one click can mean; the others are regions of a
    photograph.   complete: everything that could be meant is labelled, so that a click elsewhere means nothing.
    """

    seed: int
    pixels: NDArray[np.uint8]
    area: NDArray[np.int32]
    objects: int
    outlined: int
    complete: bool


def render(seed: int, shifted: bool = False, frames: int = FRAMES) -> Rendered:
    """Render one clip into the pool's layout."""
    clip = make_clip(seed, shifted=shifted, frames=frames)
    count = len(clip.masks)
    if count > MOST_OBJECTS:
        raise InputError(f"clip {seed}: expected at most {MOST_OBJECTS} objects, got {count}")
    numbers = np.arange(1, count + 1, dtype=np.uint8)[:, None, None, None]
    labels = (clip.masks * numbers).max(axis=0, initial=0)  # [T, H, W]
    area = np.zeros((MOST_OBJECTS, frames), dtype=np.int32)
    area[:count] = clip.masks.sum(axis=(2, 3))
    return Rendered(seed, np.concatenate([clip.frames, labels[..., None]], axis=-1), area, count, count, True)


def cut_out(seed: int, held_out: bool = False, frames: int = FRAMES) -> Rendered:
    """Make one cut-out clip in the pool's layout."""
    clip = make_cutout(seed, held_out=held_out, frames=frames)
    numbers = np.arange(1, MOST_OBJECTS + 1, dtype=np.uint8)
    area = np.stack([(clip.labels == number).sum(axis=(1, 2)) for number in numbers]).astype(np.int32)
    pixels = np.concatenate([clip.frames, clip.labels[..., None]], axis=-1)
    return Rendered(seed, pixels, area, clip.objects, clip.things, False)


def split_seeds(split: str, clips: int) -> tuple[list[int], bool]:
    """The first seeds of a split and whether it is a shifted one.

    Raises:
        InputError: for a split that does not exist, or more clips than it has.
    """
    chosen = find_split(split)
    if not 1 <= clips <= chosen.count:
        raise InputError(f"clips: expected 1 to {chosen.count} of split {split!r}, got {clips}")
    return list(chosen.seeds[:clips]), chosen.shifted


def render_many(seeds: Sequence[int], *, shifted: bool, workers: int, frames: int = FRAMES) -> Iterator[Rendered]:
    """Clips in the order of `seeds`, rendered by `workers` processes (0: here)."""
    return _made(partial(render, shifted=shifted, frames=frames), seeds, workers)


def cut_many(count: int, *, workers: int, frames: int = FRAMES) -> Iterator[Rendered]:
    """The first `count` cut-out clips of the held-out photographs, made by `workers` processes (0: here)."""
    return _made(partial(cut_out, held_out=True, frames=frames), range(count), workers)


def _made(make: Callable[[int], Rendered], seeds: Sequence[int], workers: int) -> Iterator[Rendered]:
    if workers == 0:
        yield from map(make, seeds)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as executor:
        one_thread_each()
        yield from executor.map(make, seeds)


def order(number: int, cutouts: float) -> tuple[bool, int]:
    """What the clip `number` (from 0) of a pool is: whether a cut-out, and the seed; a share `cutouts` 0..1 of any
    run of clips is cut-outs."""
    before = int(number * cutouts)
    if int((number + 1) * cutouts) > before:
        return True, before
    return False, FIRST_SEED + (number - before) % (LAST_SEED - FIRST_SEED + 1)


class Pool:
    """`size` clips on `device`, filled and then refreshed by `workers` processes; 0 workers render on request, here.

    pixels: uint8 [size, T, H, W, 4] on the device.   area: int32 [size, MOST_OBJECTS, T] on the CPU; outlined: int64
    [size] and complete: bool [size] as in `Rendered`.   filled: clips that may be drawn from.   rendered: clips that
    ever arrived.
    """

    def __init__(
        self, size: int, device: torch.device, *, workers: int, skip: int = 0, side: int = 256, cutouts: float = 0.0,
        rank: int = 0,
    ) -> None:  # fmt: skip
        """skip: clips that an earlier run has used up.   cutouts: share of cut-out clips, 0..1.   rank: of several
        processes that train together, each with clips of its own."""
        self.pixels = torch.zeros(size, FRAMES, side, side, 4, dtype=torch.uint8, device=device)
        self.area = np.zeros((size, MOST_OBJECTS, FRAMES), dtype=np.int32)
        self.outlined = np.zeros(size, dtype=np.int64)
        self.complete = np.zeros(size, dtype=bool)
        self.filled = self.rendered = 0
        orders = (order(APART * rank + skip + i, cutouts) for i in itertools.count())
        self._supply = Supply(_make, orders, array="pixels", workers=workers, ahead=2)

    def wait_for(self, clips: int) -> Iterator[int]:
        """Take clips until `clips` are there; yields how many are, for a progress bar."""
        while self.filled < min(clips, len(self.area)):
            for clip in self._supply.first():
                self._store(clip)
            yield self.filled

    def take(self, most: int) -> int:
        """Store up to `most` clips that have arrived, without waiting; how many they were."""
        before = self.rendered
        for clip in self._supply.ready(most):
            self._store(clip)
        return self.rendered - before

    def close(self) -> None:
        """Stop the workers and delete their files."""
        self._supply.close()

    def _store(self, clip: Rendered) -> None:
        place = self.rendered % len(self.area)
        pixels: Tensor = torch.from_numpy(clip.pixels)
        if self.pixels.is_cuda:
            pixels = pixels.pin_memory()  # so that the copy queues behind the steps instead of stopping them
        self.pixels[place].copy_(pixels, non_blocking=True)
        self.area[place], self.outlined[place], self.complete[place] = clip.area, clip.outlined, clip.complete
        self.rendered += 1
        self.filled = min(self.rendered, len(self.area))


def stack(clips: Iterable[Rendered]) -> tuple[Tensor, list[int]]:
    """Clips of equal length as one tensor uint8 [K, T, H, W, 4], and the number of objects of each."""
    kept = list(clips)
    return torch.from_numpy(np.stack([clip.pixels for clip in kept])), [clip.objects for clip in kept]


def _make(cutout: bool, seed: int) -> Rendered:
    return cut_out(seed) if cutout else render(seed)
