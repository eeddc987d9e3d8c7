"""F, boundary accuracy: how well two outlines match within a few pixels.

The definition is that of the DAVIS benchmark (Perazzi et al., CVPR 2016; `db_eval_boundary`): an outline pixel is
matched when the other outline comes within `tolerance` of it. Knows masks. Does not know videos or
aggregation. T frames.
"""

import math

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.region import Masks, check_pair

BOUND = 0.008  # of the frame's diagonal


def tolerance(height: int, width: int) -> int:
    """Pixels within which outlines match: 8 for 480x854."""
    return math.ceil(BOUND * math.hypot(height, width))


def boundary_f(predicted: Masks, truth: Masks) -> NDArray[np.float64]:
    """F of each frame, [T] in 0..1: the harmonic mean of the matched shares of both outlines.

    1 where neither has an outline, 0 where only one has. A mask that fills the frame has no outline.

    Raises:
        InputError: when the two are not masks [T, H, W] of one shape.
    """
    check_pair(predicted, truth)
    radius = tolerance(*truth.shape[1:])
    # One pixel around all that is set: beyond it there is no outline, and the edge rules of `outline` see no change.
    used: NDArray[np.bool_] = np.logical_or.reduce(predicted | truth, axis=0)
    rows, columns = _window(used, margin=1)
    pairs = zip(outline(predicted[:, rows, columns]), outline(truth[:, rows, columns]), strict=True)
    return np.array([_frame_f(p, t, radius) for p, t in pairs], dtype=np.float64)


def outline(masks: Masks) -> Masks:
    """Pixels that differ from their right, lower or lower right neighbour, [T, H, W].

    The outline thus lies half a pixel up and left; the last row looks only right, the last column only down, and the
    last pixel never belongs to it.
    """
    right = masks[:, :, :-1] ^ masks[:, :, 1:]  # [T, H, W-1]
    below = masks[:, :-1, :] ^ masks[:, 1:, :]  # [T, H-1, W]
    found = np.zeros_like(masks)
    found[:, :, :-1] = right
    found[:, :-1, :] |= below
    found[:, :-1, :-1] |= masks[:, :-1, :-1] ^ masks[:, 1:, 1:]
    return found


def _frame_f(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], radius: int) -> float:
    """F of two outlines [H, W]."""
    n_predicted, n_truth = np.count_nonzero(predicted), np.count_nonzero(truth)
    if not n_predicted or not n_truth:
        return float(n_predicted == n_truth)
    window = _window(predicted | truth)  # nothing outside can match or be matched
    predicted, truth = predicted[window], truth[window]
    precision = np.count_nonzero(predicted & _dilate(truth, radius)) / n_predicted
    recall = np.count_nonzero(truth & _dilate(predicted, radius)) / n_truth
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _window(used: NDArray[np.bool_], margin: int = 0) -> tuple[slice, slice]:
    """Rows and columns that hold every set pixel of [H, W], with a margin inside the frame; empty for none."""
    rows, columns = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    top, left = max(rows[0] - margin, 0), max(columns[0] - margin, 0)
    return slice(top, rows[-1] + 1 + margin), slice(left, columns[-1] + 1 + margin)


def _dilate(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """`mask` [H, W] grown by the disk of all offsets of length <= radius.

    The disk is a stack of rows: `wide` grows to the row's half width, then is moved up and down by its height.
    """
    height, width = mask.shape
    grown, wide, reach = np.zeros_like(mask), mask.copy(), 0
    for dy in range(radius, -1, -1):
        half = math.isqrt(radius * radius - dy * dy)
        for dx in range(reach + 1, min(half, width - 1) + 1):
            wide[:, dx:] |= mask[:, : width - dx]
            wide[:, : width - dx] |= mask[:, dx:]
        reach = max(reach, half)
        if dy < height:
            grown[dy:] |= wide[: height - dy]
            grown[: height - dy] |= wide[dy:]
    return grown
