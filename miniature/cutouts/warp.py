"""Sampling of pictures through moving and bending grids: what turns a still piece into frames.

Knows tensors, poses and bends. Does not know photographs or objects.

Grids are computed on every STEP-th pixel and interpolated between; the part of a grid that a matrix gives is exact
under that, and bends are smooth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from miniature.cutouts.motion import Array, Bend

STEP = 8


@dataclass(frozen=True)
class Windows:
    """One square window of the screen a frame: left and top int [T] in pixels, which may lie outside; side, a multiple
    of STEP."""

    left: NDArray[np.int64]
    top: NDArray[np.int64]
    side: int


def whole(frames: int, side: int) -> Windows:
    """The whole screen in every frame."""
    zeros = np.zeros(frames, dtype=np.int64)
    return Windows(zeros, zeros, side)


def around(matrices: Array, half: tuple[float, float], side: int) -> Windows:
    """Windows about a thing of half width and half height `half`, under the poses [T, 3, 3]; the whole screen where
    the thing is nearly as large."""
    corners = np.array([[x * half[0], y * half[1], 1] for x in (-1, 1) for y in (-1, 1)]).T
    placed = (matrices @ corners)[:, :2]  # [T, 2, 4]
    extent = int(np.ceil((placed.max(-1) - placed.min(-1)).max())) + 4
    extent = -(-extent // STEP) * STEP
    if extent >= 0.9 * side:
        return whole(len(matrices), side)
    corner = np.floor((placed.max(-1) + placed.min(-1)) / 2 - extent / 2).astype(np.int64)
    return Windows(corner[:, 0], corner[:, 1], extent)


def lattice(windows: Windows) -> Array:
    """Screen coordinates [T, n, n, 3] of the windows' nodes, the last entry 1; nodes are pixels' centres, at a half."""
    node = np.arange(windows.side // STEP + 1) * STEP + 0.5
    out = np.ones((len(windows.left), len(node), len(node), 3))
    out[..., 0] = (windows.left[:, None] + node)[:, None, :]
    out[..., 1] = (windows.top[:, None] + node)[:, :, None]
    return out


def through(nodes: Array, matrices: Array, time: Array, bends: Bend | None, half: tuple[float, float]) -> Tensor:
    """Where in a picture every pixel of a window looks, as `grid_sample` takes it: float [T, side, side, 2].

    nodes: [T, n, n, 3] of `lattice`.   matrices: [T, 3, 3] from the screen to the picture's own units.   half: half
    width and half height of the picture in those units.
    """
    places = np.einsum("tij,tyxj->tyxi", matrices[:, :2], nodes)
    if bends is not None:
        places = places + bends.at(time, places)
    grid = torch.from_numpy(places / np.array(half)).float().permute(0, 3, 1, 2)  # [T, 2, n, n]
    count = (nodes.shape[1] - 1) * STEP
    fine = F.interpolate(grid, (count + 1, count + 1), mode="bilinear", align_corners=True)
    return fine[..., :count, :count].permute(0, 2, 3, 1)


def sample(picture: Tensor, grid: Tensor, *, nearest: bool = False, mirror: bool = False) -> Tensor:
    """A picture [C, h, w] through a grid [T, H, W, 2]: [T, C, H, W]; outside 0, or the picture mirrored."""
    return F.grid_sample(
        picture.expand(len(grid), *picture.shape),
        grid,
        mode="nearest" if nearest else "bilinear",
        padding_mode="reflection" if mirror else "zeros",
        align_corners=False,
    )
