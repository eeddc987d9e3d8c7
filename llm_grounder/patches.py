"""What is trained between a frozen encoder's patches and the compressor: it reads how patches lie beside each other.

A frozen encoder's patch says what colour something is, but the shape of a thing larger than a patch lies in the
layout of several, and what it does in several frames. Blocks of convolutions over the square grid and over a few
earlier frames read both; nothing looks ahead, so that streams see the same.
Knows tensors. Does not know encoders. Axis letters: T frames, P patches, C width of the features, W of the front end.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import InputError

KERNEL = 3
WIDER = 2  # of a block's middle


class PlacedPatches(nn.Module):
    """Normalised features with a place each, and nothing more; [T, P, C] -> the same."""

    def __init__(self, channels: int, patches: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.place = nn.Parameter(torch.zeros(patches, channels))

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        return torch.as_tensor(self.norm(features)) + self.place


class PatchFrontEnd(nn.Module):
    """Normalised features with a place each, brought to a width, then `layers` residual blocks; [T, P, C] -> [T, P, W].

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
    """x + two Linears around depthwise convolutions of the normalised x: over earlier frames, and 3 x 3."""

    def __init__(self, width: int, past: int) -> None:
        super().__init__()
        inner = WIDER * width
        self.norm = nn.LayerNorm(width)
        self.spread = nn.Linear(width, inner)
        self.before = _Before(inner, past) if past else None
        self.beside = nn.Conv2d(inner, inner, KERNEL, padding=KERNEL // 2, groups=inner)
        self.act = nn.GELU()
        self.back = nn.Linear(inner, width)

    def forward(self, patches: Tensor, side: int) -> Tensor:
        """[T, P, W] -> the same."""
        inner = self.spread(self.norm(patches))
        if self.before is not None:
            inner = self.before(inner)
        grid = inner.transpose(1, 2).unflatten(2, (side, side))  # [T, inner, side, side]
        mixed = self.beside(grid).flatten(2).transpose(1, 2)
        return patches + torch.as_tensor(self.back(self.act(mixed)))


class _Before(nn.Module):
    """A depthwise convolution over the frame itself and `past` before it; before the first frame there is nothing."""

    def __init__(self, width: int, past: int) -> None:
        super().__init__()
        self.past = past
        self.taps = nn.Parameter(torch.randn(past, width) / math.sqrt(past + 1))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, inner: Tensor) -> Tensor:
        """[T, P, W] -> the same: itself, and each earlier frame by its tap, the oldest by the first."""
        out = inner + self.bias.to(inner.dtype)
        earlier = F.pad(inner, (0, 0, 0, 0, self.past, 0))
        for k, tap in enumerate(self.taps.to(inner.dtype)):
            out = torch.addcmul(out, earlier[k : k + len(inner)], tap)
        return out
