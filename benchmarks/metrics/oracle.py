"""The proposal oracle: the best answer that a video's tracks allow, whoever selects.

Knows masks of tracks and of truth. Does not know which tracks may compete: the caller leaves out those prompted by
ground truth. N tracks, T frames; P words of 64 pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from benchmarks.metrics.bits import Masks
from benchmarks.metrics.mevis_score import ExpressionScore, score_expression
from core import rle
from core.errors import InputError

Words = NDArray[np.uint64]  # [T, P], a pixel a bit, column by column


class _Choice(NamedTuple):
    tracks: tuple[int, ...]
    union: Words
    j: float


class Oracle:
    """One video's tracks, packed once (N·T·H·W / 8 bytes) and asked for any number of expressions."""

    def __init__(self, tracks: Sequence[Sequence[bytes]], size: rle.Size) -> None:
        """tracks: N lists of T COCO masks of `size`, trusted to be whole."""
        self._size = size
        self._tracks = [_pack(counts, size) for counts in tracks]

    def choose(self, truth: Sequence[bytes], among: Iterable[int] | None = None) -> tuple[int, ...]:
        """The tracks whose union has a high mean J with `truth` (T COCO masks), in the order in which they were added.

        Greedy: from the empty answer on, add the track that raises the mean J over frames most, until none does. Then
        once more without the first choice, since one track that covers too much blocks those that it is made of; the
        better of the two counts. J of an empty answer in a frame without truth is 1.

        among: indices of the tracks that may compete; None for all.
        """
        return self._best(_pack(truth, self._size), among).tracks

    def score(
        self, truth: Sequence[bytes], among: Iterable[int] | None = None, *, no_target: bool, kind: str = ""
    ) -> ExpressionScore:
        """The score of the union of the chosen tracks by MeViS's rules."""
        union = self._best(_pack(truth, self._size), among).union
        predicted, true = _unpack(union, self._size), rle.decode(truth, self._size)
        return score_expression(predicted, true, no_target=no_target, kind=kind)

    def _best(self, target: Words, among: Iterable[int] | None) -> _Choice:
        tracks = {n: self._tracks[n] for n in (range(len(self._tracks)) if among is None else among)}
        for track in tracks.values():
            if track.shape != target.shape:
                raise InputError(f"oracle: expected {len(track)} frames as the tracks have, got {len(target)}")
        # A track that never meets the target can only lower J.
        useful = {n: track for n, track in tracks.items() if (track & target).any()}
        first = _grow(useful, target)
        if not first.tracks:
            return first
        second = _grow({n: track for n, track in useful.items() if n != first.tracks[0]}, target)
        return max(first, second, key=lambda choice: choice.j)


def _grow(tracks: Mapping[int, Words], target: Words) -> _Choice:
    """Greedy growth from the empty answer."""
    left = dict(tracks)
    best = _Choice((), np.zeros_like(target), _mean_j(np.zeros_like(target), target))
    while left:
        values = {n: _mean_j(best.union | track, target) for n, track in left.items()}
        winner = max(values, key=values.__getitem__)
        if values[winner] <= best.j:
            break
        best = _Choice((*best.tracks, winner), best.union | left.pop(winner), values[winner])
    return best


def _mean_j(answer: Words, target: Words) -> float:
    overlap = np.bitwise_count(answer & target).sum(axis=1, dtype=np.int64)  # [T]
    union = np.bitwise_count(answer | target).sum(axis=1, dtype=np.int64)
    return float(np.where(union == 0, 1.0, overlap / np.maximum(union, 1)).mean())


def _pack(counts: Sequence[bytes], size: rle.Size) -> Words:
    """T masks -> bits. Run lengths go down the columns, so decoding them in that order moves no pixel."""
    if not counts:
        raise InputError("oracle: expected at least one frame, got none")
    columns = coco.decode([{"size": list(size), "counts": c} for c in counts]).T  # [T, W, H]
    bits = np.packbits(columns.reshape(len(counts), -1), axis=1)
    return np.pad(bits, [(0, 0), (0, -bits.shape[1] % 8)]).view(np.uint64)


def _unpack(words: Words, size: rle.Size) -> Masks:
    height, width = size
    bits = np.unpackbits(words.view(np.uint8), axis=1, count=height * width)
    return np.ascontiguousarray(bits.reshape(-1, width, height).transpose(0, 2, 1)).astype(np.bool_)
