"""Layers of `selector.relational`: what a track's state asks of the words, of its own steps and of the other tracks.

Knows tensors and masks. Does not know what the numbers mean. What needs no words is read once a video, met there by all
expressions about it, and kept by whoever asks more than once. Axis letters: V videos, G expressions about each, N
tracks, S steps, L words, E embedding width, P numbers of a pair, h heads, X sequences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selector.masked import Attention
from selector.relations import COVERED_WIDTH, PAIR_WIDTH
from selector.settings import RelationalSettings


@dataclass(frozen=True)
class LayerMemory:
    """What one layer reads of V videos: key and value [V, N, h, S, E / h], bias [V, h, N, N], told [V, N, N, 64]."""

    key: Tensor
    value: Tensor
    bias: Tensor
    told: Tensor


class RelationalLayer(nn.Module):
    """A track's state asks the words, its own steps and the other tracks; each pre-normed and added."""

    def __init__(self, settings: RelationalSettings) -> None:
        """Widths of the settings."""
        super().__init__()
        width, heads, dropout = settings.embed_width, settings.heads, settings.dropout
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.words = Attention(width, heads, dropout)
        self.agree = nn.Linear(2 * width, width)
        self.step_norm = nn.LayerNorm(width)
        self.step_query, self.step_out = nn.Linear(width, width), nn.Linear(width, width)
        self.step_key_value = nn.Linear(width, 2 * width)
        self.tracks = PairAttention(width, heads, dropout, PAIR_WIDTH + COVERED_WIDTH * settings.outline)
        self.feed_forward = feed_forward(width, 4 * width, dropout)
        self.heads, self.dropout = heads, nn.Dropout(dropout)

    def memory(self, steps: Tensor, pairs: Tensor) -> LayerMemory:
        """What the layer reads of steps [V, N, S, E] and pairs [V, N, N, P], once a video."""
        both = self.step_key_value(self.step_norm(steps))  # [V, N, S, 2 E]
        key, value = torch.unflatten(both, -1, (2, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        return LayerMemory(key, value, *self.tracks.read(pairs))

    def forward(
        self, x: Tensor, words: Tensor, text_mask: Tensor, memory: LayerMemory, step_mask: Tensor, there: Tensor
    ) -> Tensor:
        """x [V, G, N, E], words [V, G, L, E], text_mask [V, G, L], step_mask [V, S], there [V, G, N] -> x's shape."""
        y = self.norms[0](x)
        asked = (part.flatten(0, 1) for part in (y, words, words, text_mask))
        told = torch.unflatten(self.words(*asked), 0, x.shape[:2])
        # The product lets one layer say whether a track is what the words name; without it that is slow to learn.
        x = x + self.dropout(self.agree(torch.cat([told, told * y], dim=-1)))
        x = x + self.dropout(self.step_out(self._seen(self.step_query(self.norms[1](x)), memory, step_mask)))
        x = x + self.dropout(self.tracks(self.norms[2](x), memory.bias, memory.told, there))
        return cast(Tensor, x + self.dropout(self.feed_forward(self.norms[3](x))))

    def _seen(self, query: Tensor, memory: LayerMemory, step_mask: Tensor) -> Tensor:
        """What queries [V, G, N, E] find among their own tracks' steps, [V, G, N, E]."""
        videos, _, tracks, _ = query.shape
        asked = torch.unflatten(query, -1, (self.heads, -1)).permute(0, 2, 3, 1, 4)  # [V, N, h, G, E / h]
        mask = step_mask[:, None, None, None].expand(-1, tracks, -1, -1, -1)
        # Four axes, since the fused kernels take no more.
        q, k, v, bias = (part.flatten(0, 1) for part in (asked, memory.key, memory.value, mask))
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return torch.unflatten(seen, 0, (videos, tracks)).permute(0, 3, 1, 2, 4).flatten(3)


class PairAttention(nn.Module):
    """Attention among tracks that sees, and hands on, the numbers of each pair."""

    def __init__(self, width: int, heads: int, dropout: float, pair_width: int) -> None:
        """`dropout`: of attention weights, in training.   pair_width: P."""
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query_key_value = nn.Linear(width, 3 * width)
        self.bias = nn.Sequential(nn.Linear(pair_width, 64), nn.GELU(), nn.Linear(64, heads + 64))
        self.out = nn.Linear(width + 64 * heads, width)

    def read(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """What pairs [V, N, N, P] say: to each head, [V, h, N, N] float32, and to whoever attends, [V, N, N, 64]."""
        bias, told = self.bias(pairs).split((self.heads, 64), dim=-1)
        return bias.float().permute(0, 3, 1, 2), told

    def forward(self, x: Tensor, bias: Tensor, told: Tensor, there: Tensor) -> Tensor:
        """x [V, G, N, E], bias [V, h, N, N] and told [V, N, N, 64] of `read`, there [V, G, N] -> [V, G, N, E]."""
        both = torch.unflatten(self.query_key_value(x), -1, (3, self.heads, -1))
        query, key, value = both.permute(3, 0, 1, 4, 2, 5)  # [V, G, h, N, E / h] each
        weight = (query @ key.transpose(-1, -2)).float() / math.sqrt(query.shape[-1]) + bias[:, None]
        weight = weight.masked_fill(~there[:, :, None, None], float("-inf")).softmax(-1).to(value.dtype)
        weight = F.dropout(weight, self.dropout, self.training)  # [V, G, h, N, N]
        mixed = (weight @ value).transpose(2, 3).flatten(3)
        relations = torch.einsum("vghij,vijp->vgihp", weight, told.to(weight.dtype)).flatten(3)
        return cast(Tensor, self.out(torch.cat([mixed, relations], dim=-1)))


class PlainLayer(nn.Module):
    """A pre-norm transformer layer over [X, P, E] under a mask [X, P]."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        """Feed-forward of twice the width."""
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.attention = Attention(width, heads, dropout)
        self.feed_forward = feed_forward(width, 2 * width, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """See the class."""
        y = self.norms[0](x)
        x = x + self.dropout(self.attention(y, y, y, mask))
        return cast(Tensor, x + self.dropout(self.feed_forward(self.norms[1](x))))


class TimeConvolution(nn.Module):
    """Normed convolution along time with a stride, added to every `stride`-th step."""

    def __init__(self, width: int, stride: int, dropout: float) -> None:
        """Kernel of 5."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.convolution = nn.Conv1d(width, 2 * width, 5, stride, 2)
        self.out = nn.Linear(2 * width, width)
        self.stride, self.dropout = stride, nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x [X, T, E] and mask [X, T], zeros past the end, to [X, T / stride, E]."""
        y = (self.norm(x) * mask[..., None]).transpose(1, 2)
        y = self.out(F.gelu(self.convolution(y).transpose(1, 2)))
        mask = mask[:, :: self.stride]
        return (x[:, :: self.stride] + self.dropout(y)) * mask[..., None], mask


def feed_forward(width: int, hidden: int, dropout: float) -> nn.Sequential:
    """Two linear layers around a GELU."""
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width))
