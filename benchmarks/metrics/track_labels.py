"""Labels of tracks: how well each track covers each ground-truth object, the targets of the selector's training.

Follows SOLA's label rules: IoU, precision and recall in each frame, then means over all frames. Works on run lengths
without decoding. N tracks, O objects, T frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from core import rle
from core.errors import InputError
from core.types import Labels


def track_labels(tracks: Sequence[Sequence[bytes]], objects: Mapping[str, Sequence[bytes]], size: rle.Size) -> Labels:
    """Mean overlap of N tracks (T COCO masks each) with O objects (T COCO masks each) of `size`.

    In a frame where both are empty IoU, precision and recall are 1; where only the track is, 0, 1 and 0; where only the
    object is, 0, 0 and 1.

    Raises:
        InputError: when the numbers of frames differ.
    """
    lengths = {len(masks) for masks in (*tracks, *objects.values())}
    if len(lengths) > 1 or 0 in lengths:
        raise InputError(f"labels: expected tracks and objects of one number of frames, got {sorted(lengths)}")
    shape = (len(tracks), len(objects))
    totals = np.zeros((3, *shape))
    frames = lengths.pop() if min(shape) else 0
    for frame in range(frames):
        totals += _frame([t[frame] for t in tracks], [o[frame] for o in objects.values()], size)
    iou, precision, recall = (totals / max(frames, 1)).astype(np.float32)
    return Labels(tuple(objects), iou, precision, recall)


def _frame(tracks: list[bytes], objects: list[bytes], size: rle.Size) -> NDArray[np.float64]:
    """IoU, precision and recall of one frame, [3, N, O]."""
    track_area = rle.areas(tracks, size).astype(np.float64)[:, None]
    object_area = rle.areas(objects, size).astype(np.float64)[None, :]
    boxes = [[{"size": list(size), "counts": c} for c in group] for group in (tracks, objects)]
    iou = np.nan_to_num(np.asarray(coco.iou(*boxes, [0] * len(objects)), dtype=np.float64))  # 0/0 where both are empty
    overlap = iou * (track_area + object_area) / (1 + iou)
    no_track, no_object = track_area == 0, object_area == 0
    iou = np.where(no_track & no_object, 1.0, iou)
    precision = np.where(no_track, 1.0, overlap / np.maximum(track_area, 1))
    recall = np.where(no_object, 1.0, overlap / np.maximum(object_area, 1))
    # A rounding error above 1 would be refused as no probability.
    figures: NDArray[np.float64] = np.minimum(np.stack([iou, precision, recall]), 1.0)
    return figures
