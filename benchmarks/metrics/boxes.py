"""Boxes as tracking benchmarks store them: x, y, w, h in pixels.

Knows arrays. Does not know metrics. T frames.
"""

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]  # [T, 4], x y w h


def box_iou(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Intersection over union of boxes x y w h frame by frame, [T] in 0..1; 0 where there is no area or a NaN."""
    corner = np.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
    side = np.clip(corner - np.maximum(first[:, :2], second[:, :2]), 0, None)
    common = side.prod(axis=1)
    union = first[:, 2:].clip(0, None).prod(axis=1) + second[:, 2:].clip(0, None).prod(axis=1) - common
    iou: NDArray[np.float64] = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return iou


def from_corners(boxes: NDArray[np.floating]) -> Boxes:
    """Boxes x1 y1 x2 y2 with exclusive ends, as `core` has them -> x y w h, [T, 4]; NaN stays NaN."""
    wide = boxes.astype(np.float64)
    return np.concatenate([wide[:, :2], wide[:, 2:] - wide[:, :2]], axis=1)


def form(array: NDArray[np.generic]) -> str:
    """Type and shape, for messages."""
    return f"{array.dtype} {list(array.shape)}"
