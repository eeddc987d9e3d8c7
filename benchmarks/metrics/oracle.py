"""The proposal oracle: the best answer that a video's tracks allow, whoever selects.

Knows masks of tracks and of truth. Does not know which tracks may compete: the caller leaves out those prompted by
ground truth. N tracks, T frames; P words of 64 pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from benchmarks.metrics.mevis_score import ExpressionScore, score_expression
from benchmarks.metrics.region import Masks
from core import rle
from core.errors import InputError

Words = NDArray[np.uint64]  # [T, P], a pixel a bit, column by column


class Oracle:
    """One video's tracks, packed once (N·T·H·W / 8 bytes) and asked for any number of expressions."""

    def __init__(self, tracks: Sequence[Sequence[bytes]], size: rle.Size) -> None:
        """tracks: N lists of T COCO masks of `size`, trusted to be whole."""
        self._size = size
        self._tracks = [_pack(counts, size) for counts in tracks]

    def choose(self, truth: Sequence[bytes], among: Iterable[int] | None = None) -> tuple[int, ...]:
        """The tracks whose union has a high mean J with `truth` (T COCO masks), in the order in which they were added.

        Greedy: from the empty answer on, add the track that raises the mean J over frames most, until none does. J of
        an empty answer in a frame without truth is 1.

        among: indices of the tracks that may compete; None for all.
        """
        return tuple(self._greedy(_pack(truth, self._size), among)[0])

    def score(
        self, truth: Sequence[bytes], among: Iterable[int] | None = None, *, no_target: bool, kind: str = ""
    ) -> ExpressionScore:
        """The score of the union of the chosen tracks by MeViS's rules."""
        _, union = self._greedy(_pack(truth, self._size), among)
        predicted, true = _unpack(union, self._size), rle.decode(truth, self._size)
        return score_expression(predicted, true, no_target=no_target, kind=kind)

    def _greedy(self, target: Words, among: Iterable[int] | None) -> tuple[list[int], Words]:
        """The chosen tracks and their union."""
        tracks = {n: self._tracks[n] for n in (range(len(self._tracks)) if among is None else among)}
        for track in tracks.values():
            if track.shape != target.shape:
                raise InputError(f"oracle: expected {len(track)} frames as the tracks have, got {len(target)}")
        # A track that never meets the target can only lower J.
        left = {n: track for n, track in tracks.items() if (track & target).any()}
        chosen: list[int] = []
        union = np.zeros_like(target)
        best = _mean_j(union, target)
        while left:
            values = {n: _mean_j(union | track, target) for n, track in left.items()}
            winner = max(values, key=values.__getitem__)
            if values[winner] <= best:
                break
            best = values[winner]
            chosen.append(winner)
            union = union | left.pop(winner)
        return chosen, union


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
