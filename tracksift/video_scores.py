"""J&F of choices of one video's tracks: any choice, the oracle's, and the best cut through an order of tracks.

Knows masks, the metrics and who may compete. Does not know models or scores. N tracks, T frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.mevis_score import ExpressionScore, score_expression
from benchmarks.metrics.oracle import Oracle
from core import rle
from core.candidates import competing
from core.types import Expression, TrackSet

Areas = NDArray[np.int64]
Target = tuple[bytes, ...]
_FOREIGN = 0.5  # a track with less of itself in the target mostly covers something else


class VideoScorer:
    """Scores choices of one video's tracks; whatever was asked about the same target before is remembered."""

    def __init__(self, track_set: TrackSet) -> None:
        self._tracks = track_set
        self._size = track_set.video.size
        self._oracle = Oracle([track.masks for track in track_set.tracks], self._size)
        self._known: dict[tuple[frozenset[int], Target], ExpressionScore] = {}
        self._best: dict[tuple[tuple[int, ...], Target], tuple[int, ...]] = {}
        self._alone: dict[tuple[int, Target], tuple[float, float]] = {}

    def score(self, chosen: Iterable[int], target: tuple[bytes, ...], expression: Expression) -> ExpressionScore:
        """The score of the union of the chosen tracks against `target`, T COCO masks."""
        key = (frozenset(chosen), target)
        if key not in self._known:
            masks = [self._tracks.tracks[i].masks for i in sorted(key[0])]
            union = [rle.union([m[t] for m in masks], self._size) for t in range(len(target))]
            self._known[key] = score_expression(
                rle.decode(union, self._size), rle.decode(target, self._size), no_target=not expression.target_ids
            )
        return replace(self._known[key], kind=expression.kind)

    def oracle(self, target: tuple[bytes, ...], expression: Expression) -> tuple[int, ...]:
        """The best choice among the tracks that may compete."""
        key = (tuple(int(i) for i in competing(self._tracks, expression.id)), target)
        if key not in self._best:
            self._best[key] = self._oracle.choose(target, among=list(key[0]))
        return self._best[key]

    def best_cut(self, order: Sequence[int], target: tuple[bytes, ...]) -> tuple[int, ...]:
        """How far an order of tracks is right: its prefix whose union has the highest mean J, the shortest of equals.

        Only prefixes before the first track that mostly covers something else: a threshold that takes a wrong track for
        the right one behind it would be no better threshold.
        """
        union = tuple(rle.union([], self._size) for _ in target)
        best, length = mean_j(union, target, self._size), 0
        for count, index in enumerate(order, start=1):
            if self.precision(index, target) < _FOREIGN:
                break
            pairs = zip(union, self._tracks.tracks[index].masks, strict=True)
            union = tuple(rle.union(pair, self._size) for pair in pairs)
            value = mean_j(union, target, self._size)
            if value > best:
                best, length = value, count
        return tuple(order[:length])

    def precision(self, index: int, target: tuple[bytes, ...]) -> float:
        """Share of a track's pixels in all frames that lie in the target, 0..1; 1 for a track without any."""
        return self._of_one(index, target)[0]

    def overlap(self, index: int, target: tuple[bytes, ...]) -> float:
        """Mean J of one track alone."""
        return self._of_one(index, target)[1]

    def _of_one(self, index: int, target: Target) -> tuple[float, float]:
        """Precision and mean J of a track alone."""
        if (index, target) not in self._alone:
            area, overlap, union = _areas(self._tracks.tracks[index].masks, target, self._size)
            precision = float(overlap.sum() / area.sum()) if area.any() else 1.0
            self._alone[index, target] = precision, _mean_ratio(overlap, union)
        return self._alone[index, target]


def mean_j(masks: Sequence[bytes], target: Sequence[bytes], size: rle.Size) -> float:
    """Mean over frames of intersection over union of two lists of T COCO masks; 1 where both are empty."""
    _, overlap, union = _areas(masks, target, size)
    return _mean_ratio(overlap, union)


def _mean_ratio(overlap: Areas, union: Areas) -> float:
    return float(np.where(union == 0, 1.0, overlap / np.maximum(union, 1)).mean())


def _areas(masks: Sequence[bytes], target: Sequence[bytes], size: rle.Size) -> tuple[Areas, Areas, Areas]:
    """Pixels [T] of the masks, of their overlap with the target, and of the union of both."""
    area = rle.areas(masks, size)
    union = rle.areas([rle.union(pair, size) for pair in zip(masks, target, strict=True)], size)
    return area, area + rle.areas(target, size) - union, union
