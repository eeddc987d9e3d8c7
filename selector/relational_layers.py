"""Layers of `selector.relational`: what a track's state asks of the words, of its own steps and of the other tracks.

Knows tensors and masks. Does not know what the numbers mean. What needs no words is read once a video, and kept by
whoever asks more than once. Axis letters: B expressions, V videos, N tracks, S steps, L words, E embedding width,
P numbers of a pair, h heads, X sequences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selector.masked import Attention
from selector.relations import PAIR_WIDTH
from selector.settings import RelationalSettings


@dataclass(frozen=True)
class LayerMemory:
    """What one layer reads of V videos: key and value [V, N, h, S, E / h], bias [V, h, N, N], told [V, N, N, 64]."""

    key: Tensor
    value: Tensor
    bias: Tensor
    told: Tensor

    def of(self, video: Tensor) -> LayerMemory:
        """The same of the videos `video` [B]; as it is where there is one, which all expressions then share."""
        if len(self.key) == 1:
            return self
        return LayerMemory(*(x[video] for x in (self.key, self.value, self.bias, self.told)))


def of_videos(values: Tensor, video: Tensor) -> Tensor:
    """values [V, ...] of the videos `video` [B], as [B, ...]; nothing is copied where there is one video."""
    return values.expand(len(video), *values.shape[1:]) if len(values) == 1 else values[video]


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
        self.tracks = PairAttention(width, heads, dropout)
        self.feed_forward = feed_forward(width, 4 * width, dropout)
        self.heads, self.dropout = heads, nn.Dropout(dropout)

    def memory(self, steps: Tensor, pairs: Tensor) -> LayerMemory:
        """What the layer reads of steps [V, N, S, E] and pairs [V, N, N, P], once a video."""
        both = self.step_key_value(self.step_norm(steps))  # [V, N, S, 2 E]
        key, value = torch.unflatten(both, -1, (2, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        return LayerMemory(key, value, *self.tracks.read(pairs))

    def forward(
        self, x: Tensor, words: Tensor, text_mask: Tensor | None, memory: LayerMemory, step_mask: Tensor, there: Tensor
    ) -> Tensor:
        """x [B, N, E], words [B, L, E], memory of B videos or of one, step_mask [B, S], there [B, N]."""
        y = self.norms[0](x)
        told = self.words(y, words, words, text_mask)
        # The product lets one layer say whether a track is what the words name; without it that is slow to learn.
        x = x + self.dropout(self.agree(torch.cat([told, told * y], dim=-1)))
        query = torch.unflatten(self.step_query(self.norms[1](x)), -1, (self.heads, 1, -1))  # [B, N, h, 1, E / h]
        steps = step_mask[:, None, None, None]
        if len(memory.key) == 1:  # one video: its keys are met by all expressions at once, [1, N, h, B, E / h]
            query, steps = query.transpose(0, 3), steps[:1]
        seen = F.scaled_dot_product_attention(query, memory.key, memory.value, attn_mask=steps)
        if len(memory.key) == 1:
            seen = seen.transpose(0, 3)
        x = x + self.dropout(self.step_out(seen.flatten(2)))
        x = x + self.dropout(self.tracks(self.norms[2](x), memory.bias, memory.told, there))
        return cast(Tensor, x + self.dropout(self.feed_forward(self.norms[3](x))))


class PairAttention(nn.Module):
    """Attention among tracks that sees, and hands on, the numbers of each pair."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        """`dropout`: of attention weights, in training."""
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query_key_value = nn.Linear(width, 3 * width)
        self.bias = nn.Sequential(nn.Linear(PAIR_WIDTH, 64), nn.GELU(), nn.Linear(64, heads + 64))
        self.out = nn.Linear(width + 64 * heads, width)

    def read(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """What pairs [V, N, N, P] say: to each head, [V, h, N, N] float32, and to whoever attends, [V, N, N, 64]."""
        bias, told = self.bias(pairs).split((self.heads, 64), dim=-1)
        return bias.float().permute(0, 3, 1, 2), told

    def forward(self, x: Tensor, bias: Tensor, told: Tensor, there: Tensor) -> Tensor:
        """x [B, N, E], bias [B, h, N, N] and told [B, N, N, 64] of `read`, B or 1 videos, there [B, N] -> [B, N, E]."""
        query, key, value = torch.unflatten(self.query_key_value(x), -1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weight = (query @ key.transpose(-1, -2)).float() / math.sqrt(query.shape[-1]) + bias
        weight = weight.masked_fill(~there[:, None, None], float("-inf")).softmax(-1).to(value.dtype)  # [B, h, N, N]
        weight = F.dropout(weight, self.dropout, self.training)
        mixed = (weight @ value).transpose(1, 2).flatten(2)
        told = told.to(weight.dtype)
        if len(told) == 1:
            relations = torch.einsum("bhij,ijp->bihp", weight, told[0]).flatten(2)
        else:
            relations = torch.einsum("bhij,bijp->bihp", weight, told).flatten(2)
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
