"""A box that is pointed at, as one vector: where it lies, and how the patches look that it covers in its frame.

Knows tensors. Does not know layouts or language models. Axis letters: R regions, P patches, W width of the front end's
patches, X boxes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

OCTAVES = 6
WAVES = 8 * OCTAVES
"""Width of what `waves` makes of a box."""


class Regions(nn.Module):
    """One Linear of place and one of looks, added, and a second layer; [R, ..] -> [R, H]."""

    def __init__(self, width: int, channels: int) -> None:
        """width: H.   channels: W."""
        super().__init__()
        self.place, self.looks = nn.Linear(WAVES, width), nn.Linear(channels, width)
        self.leave = nn.Sequential(nn.GELU(), nn.Linear(width, width))

    def forward(self, boxes: Tensor, patches: Tensor) -> Tensor:
        """Vectors of boxes [R, 4] (shares of the picture) over the patches [R, P, W] of each one's own frame."""
        shares = covered(boxes, patches.shape[1]).to(patches.dtype)
        looks = (shares[:, None] @ patches).squeeze(1)
        return torch.as_tensor(self.leave(self.place(waves(boxes)) + self.looks(looks)))


def covered(boxes: Tensor, patches: int) -> Tensor:
    """The share of each box [R, 4] that lies on each patch of a square grid, [R, P], rows that sum to 1.

    Patches that are no square grid share alike.
    """
    side = math.isqrt(patches)
    if side**2 != patches:
        return boxes.new_full((len(boxes), patches), 1 / patches)
    edges = torch.linspace(0, 1, side + 1, device=boxes.device)
    low, high = boxes[:, :2, None].maximum(edges[:-1]), boxes[:, 2:, None].minimum(edges[1:])
    x, y = (high - low).clamp(min=0).unbind(1)  # [R, side] each
    areas = (y[:, :, None] * x[:, None]).flatten(1)
    return areas / areas.sum(1, keepdim=True).clamp(min=1e-9)


def waves(boxes: Tensor) -> Tensor:
    """Sines and cosines [X, WAVES] of the centres and sides of boxes [X, 4] (shares of the picture)."""
    centre, side = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    rates = math.pi * 2.0 ** torch.arange(OCTAVES, device=boxes.device)
    angles = (torch.cat([centre, side], -1)[..., None] * rates).flatten(1)
    return torch.cat([angles.sin(), angles.cos()], -1)
