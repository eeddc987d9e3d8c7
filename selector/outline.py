"""What a mask tells beside its box: how its outline is turned, and how much of its place other masks take.

Knows COCO run lengths and boxes. Does not know caches, tensors or words. Axis letters: N tracks, T frames, R pieces of
a column of pixels that belong to a mask, M masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core import rle
from selector.settings import OUTLINE_WIDTH

ORDERS = (2, 3, 4, 5, 6)
"""Of the harmonics: a shape that looks the same after a turn by 360 / n degrees has one of order n, and none of most
others. A disc has none at all."""
AT_ONCE = 1 << 20  # pieces beside ellipses


@dataclass(frozen=True)
class _Pieces:
    """Pieces of columns: mask [R] that each belongs to, in rising order; x, top and bottom [R] in pixels, the bottom
    exclusive.   starts [M + 1]: where each mask's begin.
    """

    mask: NDArray[np.int64]
    x: NDArray[np.int64]
    top: NDArray[np.int64]
    bottom: NDArray[np.int64]
    starts: NDArray[np.int64]


def outline_numbers(
    masks: Sequence[Sequence[bytes]], boxes: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Eleven numbers a track and frame, [N, T, 11]; all 0 where a mask is empty.

    The harmonics of ORDERS, real and imaginary part of each, in -1..1: the integral of (w / r)^n over the mask, where w
    is a pixel's place from the mask's centre as a complex number (right real, up imaginary) and r the radius of a disc
    of the mask's area, over that of |w / r|^n over the disc. A turn by a counterclockwise turns it by n a, and the size
    does not matter. Then the share, 0..1, of the ellipse in the mask's box that other tracks' masks take and its own
    does not: what lies in front of it.

    masks: COCO counts of N tracks in T frames.   boxes: [N, T, 4] pixels, NaN where a mask is empty.   size: (H, W).
    """
    tracks, frames = boxes.shape[:2]
    pieces = _pieces([counts for track in masks for counts in track], size)
    numbers = np.zeros((tracks, frames, OUTLINE_WIDTH), dtype=np.float32)
    harmonics = _harmonics(pieces).reshape(tracks, frames, len(ORDERS))
    numbers[..., :-1:2], numbers[..., 1:-1:2] = harmonics.real, harmonics.imag
    numbers[..., -1] = _covered(masks, pieces, boxes.astype(np.float64), size)
    return numbers


def _pieces(counts: Sequence[bytes], size: tuple[int, int]) -> _Pieces:
    """The pieces of all masks, one after another; run lengths go down one column after another."""
    height, width = size
    runs, many = rle.run_lengths(counts)
    owner = np.repeat(np.arange(len(counts)), many)
    stop = np.cumsum(runs) - owner * (height * width)
    number = np.arange(len(runs)) - np.repeat(np.cumsum(many) - many, many)
    shown = (number % 2 == 1) & (runs > 0)
    owner, stop, start = owner[shown], stop[shown], (stop - runs)[shown]
    first = start // height
    columns = (stop - 1) // height - first + 1  # a run that ends at the bottom may go on at the next top
    at = np.repeat(np.arange(len(columns)), columns)
    x = first[at] + np.arange(len(at)) - np.repeat(np.cumsum(columns) - columns, columns)
    top, bottom = np.maximum(start[at] - x * height, 0), np.minimum(stop[at] - x * height, height)
    mask = owner[at]
    return _Pieces(mask, x, top, bottom, np.searchsorted(mask, np.arange(len(counts) + 1)))


def _harmonics(pieces: _Pieces) -> NDArray[np.complex128]:
    """[M, orders], at most 1 in size; 0 for empty masks.

    The integral of w^n over a rectangle is the sum of F = w^(n + 2) / (i (n + 1) (n + 2)) over its corners with
    alternating signs, since the derivative of F by x and y is w^n.
    """
    total, mask, high = len(pieces.starts) - 1, pieces.mask, (pieces.bottom - pieces.top).astype(np.float64)

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(mask, weights=values, minlength=total).astype(np.float64)

    area = np.maximum(summed(high), 1)
    centre_x, centre_y = summed((pieces.x + 0.5) * high) / area, summed((pieces.top + pieces.bottom) / 2 * high) / area
    radius = np.sqrt(area / np.pi)[mask]
    left, up, down = (
        (place - centre) / radius
        for place, centre in (
            (pieces.x, centre_x[mask]), (centre_y[mask], pieces.top), (centre_y[mask], pieces.bottom),
        )
    )  # fmt: skip
    right = left + 1 / radius
    corners = [(right + 1j * up, 1), (left + 1j * up, -1), (right + 1j * down, -1), (left + 1j * down, 1)]
    found = np.zeros((total, len(ORDERS)), dtype=np.complex128)
    for column, n in enumerate(ORDERS):
        whole = np.stack([sign * w ** (n + 2) for w, sign in corners]).sum(0) / (1j * (n + 1) * (n + 2))
        found[:, column] = (summed(whole.real) + 1j * summed(whole.imag)) * (n + 2) / (2 * np.pi)
    return found / np.maximum(np.abs(found), 1)


def _covered(
    masks: Sequence[Sequence[bytes]], pieces: _Pieces, boxes: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float64]:
    """[N, T]: the share of each ellipse that other masks take, less what the own mask has of these."""
    tracks, frames = boxes.shape[:2]
    taken = np.zeros(tracks * frames)
    seen, by = _meeting(boxes)  # masks by their number, N x T in all
    for some in np.array_split(np.arange(len(seen)), 1 + int(np.diff(pieces.starts)[by].sum()) // AT_ONCE):
        taken += np.bincount(seen[some], weights=_inside(pieces, boxes, seen[some], by[some]), minlength=len(taken))
    # Of the few that meet, the pixels that both have belong to the first: a track found twice hides nothing of itself.
    flat = [counts for track in masks for counts in track]
    shared = [rle.shared(flat[a], flat[b], size) for a, b in zip(seen, by, strict=True)]
    taken -= np.bincount(seen, weights=np.array(shared), minlength=len(taken))
    sides = np.nan_to_num(boxes[..., 2:] - boxes[..., :2])
    share: NDArray[np.float64] = taken.reshape(tracks, frames) / np.maximum(np.pi / 4 * sides.prod(-1), 1)
    return share.clip(0, 1)


def _meeting(boxes: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All ordered pairs of different tracks whose boxes overlap in a frame, by the numbers of their masks."""
    tracks, frames = boxes.shape[:2]
    pairs, others = [], ~np.eye(tracks, dtype=bool)
    for t in range(frames):
        low, high = boxes[:, t, :2], boxes[:, t, 2:]
        meet = (np.minimum(high[:, None], high) > np.maximum(low[:, None], low)).all(-1)  # NaN compares as False
        pairs.append(np.argwhere(meet & others) * frames + t)
    both = np.concatenate([np.zeros((0, 2), dtype=np.int64), *pairs])
    return both[:, 0], both[:, 1]


def _inside(
    pieces: _Pieces, boxes: NDArray[np.float64], seen: NDArray[np.int64], by: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Pixels of masks `by` in the ellipses in the boxes of masks `seen`, one of each pair."""
    many = pieces.starts[by + 1] - pieces.starts[by]
    pair = np.repeat(np.arange(len(by)), many)
    piece = pieces.starts[by][pair] + np.arange(len(pair)) - np.repeat(np.cumsum(many) - many, many)
    x1, y1, x2, y2 = boxes.reshape(-1, 4)[seen][pair].T
    across = (pieces.x[piece] + 0.5 - (x1 + x2) / 2) / ((x2 - x1) / 2)
    half = (y2 - y1) / 2 * np.sqrt(np.clip(1 - across**2, 0, None))
    middle = (y1 + y2) / 2
    long = np.minimum(pieces.bottom[piece], middle + half) - np.maximum(pieces.top[piece], middle - half)
    return np.bincount(pair, weights=long.clip(0), minlength=len(by)).astype(np.float64)
