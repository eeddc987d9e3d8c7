"""J and F as the DAVIS definition reads, word for word and frame by frame: the yardstick of tests and of speed.

Shares nothing with the metrics that are used: the disk, the outline and the growing of the whole frame are written out.
Knows masks of one frame, [H, W] bool, trusted to be of one shape.
"""

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]  # [H, W]


def literal_j(predicted: Mask, truth: Mask, void: Mask | None = None) -> float:
    """Intersection over union without the void pixels; 1 where the union is empty."""
    void = np.zeros_like(truth) if void is None else void
    intersection = np.sum(predicted & truth & ~void)
    union = np.sum((predicted | truth) & ~void)
    return 1.0 if union == 0 else float(intersection / union)


def literal_f(predicted: Mask, truth: Mask, void: Mask | None = None) -> float:
    """Harmonic mean of the matched shares of both outlines, found without the void pixels."""
    void = np.zeros_like(truth) if void is None else void
    radius = int(np.ceil(0.008 * np.linalg.norm(truth.shape)))
    found, true = outline_map(predicted & ~void), outline_map(truth & ~void)
    n_found, n_true = found.sum(), true.sum()
    if n_found == 0 and n_true > 0:
        precision, recall = 1.0, 0.0
    elif n_found > 0 and n_true == 0:
        precision, recall = 0.0, 1.0
    elif n_found == 0 and n_true == 0:
        precision, recall = 1.0, 1.0
    else:
        precision = float((found & grow(true, disk(radius))).sum() / n_found)
        recall = float((true & grow(found, disk(radius))).sum() / n_true)
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def outline_map(mask: Mask) -> Mask:
    """Pixels that differ from the right, lower or lower right one; last row and column apart, the corner never."""
    right, lower, corner = np.zeros_like(mask), np.zeros_like(mask), np.zeros_like(mask)
    right[:, :-1] = mask[:, 1:]
    lower[:-1, :] = mask[1:, :]
    corner[:-1, :-1] = mask[1:, 1:]
    found: Mask = (mask ^ right) | (mask ^ lower) | (mask ^ corner)
    found[-1, :] = mask[-1, :] ^ right[-1, :]
    found[:, -1] = mask[:, -1] ^ lower[:, -1]
    found[-1, -1] = False
    return found


def disk(radius: int) -> Mask:
    """All offsets of a length of at most `radius`, as a square array."""
    across = np.arange(-radius, radius + 1)
    x, y = np.meshgrid(across, across)
    inside: Mask = x**2 + y**2 <= radius**2
    return inside


def grow(mask: Mask, element: Mask) -> Mask:
    """The whole frame grown by `element`: one moved copy of it for each set offset."""
    radius, (height, width) = element.shape[0] // 2, mask.shape
    padded = np.pad(mask, radius)
    grown = np.zeros_like(mask)
    for dy, dx in np.argwhere(element):
        grown |= padded[dy : dy + height, dx : dx + width]
    return grown
