"""Caches -> batches for training: read once, out of packs where there are any, and handed out by like length.

`SelectorDataModule` is what Lightning takes. Where a split's numbers stay on disk, threads gather the next batches
while the present one is learnt from: gathering is copying, which leaves the interpreter free.
Knows caches, packs, processes and Lightning. Does not know models or losses.
Axis letters: B expressions, V videos, N tracks, T frames, D numbers a track and frame.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import lightning
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cache import CacheFile, TokenShelf, open_cache
from core.errors import InputError
from core.reporting import Progress
from core.types import Expression
from selector.data import SelectorData
from selector.inputs import no_tokens, read_apart
from selector.labelled import LabelledVideo
from selector.rows import StreamedRows

Index = NDArray[np.int64]
Prepared = tuple[Index, Tensor | None]
"""Expressions [B] of a batch, and their videos' numbers [V, N, T, D] where they were gathered ahead."""
Example = tuple[Path, Sequence[Expression]]
"""A cache file with labels, and expressions about its video with annotated targets."""

EVALUATION_BATCH = 256
THREADS = 2
AHEAD = 4
"""Batches that are gathered ahead at most: they take memory."""


@dataclass(frozen=True)
class Batches:
    """The batches of an epoch in order, as Lightning goes through them."""

    data: SelectorData
    indices: Sequence[Index]
    threads: int = THREADS

    def __len__(self) -> int:
        """Batches."""
        return len(self.indices)

    def __iter__(self) -> Iterator[Prepared]:
        """Each batch's expressions, with numbers gathered ahead where they are not on the device already."""
        if not isinstance(self.data.rows, StreamedRows):
            yield from ((index, None) for index in self.indices)
            return
        with ThreadPoolExecutor(self.threads, "gather") as pool:
            left = iter(self.indices)
            ahead = deque(self._submit(pool, index) for index in islice(left, AHEAD))
            try:
                while ahead:
                    index, values = ahead.popleft()
                    ahead.extend(self._submit(pool, after) for after in islice(left, 1))
                    yield index, values.result()
            finally:
                for _, values in ahead:
                    values.cancel()

    def _submit(self, pool: ThreadPoolExecutor, index: Index) -> tuple[Index, Future[Tensor]]:
        return index, pool.submit(self.data.values, index)


class SelectorDataModule(lightning.LightningDataModule):  # type: ignore[misc]  # the library is untyped
    """Batches of one process of a training; every process has all data and takes its part of every batch."""

    def __init__(
        self, train: SelectorData, valid: SelectorData, *, batch: int, together: int, seed: int, threads: int = THREADS
    ) -> None:
        """batch: expressions a step, `together` of them about one video.   threads: that gather ahead."""
        super().__init__()
        self.train, self.valid = train, valid
        self.size, self.together, self.seed, self.threads = batch, together, seed, threads

    def train_dataloader(self) -> Batches:
        """This process' part of the batches of the current epoch, which are a function of seed and epoch."""
        generator = np.random.default_rng([self.seed, self.trainer.current_epoch])
        rank, processes = self.trainer.global_rank, self.trainer.world_size
        batches = self.train.epoch(self.size, generator, self.together)
        return Batches(self.train, [part_of(batch, rank, processes) for batch in batches], self.threads)

    def val_dataloader(self) -> Batches:
        """All validation expressions in fixed order, in every process."""
        return Batches(self.valid, self.valid.epoch(EVALUATION_BATCH, None, EVALUATION_BATCH), self.threads)


def part_of(batch: Index, rank: int, processes: int) -> Index:
    """The part of a batch that process `rank` takes: neighbours, since they share videos; all of it where too small."""
    return batch if len(batch) < processes else np.array_split(batch, processes)[rank]


def padding_share(data: SelectorData, batches: Sequence[Index]) -> float:
    """The share of the batches' numbers that are padding, 0..1: what bucketing by length is there to lower."""
    shown = real = 0
    for index in batches:
        _, first = np.unique(data.numbers[index], return_index=True)
        sizes = data.shape[index][first]  # [V, 2]
        shown += len(sizes) * int(sizes.max(0).prod())
        real += int(sizes.prod(1).sum())
    return 1 - real / shown


def read_examples(
    examples: Sequence[Example],
    *,
    geometry: int,
    looks: bool = False,
    tokens: bool = True,
    workers: int = 0,
    progress: Progress | None = None,
    shelf: TokenShelf | None = None,
) -> list[LabelledVideo]:
    """Read many examples in order, by `workers` processes (0: in this one).

    Tokens come from the packs beside the caches where these are current, else from the caches; without `tokens` none
    are read.
    shelf: to be used, and asked afterwards how many videos were packed.

    Raises:
        InputError: where a cache has no labels.
        CacheError: where a cache or pack cannot be used.
    """
    shelf = shelf or TokenShelf()
    if workers == 0:
        read = (_read_example(e, geometry=geometry, looks=looks, shelf=shelf if tokens else None) for e in examples)
        return list(_counted(read, len(examples), progress))
    packed = shelf.contents({path.parent for path, _ in examples}) if tokens else frozenset[str]()
    job = partial(_read_rest, geometry=geometry, looks=looks, tokens=tokens, packed=packed)
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        parts = pool.imap(job, examples, chunksize=16)
        return list(_counted((_with_tokens(*part, shelf) for part in parts), len(examples), progress))


def _read_example(example: Example, *, geometry: int, looks: bool, shelf: TokenShelf | None) -> LabelledVideo:
    cache = open_cache(example[0])
    tokens = no_tokens(cache) if shelf is None else shelf.tokens(cache)
    return _labelled(cache, example, tokens, geometry=geometry, looks=looks)


def _read_rest(
    example: Example, *, geometry: int, looks: bool, tokens: bool, packed: frozenset[str]
) -> tuple[LabelledVideo, CacheFile | None]:
    """An example, and its cache where the tokens are left to the first process: what is mapped is not to be sent."""
    cache = open_cache(example[0])
    left = cache.content_sha256 in packed
    own = no_tokens(cache) if left or not tokens else cache.tokens()
    return _labelled(cache, example, own, geometry=geometry, looks=looks), cache if left else None


def _with_tokens(video: LabelledVideo, cache: CacheFile | None, shelf: TokenShelf) -> LabelledVideo:
    if cache is None:
        shelf.unpacked += 1
        return video
    parts = replace(video.tracks.parts, tokens=shelf.tokens(cache))
    return replace(video, tracks=replace(video.tracks, parts=parts))


def _labelled(
    cache: CacheFile, example: Example, tokens: NDArray[np.float16], *, geometry: int, looks: bool
) -> LabelledVideo:
    labels = cache.labels()
    if labels is None:
        raise InputError(f"{cache.path}: expected a cache with labels to learn from, got one without")
    return LabelledVideo(read_apart(cache, tokens, geometry=geometry, looks=looks), labels, tuple(example[1]))


def _counted(items: Iterator[LabelledVideo], total: int, progress: Progress | None) -> Iterator[LabelledVideo]:
    for done, item in enumerate(items, start=1):
        if progress is not None:
            progress(done, total)
        yield item
