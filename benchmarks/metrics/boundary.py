"""F, boundary accuracy: how well two outlines match within a few pixels.

The definition is that of the DAVIS benchmark (Perazzi et al., CVPR 2016; `db_eval_boundary`): an outline pixel is
matched when the other outline comes within `tolerance` of it. Knows masks. Does not know videos or
aggregation. T frames, P words of a row (`bits`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.bits import WORD, Masks, Words, count, neighbours_right, pack, widen, without_last_column
from benchmarks.metrics.region import check_pair, overlap

BOUND = 0.008  # of the frame's diagonal
_CHUNK = 1 << 17  # bytes of packed frames that are worked on at once, so that they stay in a core's own memory


class Outlines(NamedTuple):
    """Outlines of T masks and all that lies within reach of them, [T, H, P] each, and the outlines' pixels [T]."""

    bits: Words
    reach: Words
    length: NDArray[np.int64]


def tolerance(height: int, width: int) -> int:
    """Pixels within which outlines match: 8 for 480x854."""
    return math.ceil(BOUND * math.hypot(height, width))


def boundary_f(predicted: Masks, truth: Masks) -> NDArray[np.float64]:
    """F of each frame, [T] in 0..1: the harmonic mean of the matched shares of both outlines.

    1 where neither has an outline, 0 where only one has. A mask that fills the frame has no outline.

    Raises:
        InputError: when the two are not masks [T, H, W] of one shape.
    """
    return region_and_boundary(predicted, truth)[1]


def region_and_boundary(predicted: Masks, truth: Masks) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """J and F of each frame, [T] each, for little more than one of them costs.

    Raises:
        InputError: when the two are not masks [T, H, W] of one shape.
    """
    check_pair(predicted, truth)
    if not len(truth):
        return np.zeros(0), np.zeros(0)
    radius = tolerance(*truth.shape[1:])
    packed = pack(predicted, radius), pack(truth, radius)
    return overlap(*packed), packed_f(*packed, truth.shape[2], radius)


def packed_f(predicted: Words, truth: Words, width: int, radius: int) -> NDArray[np.float64]:
    """F of masks of `width` pixels a row, packed with `radius` spare bits, [T].

    Works on a few frames at a time, within the rows and words in use.
    """
    edge = without_last_column(width, truth.shape[2])
    step = max(1, _CHUNK // max(1, truth[:1].nbytes))
    parts = []
    for start in range(0, len(truth), step):
        chunk = predicted[start : start + step], truth[start : start + step]
        rows, columns = _window(np.bitwise_or.reduce(chunk[0] | chunk[1], axis=0), radius)
        cut = (np.ascontiguousarray(words[:, rows, columns]) for words in chunk)
        parts.append(outline_f(*(outlines(words, edge[columns], radius) for words in cut)))
    return np.concatenate(parts)


def outlines(words: Words, edge: Words, radius: int) -> Outlines:
    """Outlines of packed masks [T, H, P] and what lies within `radius` pixels of them.

    words: with at least `radius` spare bits a row.   edge: [P], all columns but the last.

    An outline pixel differs from its right, lower or lower right neighbour: the outline thus lies half a pixel up and
    left. The last row looks only right, the last column only down, and the last pixel never belongs to it.
    """
    right = neighbours_right(words)
    bits = (words ^ right) & edge
    bits[:, :-1] |= words[:, :-1] ^ words[:, 1:]
    bits[:, :-1] |= (words[:, :-1] ^ right[:, 1:]) & edge
    return Outlines(bits, _dilate(bits, radius), count(bits))


def outline_f(predicted: Outlines, truth: Outlines) -> NDArray[np.float64]:
    """F of two sets of outlines, [T]."""
    precision = count(predicted.bits & truth.reach) / np.maximum(predicted.length, 1)
    recall = count(truth.bits & predicted.reach) / np.maximum(truth.length, 1)
    total = precision + recall
    f = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return np.where((predicted.length > 0) & (truth.length > 0), f, predicted.length == truth.length)


def _window(used: Words, radius: int) -> tuple[slice, slice]:
    """Rows and words that hold every set pixel of [H, P], with room around; empty for none.

    One row around, since beyond it there is no outline and the edge rules of `outlines` see no change; words for
    `radius` bits around, where there are so many, since `widen` needs them.
    """
    rows, columns = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    room = -(-radius // WORD)
    return slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(columns[0] - room, 0), columns[-1] + 1 + room)


def _dilate(bits: Words, radius: int) -> Words:
    """`bits` [T, H, P] grown by the disk of all offsets of length <= radius.

    The disk is a stack of rows: `wide` grows to the row's half width, then is moved up and down by its height.
    """
    height = bits.shape[1]
    grown, wide, reach = np.zeros_like(bits), bits, 0
    for dy in range(radius, -1, -1):
        half = math.isqrt(radius * radius - dy * dy)
        while reach < half:
            step = min(half - reach, 2 * reach + 1, WORD - 1)  # further would leave gaps
            wide, reach = widen(wide, step), reach + step
        if dy < height:
            grown[:, dy:] |= wide[:, : height - dy]
            grown[:, : height - dy] |= wide[:, dy:]
    return grown
