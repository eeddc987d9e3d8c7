"""The samples of a step: what is asked of its films and what is true, in the tokens of a grounder.

On a GPU they are written by processes of their own, a few steps ahead: they take a tenth of a second of Python a step,
which the process that trains needs to keep the device busy. Knows films, lessons, layouts and processes. Does not
know features or losses.
"""

from __future__ import annotations

import io
import pickle
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from llm_grounder.grounder import Grounder
from llm_grounder.sequence import Batch, Layout
from llm_grounder.types import Sample
from miniature.grounder_training.films import Film, Order
from miniature.grounder_training.lessons import clip_of, draw
from miniature.grounder_training.masklets import Masklets
from miniature.grounder_training.settings import Settings
from miniature.grounder_training.wording import reword
from miniature.supply import leave_interrupts, one_thread_each
from tracksift.grounding import lesson

AHEAD = 2  # steps that each process is ahead


@dataclass(frozen=True, eq=False)
class Step:
    """What a step learns from, and `Grounder.lay_out` of the samples."""

    films: list[Film]
    samples: list[Sample]
    laid: tuple[list[Layout], Batch]


def write_step(settings: Settings, grounder: Grounder, number: int, films: Sequence[Film]) -> Step:
    """The samples of the step of a number about its films, which follow from the seed."""
    rng, tracks = np.random.default_rng([settings.seed, number, 1]), shows_tracks(settings, number)
    clips = [clip for film in films for clip in settings.asks * [clip_of(film, motion=settings.motion, tracks=tracks)]]
    drawn = [draw(rng, film.story, film.boxes, settings.mixture) for film in films for _ in range(settings.asks)]
    requests = [example.request for example in drawn]
    if settings.lost_words:
        own = np.random.default_rng([settings.seed, number, 4])
        texts = reword([request.text for request in requests], settings.lost_words, own)
        requests = [replace(request, text=text) for request, text in zip(requests, texts, strict=True)]
    samples = [
        lesson(clip, request, example.truth, settings.manner, rng)
        for clip, request, example in zip(clips, requests, drawn, strict=True)
    ]
    return Step(list(films), samples, grounder.lay_out(samples))


def shows_tracks(settings: Settings, number: int) -> bool:
    """Whether the step of a number shows the films' tracks: some do not, so that streams can be read."""
    return bool(np.random.default_rng([settings.seed, number, 3]).random() >= settings.trackless_share)


class Desk:
    """Steps one after another. Whoever opens it closes it.

    make: a grounder of the settings, whose words are the same at every call; a module's own function.
    processes: that write; 0 writes here, at once.
    """

    def __init__(
        self, settings: Settings, grounder: Grounder, make: Callable[[Settings], Grounder], processes: int
    ) -> None:
        """Processes start at once; each has one thread, and leaves a terminal's Ctrl-C to this one."""
        self._settings, self._grounder, self._most = settings, grounder, AHEAD * processes
        self._coming: deque[tuple[int, list[Film], Future[bytes]]] = deque()
        self._pool: ProcessPoolExecutor | None = None
        if processes:
            one_thread_each()
            self._pool = ProcessPoolExecutor(processes, get_context("spawn"), _Writer.open, (settings, make))

    def take(self, number: int, choose: Callable[[int], list[Film]]) -> Step:
        """The step of a number; those that follow are begun.

        choose: the films of the step of a number.
        """
        if self._pool is None:
            return write_step(self._settings, self._grounder, number, choose(number))
        while self._coming and self._coming[0][0] != number:
            self._coming.popleft()
        for later in range(number + len(self._coming), number + self._most + 1):
            films = choose(later)
            told = [(film.order, film.boxes, _placed(film.masklets)) for film in films]
            self._coming.append((later, films, self._pool.submit(_Writer.write, later, told)))
        _, films, written = self._coming.popleft()
        samples, laid = pickle.loads(written.result())  # noqa: S301  of our own process
        shows = shows_tracks(self._settings, number)
        clips = [clip_of(film, motion=self._settings.motion, tracks=shows) for film in films]
        asks = self._settings.asks
        return Step(films, [replace(sample, clip=clips[i // asks]) for i, sample in enumerate(samples)], laid)

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _placed(masklets: Masklets | None) -> Masklets | None:
    """What a writer needs of a film's tracks: where they are."""
    if masklets is None:
        return None
    where = masklets.where
    return replace(masklets, values=torch.zeros(*where.shape[:2], 1), boxes=torch.from_numpy(where))


class _Writer:
    """One process: a grounder for its words and templates, on the CPU."""

    settings: ClassVar[Settings]
    grounder: ClassVar[Grounder]

    @classmethod
    def open(cls, settings: Settings, make: Callable[[Settings], Grounder]) -> None:
        leave_interrupts()
        torch.set_num_threads(1)
        cls.settings, cls.grounder = settings, make(settings)

    @classmethod
    def write(cls, number: int, told: Sequence[tuple[Order, NDArray[np.float32], Masklets | None]]) -> bytes:
        """Samples, whose clips have no features, and layouts of the step of a number."""
        films = [Film(order, torch.zeros(boxes.shape[1], 1, 1), boxes, masklets) for order, boxes, masklets in told]
        step = write_step(cls.settings, cls.grounder, number, films)
        out = io.BytesIO()
        layouts = [replace(layout, pieces=()) for layout in step.laid[0]]  # thousands, which no training asks for
        _Pickler(out, pickle.HIGHEST_PROTOCOL).dump((step.samples, (layouts, step.laid[1])))
        return out.getvalue()


class _Pickler(pickle.Pickler):
    """Tensors as arrays: torch's own way takes a hundred times as long for small ones."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Tensor):
            return torch.from_numpy, (obj.numpy(),)
        return NotImplemented
