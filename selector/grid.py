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


@dataclass(frozen=True)
class Grid:
    """videos [V]: of each row.   members [V, G]: places in the batch; a short row repeats its first to fill up.

    cells [B]: where in V * G each expression of the batch lies.
    """

    videos: NDArray[np.int64]
    members: NDArray[np.int64]
    cells: NDArray[np.int64]


def arrange(numbers: NDArray[np.int64]) -> Grid:
    """The cheapest grid of expressions about the videos `numbers` [B], in rows of rising video numbers."""
    order = np.argsort(numbers, kind="stable")
    videos, starts, counts = np.unique(numbers[order], return_index=True, return_counts=True)
    lengths = np.arange(1, counts.max() + 1)
    rows = -(-counts[:, None] // lengths)  # [videos, lengths]
    length = int(lengths[np.argmin(rows.sum(0) * (lengths + READING))])
    rows = rows[:, length - 1]
    within = np.arange(len(numbers)) - np.repeat(starts, counts)
    first = np.repeat(np.cumsum(rows) - rows, counts)
    cells = np.empty(len(numbers), dtype=np.int64)
    cells[order] = first * length + within
    members = np.full(int(rows.sum()) * length, -1, dtype=np.int64)
    members[cells] = np.arange(len(numbers))
    grid = members.reshape(-1, length)
    return Grid(np.repeat(videos, rows), np.where(grid < 0, grid[:, :1], grid), cells)


def put(array: NDArray[np.int64], device: torch.device) -> Tensor:
    """The array on the device, without waiting for what the device still has to do."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
