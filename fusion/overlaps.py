"""Tracks that overlap: which are one object, and whose a pixel is.

Knows masks as COCO run lengths. Does not know scores; whoever comes first is the better one. T frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core import rle
from core.types import Track

Masks = Sequence[bytes]
Boxes = NDArray[np.float32]


def distinct(tracks: Sequence[Track], order: Sequence[int], same_iou: float) -> tuple[int, ...]:
    """The indices of `order` without those whose masks overlap an earlier one's by more than `same_iou`."""
    kept: list[int] = []
    for index in order:
        if same_iou >= 1 or all(mean_iou(tracks[index], tracks[other]) <= same_iou for other in kept):
            kept.append(index)
    return tuple(kept)


def mean_iou(first: Track, second: Track) -> float:
    """Mean over the frames where either is present of the IoU of their masks; 0 where neither ever is."""
    frames = np.flatnonzero(first.present | second.present)
    if not (first.present & second.present).any():
        return 0.0
    size, empty = first.size, rle.union([], first.size)
    pairs = [[track.masks[t] if track.present[t] else empty for track in (first, second)] for t in frames.tolist()]
    union = rle.areas([rle.union(pair, size) for pair in pairs], size)
    both = rle.areas([mask for pair in pairs for mask in pair], size).reshape(-1, 2).sum(axis=1) - union
    return float((both / np.maximum(union, 1)).mean())


def disjoint(masks: Sequence[Masks], boxes: Sequence[Boxes], size: rle.Size) -> list[tuple[bytes, ...]]:
    """Masks of tracks, best first, in which no pixel of a frame belongs to two: it is the better one's.

    boxes: [T, 4] of each track, around its masks; where two do not meet, nothing needs to be compared.
    """
    out: list[tuple[bytes, ...]] = []
    for number, own in enumerate(masks):
        cut = list(own)
        meets = np.zeros((number, len(own)), dtype=bool)
        for other in range(number):
            meets[other] = _meet(boxes[number], boxes[other])
        for t in np.flatnonzero(meets.any(axis=0)).tolist():
            better = rle.union([masks[other][t] for other in np.flatnonzero(meets[:, t]).tolist()], size)
            cut[t] = rle.without(own[t], better, size)
        out.append(tuple(cut))
    return out


def _meet(first: Boxes, second: Boxes) -> NDArray[np.bool_]:
    """[T]: where two boxes have a common pixel; not where either is absent."""
    low, high = np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])
    return np.asarray((low < high).all(axis=1))
