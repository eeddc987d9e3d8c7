"""Overlap of time windows.

Knows pairs of seconds. Does not know queries or datasets. N and M windows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.validators import check_array, check_finite

Windows = NDArray[np.float64]  # [N, 2], start and end in seconds


def as_windows(name: str, windows: Windows) -> Windows:
    """`windows` as [N, 2] float64, an empty list included; InputError for other shapes and for numbers not finite.

    Windows that end before they start are let through: a model may say them, and they overlap nothing.
    """
    array = np.asarray(windows, dtype=np.float64)
    if array.size == 0:
        return np.zeros((0, 2))
    check_array(name, array, [None, 2], "f")
    check_finite(name, array)
    return array


def overlap(first: Windows, second: Windows) -> NDArray[np.float64]:
    """Intersection over union of every pair, [N, M] in 0..1; 0 for a window that does not last or is reversed.

    Evaluators that divide by the hull (max end - min start) give the same: where two windows meet, the hull is the
    union, and where they do not, the intersection is 0.
    """
    starts = np.maximum(first[:, None, 0], second[None, :, 0])
    ends = np.minimum(first[:, None, 1], second[None, :, 1])
    shared = np.maximum(ends - starts, 0.0)  # [N, M]
    hull = np.maximum(first[:, None, 1], second[None, :, 1]) - np.minimum(first[:, None, 0], second[None, :, 0])
    iou: NDArray[np.float64] = np.divide(shared, hull, out=np.zeros_like(shared), where=shared > 0)
    return iou
