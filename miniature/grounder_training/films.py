"""Films of the long world as the frozen image tower wants them: drawn by worker processes, encoded on the device.

A worker draws a whole story and keeps each frame at the tower's side in pixels, with every object's boxes. Knows how
stories are drawn and encoded. Does not know questions or models. Axis letters: T frames, O objects, P patches, Q their
width, S the tower's side in pixels, C the width of its pooled feature.
"""

from __future__ import annotations

import itertools
import multiprocessing
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.images import OpenClipImages, image_size, resize
from miniature.grounder_training.masklets import Masklets, draw_masklets
from miniature.grounder_training.shown import Shown, shown_of
from miniature.long_world import FPS, Story, make_long_clip, make_story
from miniature.supply import Supply, one_thread_each
from miniature.world.spec import SIDE

FIRST_SEED = 10_000
"""Training seeds lie between those of the long world's splits `train` and `calib`: no story of any split comes up."""
SEEDS = 90_000
FRAMES_AT_ONCE = 1024
PAUSE = 0.01  # seconds between looks for films


@dataclass(frozen=True)
class Order:
    """What is to be drawn: the story of a seed, at a side of S pixels; seconds, most and wide as in `make_story`.

    tracks: the most tracks of the film, 0 for none.
    """

    seed: int
    side: int
    shifted: bool = False
    seconds: int | None = None
    most: int | None = None
    tracks: int = 0
    wide: bool = False

    def story(self) -> Story:
        """The story alone, in milliseconds."""
        return make_story(self.seed, shifted=self.shifted, seconds=self.seconds, most=self.most, wide=self.wide)


@dataclass(frozen=True)
class Footage:
    """frames: uint8 [T, S, S, 3].   boxes: float32 [O, T, 4], shares of the frame, NaN where unseen.   order: of it.
    masklets: its tracks, where the order wants some.   shown: what its objects show.
    """

    frames: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    order: Order
    masklets: Masklets | None = None
    shown: Shown | None = None


@dataclass(frozen=True, eq=False)
class Film:
    """What was ordered, its features [T, P, Q] on any device, its boxes [O, T, 4] as `Footage` has them, and its tracks
    on the same device, None where it has none.
    """

    order: Order
    patches: Tensor
    boxes: NDArray[np.float32]
    masklets: Masklets | None = None
    shown: Shown | None = None

    @property
    def frames(self) -> int:
        """T."""
        return len(self.patches)

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.frames / FPS

    @cached_property
    def story(self) -> Story:
        """Told anew, which takes some fifteen milliseconds."""
        return self.order.story()

    @cached_property
    def looks(self) -> Shown:
        """What its objects show."""
        return self.shown or shown_of(self.story)


def shoot(order: Order) -> Footage:
    """Draw a story; about a second of work."""
    clip = make_long_clip(order.seed, shifted=order.shifted, seconds=order.seconds, most=order.most)
    frames = np.stack([resize(frame, order.side) for frame in clip.frames])
    masklets = draw_masklets(clip, order.tracks) if order.tracks else None
    return Footage(
        frames, _boxes(clip.labels, len(clip.story.objects)) / np.float32(SIDE), order, masklets, shown_of(clip.story)
    )


@dataclass(frozen=True)
class Sight:
    """How films are seen: by which tower, as a grid of how many patches, in how many parts (`extract-features`)."""

    encoder: OpenClipImages
    grid: int
    tiles: int = 1

    @property
    def side(self) -> int:
        """The side in pixels that footage must have."""
        return image_size(self.encoder.model.visual.image_size) * self.tiles


def develop(footage: Footage, sight: Sight) -> Film:
    """The film of a footage: patches float16 on the encoder's device, as `extract-features` would have them."""
    parts = torch.split(torch.from_numpy(footage.frames), FRAMES_AT_ONCE // sight.tiles**2)
    patches = [sight.encoder.patches(part, sight.grid, sight.tiles).half() for part in parts]
    masklets = None if footage.masklets is None else footage.masklets.to(sight.encoder.device)
    return Film(footage.order, torch.cat(patches), footage.boxes, masklets, footage.shown)


def shoot_many(orders: Sequence[Order], *, workers: int) -> Iterator[Footage]:
    """Footage of orders in their order, drawn by `workers` processes (0: here)."""
    if not workers:
        yield from map(shoot, orders)
        return
    one_thread_each()
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(shoot, orders)


class Studio:
    """A ring of `size` films on the encoder's device, refilled by workers while a training goes on.

    `filled` films are there, `drawn` were there at any time. The oldest gives way to the newest. Once the first are
    there, those for a GPU are developed by a thread on a stream of its own: reading and encoding a film takes as long
    as a step of the training.
    """

    def __init__(
        self, size: int, sight: Sight, *, workers: int, skip: int = 0, like: Order | None = None,
        short: int | None = None, apart: bool | None = None,
    ) -> None:  # fmt: skip
        """Workers start at once. skip: films of an earlier part of the training.   like: all but seed and side.

        short: seconds of every second story.   apart: develop in a thread; by default for a GPU, where workers draw.
        """
        self._sight = sight
        self.films: list[Film] = []
        self.size, self.drawn = size, 0
        like = like or Order(0, 0)
        lengths = (like.seconds, short or like.seconds)
        orders = (
            (replace(like, seed=FIRST_SEED + i % SEEDS, side=sight.side, seconds=lengths[i % 2]),)
            for i in itertools.count(skip)
        )
        self._supply = Supply(shoot, orders, array="frames", workers=workers, ahead=3)
        on_gpu = sight.encoder.device.type == "cuda"
        self._stream = torch.cuda.Stream(sight.encoder.device) if on_gpu else None  # type: ignore[no-untyped-call]
        self._apart = bool(workers) and on_gpu if apart is None else apart
        self._thread: threading.Thread | None = None
        self._fault: BaseException | None = None
        self._closed = threading.Event()
        self._told = self._allowed = 0

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
        """Store up to `most` films that have arrived, without waiting; how many came since it was asked before.

        Where a thread develops, it may store as many until it is asked again.

        Raises:
            BaseException: what stopped that thread.
        """
        self._allowed = most
        if self._apart and self._thread is None:
            self._thread = threading.Thread(target=self._develop, name="films", daemon=True)
            self._thread.start()
        if self._fault is not None:
            raise self._fault
        if not self._apart:
            for footage in self._supply.ready(most):
                self._store(footage)
        before, self._told = self._told, self.drawn
        return self._told - before

    def close(self) -> None:
        """Stop the workers and delete their files."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        self._supply.close()

    def _develop(self) -> None:
        """Store what arrives, until the studio is closed."""
        try:
            with torch.cuda.stream(self._stream):
                while not self._closed.is_set():
                    before = self.drawn
                    for footage in self._supply.ready(min(1, self._allowed)):
                        self._store(footage)
                        self._allowed -= 1
                    if self.drawn == before:
                        self._closed.wait(PAUSE)
        except BaseException as fault:  # noqa: BLE001  raised by `take`
            self._fault = fault

    def _store(self, footage: Footage) -> None:
        film = develop(footage, self._sight)
        if self._stream is not None:
            stream = torch.cuda.current_stream(self._sight.encoder.device)
            stream.synchronize()  # whoever finds the film may read it on any stream
            # Its memory is not given to the next film before the training's work on it has ended.
            own = () if film.masklets is None else (film.masklets.values, film.masklets.boxes)
            for tensor in (film.patches, *own):
                tensor.record_stream(torch.cuda.default_stream(self._sight.encoder.device))
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
