"""Where the expressions of a batch lie: rows of one video each, so that what is read of a video is never copied.

Knows which expression is about which video. Does not know tensors' insides.
Axis letters: B expressions, V rows (a video that many ask about may have several), G cells of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

READING = 4
"""What reading a video costs, in answers to one expression: how long rows are decided by it, and not what comes out."""


POOL = 32
"""Batches whose videos are put in order together; the more, the less padding and chance there is in a batch."""
ROWS, TRACKS, FRAMES = 8, 4, 16
"""Multiples of rows, tracks and frames that batches of few shapes have."""


@dataclass(frozen=True)
class Grid:
    """videos [V]: of each row.   members [V, G]: places in the batch; a short row repeats its first to fill up.

    cells [B]: where in V * G each expression of the batch lies.
    """

    videos: NDArray[np.int64]
    members: NDArray[np.int64]
    cells: NDArray[np.int64]


def arrange(numbers: NDArray[np.int64], length: int = 0) -> Grid:
    """The cheapest grid of expressions about the videos `numbers` [B], in rows of rising video numbers.

    length: cells of a row; then the rows are a multiple of ROWS, the last one repeated, so that few shapes come about.
    """
    order = np.argsort(numbers, kind="stable")
    videos, starts, counts = np.unique(numbers[order], return_index=True, return_counts=True)
    lengths = np.array([length]) if length else np.arange(1, counts.max() + 1)
    rows = -(-counts[:, None] // lengths)  # [videos, lengths]
    best = int(np.argmin(rows.sum(0) * (lengths + READING)))
    rows, cells_of_row = rows[:, best], int(lengths[best])
    within = np.arange(len(numbers)) - np.repeat(starts, counts)
    first = np.repeat(np.cumsum(rows) - rows, counts)
    cells = np.empty(len(numbers), dtype=np.int64)
    cells[order] = first * cells_of_row + within
    members = np.full(int(rows.sum()) * cells_of_row, -1, dtype=np.int64)
    members[cells] = np.arange(len(numbers))
    grid = members.reshape(-1, cells_of_row)
    grid, named = np.where(grid < 0, grid[:, :1], grid), np.repeat(videos, rows)
    if length:
        more = -len(grid) % ROWS
        grid, named = np.concatenate([grid, *[grid[-1:]] * more]), np.concatenate([named, *[named[-1:]] * more])
    return Grid(named, grid, cells)


def alike(sizes: NDArray[np.int64], batch: int) -> NDArray[np.intp]:
    """An order of videos of tracks and frames `sizes` [G, 2] in which neighbours, `batch` at a time, pad little.

    The best of a few: by size, or by frames within strips of like numbers of tracks, better the more both vary.
    """
    tracks, frames = sizes.T
    orders = [np.argsort(tracks * frames, kind="stable")]
    by_tracks = np.argsort(tracks, kind="stable")
    for strips in (1, 2, 4, 8):
        parts = np.array_split(by_tracks, strips)
        orders.append(np.concatenate([part[np.argsort(frames[part], kind="stable")] for part in parts]))
    starts = np.arange(0, len(sizes), batch)
    costs = [np.maximum.reduceat(sizes[order], starts).prod(1).sum() for order in orders]
    return orders[int(np.argmin(costs))]


def put(array: NDArray[np.int64], device: torch.device) -> Tensor:
    """The array on the device, without waiting for what the device still has to do."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
