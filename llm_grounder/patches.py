"""What is trained between a frozen encoder's patches and the compressor: it reads how patches lie beside each other.

A frozen encoder's patch says what colour something is, but the shape of a thing larger than a patch lies in the
layout of several, and what it does in several frames. Blocks of convolutions over the square grid and over a few
earlier frames read both; nothing looks ahead, so that streams see the same.
Knows tensors. Does not know encoders. Axis letters: N clips, T frames, P
patches, C width of the features, W of the front end.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import InputError

KERNEL = 3


class PlacedPatches(nn.Module):
    """Normalised features with a place each, and nothing more; [N, T, P, C] -> the same."""

    def __init__(self, channels: int, patches: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.place = nn.Parameter(torch.zeros(patches, channels))

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        return torch.as_tensor(self.norm(features)) + self.place


class PatchFrontEnd(nn.Module):
    """Normalised features with a place each, brought to a width, then `layers` residual blocks; [N, T, P, C] ->
    [N, T, P, W].

    Each block looks at the frames themselves and `past` before them.

    Raises:
        InputError: for blocks over patches that are no square grid.
    """

    def __init__(self, channels: int, width: int, layers: int, patches: int, past: int = 0) -> None:
        super().__init__()
        self.side = math.isqrt(patches)
        if layers and self.side**2 != patches:
            raise InputError(f"grounder settings: expected a square grid of patches for patch_layers, got {patches}")
        self.enter = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width))
        self.place = nn.Parameter(torch.zeros(patches, width))
        self.blocks = nn.ModuleList(_Block(width, past) for _ in range(layers))
        self.leave = nn.LayerNorm(width)

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        patches: Tensor = self.enter(features) + self.place
        for block in self.blocks:
            patches = block(patches, self.side)
        return torch.as_tensor(self.leave(patches))


class _Block(nn.Module):
    """x + two convolutions of the normalised x, the first over the frame and `past` before it, the second 3 x 3.

    Before the first frame there is nothing. Convolutions are dense: on a GPU these are quicker than depthwise ones.
    """

    def __init__(self, width: int, past: int) -> None:
        super().__init__()
        self.past = past
        self.norm = nn.LayerNorm(width)
        self.before = nn.Conv2d(width, width, (past + 1, 1))
        self.act = nn.GELU()
        self.beside = nn.Conv2d(width, width, KERNEL, padding=KERNEL // 2)

    def forward(self, patches: Tensor, side: int) -> Tensor:
        """[N, T, P, W] -> the same."""
        films, frames, many, _ = patches.shape
        inner = F.pad(self.norm(patches), (0, 0, 0, 0, self.past, 0)).permute(0, 3, 1, 2)  # [N, W, past + T, P]
        inner = self.act(self.before(inner)).permute(0, 2, 3, 1)  # [N, T, P, W]
        grid = inner.reshape(films * frames, side, side, -1).permute(0, 3, 1, 2)
        mixed = self.beside(grid).permute(0, 2, 3, 1).reshape(films, frames, many, -1)
        return torch.as_tensor(patches + mixed)
