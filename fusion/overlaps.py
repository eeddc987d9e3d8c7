"""Tracks that overlap: which are one object, and whose a pixel is.

Knows masks as COCO run lengths. Does not know scores; whoever comes first is the better one. T frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core import rle
from core.types import Track

Masks = Sequence[bytes]


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
    pairs = [
        [track.masks[t] if track.present[t] else empty for track in (first, second)] for t in frames.tolist()
    ]  # fmt: skip
    union = rle.areas([rle.union(pair, size) for pair in pairs], size)
    both = rle.areas([mask for pair in pairs for mask in pair], size).reshape(-1, 2).sum(axis=1) - union
    return float((both / np.maximum(union, 1)).mean())


def disjoint(tracks: Sequence[Masks], size: rle.Size) -> list[tuple[bytes, ...]]:
    """Masks of tracks, best first, in which no pixel of a frame belongs to two: it is the better one's."""
    out = [tuple(masks) for masks in tracks[:1]]
    for masks in tracks[1:]:
        taken = [rle.union([better[t] for better in out], size) for t in range(len(masks))]
        whole = [rle.union([mask, other], size) for mask, other in zip(masks, taken, strict=True)]
        alone = rle.areas(taken, size) + rle.areas(masks, size) == rle.areas(whole, size)
        out.append(
            tuple(
                mask if free else _without(mask, other, size)
                for mask, other, free in zip(masks, taken, alone.tolist(), strict=True)
            )
        )
    return out


def _without(mask: bytes, other: bytes, size: rle.Size) -> bytes:
    pixels = rle.decode([mask, other], size)  # [2, H, W]
    return rle.encode(pixels[:1] & ~pixels[1:])[0]
