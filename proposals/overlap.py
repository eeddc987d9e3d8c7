"""Overlaps of run-length masks and of whole tracks, without decoding.

Knows COCO masks. Does not know prompts or trackers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from core import rle
from core.types import Track


def iou_matrix(first: Sequence[bytes], second: Sequence[bytes], size: rle.Size) -> NDArray[np.float64]:
    """IoU of every mask of `first` with every one of `second`, [A, B]; 0 where both are empty."""
    if not first or not second:
        return np.zeros((len(first), len(second)))
    a, b = ([{"size": list(size), "counts": c} for c in counts] for counts in (first, second))
    return np.asarray(coco.iou(a, b, [0] * len(b)), dtype=np.float64)


def track_iou(tracks: Sequence[Track]) -> NDArray[np.float64]:
    """Mean IoU of every two tracks [N, N] over the frames where at least one shows; 0 where none ever does.

    Frames where both are absent say nothing about sameness: two strangers that show briefly would agree there.
    """
    count = len(tracks)
    total, frames = np.zeros((count, count)), np.zeros((count, count))
    if not tracks:
        return total
    shows = ~np.isnan(np.stack([track.boxes[:, 0] for track in tracks]))  # [N, T]
    for t in range(shows.shape[1]):
        here = np.flatnonzero(shows[:, t]).tolist()
        masks = [tracks[i].masks[t] for i in here]
        total[np.ix_(here, here)] += iou_matrix(masks, masks, tracks[0].size)
        frames += shows[:, t, None] | shows[None, :, t]
    return np.divide(total, frames, out=np.zeros_like(total), where=frames > 0)


def distinct(tracks: Sequence[Track], limit: float) -> list[Track]:
    """Tracks that overlap no better one by more than `limit`, in their order.

    Better is a higher predicted IoU, averaged over the frames where the track shows; of equals, the earlier one.
    Tracks that never show are dropped.
    """
    quality = [float(t.predicted_iou[t.present].mean()) if t.present.any() else -1.0 for t in tracks]
    overlap = track_iou(tracks)
    kept: list[int] = []
    for i in sorted(range(len(tracks)), key=lambda i: -quality[i]):
        if quality[i] >= 0 and not (overlap[i, kept] > limit).any():
            kept.append(i)
    return [tracks[i] for i in sorted(kept)]
