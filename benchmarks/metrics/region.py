"""J, region similarity: the overlap of two masks in each frame.

Knows masks. Does not know videos or aggregation. T frames.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.bits import Masks, Words, count, pack
from core.errors import InputError


def region_similarity(predicted: Masks, truth: Masks) -> NDArray[np.float64]:
    """Intersection over union of each frame, [T] in 0..1; 1 where both are empty (DAVIS, `db_eval_iou`).

    Raises:
        InputError: when the two are not masks [T, H, W] of one shape.
    """
    check_pair(predicted, truth)
    return overlap(pack(predicted), pack(truth))


def overlap(predicted: Words, truth: Words) -> NDArray[np.float64]:
    """J of packed masks, [T]."""
    union = count(predicted | truth)
    return np.where(union == 0, 1.0, count(predicted & truth) / np.maximum(union, 1))


def check_pair(predicted: Masks, truth: Masks) -> None:
    """Refuse masks that cannot be compared pixel by pixel; predictions of another size are to be resized first."""
    for name, masks in (("predicted", predicted), ("true", truth)):
        if masks.dtype != np.bool_ or masks.ndim != 3:
            raise InputError(f"{name} masks: expected bool [T, H, W], got {masks.dtype} {list(masks.shape)}")
    if predicted.shape != truth.shape:
        raise InputError(
            f"masks: expected predicted and true ones of one shape, got {predicted.shape} and {truth.shape}"
        )
