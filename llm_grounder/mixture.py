"""Endless batches of samples from several sources, drawn by weight: the same ones whenever a training goes on.

A batch holds samples until so many tokens, so that long clips come few at a time and short ones many. Knows sources as
numbers of samples and a way to make each. Does not know what they are made of.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import IterableDataset

from core.errors import InputError
from llm_grounder.compressors import count_tokens
from llm_grounder.settings import GrounderSettings
from llm_grounder.types import Sample

LETTERS = 3  # of a token, about
EXTRA = 48  # tokens of openings, closings and read-outs


@dataclass(frozen=True)
class Source:
    """Samples of one task of one dataset. weight: how often they are drawn beside others.

    make: the sample of a number below `count`, with a generator for what is random in it.
    """

    name: str
    count: int
    weight: float
    make: Callable[[int, np.random.Generator], Sample]

    def __post_init__(self) -> None:
        """Refuse sources from which nothing can be drawn."""
        if self.count < 1 or not self.weight > 0:
            raise InputError(
                f"source {self.name!r}: expected samples and a weight above 0, got {self.count} and {self.weight}"
            )


class Mixture(IterableDataset[list[Sample]]):
    """Batches of samples from `sources`, number `first` and on; every process has its own.

    tokens: of a batch, counted with padding to its longest sample, unless one sample alone has more.   most: samples.
    """

    def __init__(
        self, sources: Sequence[Source], settings: GrounderSettings, *, tokens: int, most: int, seed: int,
        first: int = 0, rank: int = 0, processes: int = 1,
    ) -> None:  # fmt: skip
        if not sources or tokens < 1 or most < 1:
            raise InputError(
                f"mixture: expected sources, tokens and samples a batch, got {len(sources)}, {tokens} and {most}"
            )
        self.sources, self.settings, self.tokens, self.most = tuple(sources), settings, tokens, most
        self.seed, self.first, self.rank, self.processes = seed, first, rank, processes
        weights = np.array([source.weight for source in sources])
        self._chance = weights / weights.sum()

    def __iter__(self) -> Iterator[list[Sample]]:
        """Batches without end."""
        return map(self.batch, itertools.count(self.first * self.processes + self.rank, self.processes))

    def batch(self, number: int) -> list[Sample]:
        """Batch `number` of the whole training, of all processes; one with the same number is the same."""
        rng = np.random.default_rng([self.seed, number])
        batch: list[Sample] = []
        longest = 0
        while len(batch) < self.most:
            source = self.sources[int(rng.choice(len(self.sources), p=self._chance))]
            sample = source.make(int(rng.integers(source.count)), rng)
            longest = max(longest, length_of(sample, self.settings))
            if batch and longest * (len(batch) + 1) > self.tokens:
                break  # left for another batch: which ones depends on nothing but the number of this one
            batch.append(sample)
        return batch


def length_of(sample: Sample, settings: GrounderSettings) -> int:
    """About how many tokens a sample takes."""
    words = len(sample.system) + sum(len(turn.text) for turn in sample.turns)
    tracks = sum(map(len, sample.clip.seen)) + sample.clip.tracks if settings.track_width else 0
    return count_tokens(settings, sample.clip.frames) + tracks + words // LETTERS + EXTRA


def drawn(batches: Sequence[Sequence[Sample]]) -> Counter[str]:
    """How many samples of each task are in batches, for a count that is printed."""
    return Counter(sample.request.task.value for batch in batches for sample in batch)
