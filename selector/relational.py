"""TrackSift's own selector: tracks are read once a video, then words pick among them by look, motion and relation.

Per video: a track's frames (object token, box numbers and their changes) become steps by convolutions and attention
along time, and one state. Per expression: each state asks the words, its own steps, and the other tracks, the last
with `selector.relations` between the two; a linear layer gives the logit. Nothing depends on padding, and a track's
logit on other tracks only through attention, so that duplicates and clutter shift no statistics.

Knows tensors and masks. Does not know caches, encoders, losses or thresholds. Axis letters: B expressions, V videos,
N tracks, T frames, S steps, L words, E embedding width, P numbers of a pair, h heads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.text import masked_mean
from selector.masked import Attention
from selector.relations import PAIR_WIDTH, TRACK_WIDTH, frame_motion, pair_numbers, track_numbers
from selector.settings import GEOMETRY_WIDTH, RelationalSettings

MOTION_WIDTH = 12  # of `frame_motion` with two lags
TIME_WIDTH = 8
STRIDE = 4


@dataclass(frozen=True)
class VideoState:
    """V videos read: steps [V, N, S, E], step_mask [V, S], states [V, N, E], pairs [V, N, N, P], there [V, N]."""

    steps: Tensor
    step_mask: Tensor
    states: Tensor
    pairs: Tensor
    there: Tensor


class RelationalSelector(nn.Module):
    """The module; `forward` says everything about its input."""

    def __init__(self, settings: RelationalSettings) -> None:
        """Random weights; `settings` are kept for whoever saves them."""
        super().__init__()
        self.settings = settings
        width = settings.embed_width
        self.input_mean = nn.Buffer(torch.zeros(settings.input_width))
        self.input_deviation = nn.Buffer(torch.ones(settings.input_width))
        self.frame_in = nn.Linear(settings.token_width + GEOMETRY_WIDTH + MOTION_WIDTH + TIME_WIDTH, width)
        self.convolutions = nn.ModuleList(TimeConvolution(width, 2, settings.dropout) for _ in range(2))
        self.frame_layers = nn.ModuleList(
            PlainLayer(width, settings.heads, settings.dropout) for _ in range(settings.frame_layers)
        )
        self.track_in = nn.Linear(TRACK_WIDTH + settings.look_width, width)
        self.pool = nn.Linear(width, 1)
        self.text_in = nn.Linear(settings.text_width, width)
        self.text_layers = nn.ModuleList(
            PlainLayer(width, settings.heads, settings.dropout) for _ in range(settings.text_layers)
        )
        self.layers = nn.ModuleList(RelationalLayer(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 1)
        self.match_track, self.match_words = nn.Linear(width, width), nn.Linear(width, width)

    def forward(
        self,
        tokens: Tensor,
        text: Tensor,
        track_mask: Tensor | None = None,
        frame_mask: Tensor | None = None,
        text_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Score tracks against expressions, one video each.

        tokens: [B, N, T, D + 8 + C], object tokens, box numbers, looks.   text: [B, L, text width].   masks: bool
        [B, N], [B, T], [B, L], True for what is real, padding last; each video needs a real track and frame.

        Returns:
            logits [B, N] float32 and track states [B, N, E]; 0 for padded tracks.
        """
        words = self.read(text, text_mask)
        video = torch.arange(len(text), device=text.device)
        return self.select(self.encode(tokens, track_mask, frame_mask), video, words, track_mask, text_mask)

    def read(self, text: Tensor, text_mask: Tensor | None = None) -> Tensor:
        """Word states [B, L, text width] -> [B, L, E]."""
        words = self.text_in(text)
        for layer in self.text_layers:
            words = layer(words, text_mask)
        return cast(Tensor, words)

    def encode(self, values: Tensor, there: Tensor | None, frame_mask: Tensor | None) -> VideoState:
        """Read V videos' tracks: values [V, N, T, D + 8 + C], there [V, N], frame_mask [V, T]."""
        videos, tracks, frames, _ = values.shape
        if there is None or frame_mask is None:
            there = values.new_ones(videos, tracks, dtype=torch.bool)
            frame_mask = values.new_ones(videos, frames, dtype=torch.bool)
        with torch.autocast(values.device.type, enabled=False):  # differences of positions would drown in bfloat16
            tokens, geometry, looks = self._parts(values, there, frame_mask)
            length = frame_mask.sum(-1)
            numbers = torch.cat([track_numbers(geometry, length), *([] if looks is None else [looks])], dim=-1)
            pairs = pair_numbers(geometry, looks, length)
            pairs = pairs * (there[:, :, None] & there[:, None])[..., None]
            moving = frame_motion(geometry)
            time = time_numbers(length, frames)[:, None].expand(-1, tracks, -1, -1)
            x = torch.cat([tokens, geometry, moving, time], dim=-1)
        x = self.frame_in(x) * frame_mask[:, None, :, None]
        x, mask = x.flatten(0, 1), frame_mask.repeat_interleave(tracks, 0)  # [V*N, T, E]
        for convolution in self.convolutions:
            x, mask = convolution(x, mask)
        for layer in self.frame_layers:
            x = layer(x, mask)
        weight = self.pool(x).squeeze(-1).float().masked_fill(~mask, float("-inf")).softmax(-1)
        pooled = torch.einsum("xs,xse->xe", weight.to(x.dtype), x)
        states = torch.unflatten(pooled, 0, (videos, tracks)) + self.track_in(numbers)
        steps = torch.unflatten(x, 0, (videos, tracks))
        return VideoState(steps, mask[::tracks], states, pairs, there)

    def select(
        self, videos: VideoState, video: Tensor, words: Tensor, track_mask: Tensor | None, text_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """`forward` after `encode` and `read`: video [B] says which of the V each expression is about."""
        if text_mask is None:
            text_mask = words.new_ones(words.shape[:2], dtype=torch.bool)
        there = videos.there[video] if track_mask is None else track_mask
        x, pairs = videos.states[video], videos.pairs[video]
        steps = videos.step_mask[video]
        for module in self.layers:
            layer = cast(RelationalLayer, module)
            x = layer(x, words, text_mask, layer.step_memory(videos.steps, video), steps, pairs, there)
        x = self.norm(x)
        with torch.autocast(x.device.type, enabled=False):
            sentence = self.match_words(masked_mean(words.float(), text_mask))
            match = torch.einsum("bne,be->bn", self.match_track(x.float()), sentence)
            logits = self.out(x.float()).squeeze(-1) + match / math.sqrt(x.shape[-1])
        return logits * there, x.float() * there[..., None]

    def fit_input(self, mean: Tensor, deviation: Tensor) -> None:
        """Set the scale of tokens and looks [D + 8 + C]; channels that never vary stay as they are."""
        self.input_mean.copy_(mean)
        self.input_deviation.copy_(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))

    def _parts(self, values: Tensor, there: Tensor, frame_mask: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Tokens, geometry, looks [V, N, C]; zeros where no track or frame is."""
        values = values.float()
        real = (there[:, :, None] & frame_mask[:, None])[..., None]
        width, end = self.settings.token_width, self.settings.token_width + GEOMETRY_WIDTH
        scaled = (values - self.input_mean) / self.input_deviation
        geometry = values[..., width:end] * real
        looks = scaled[..., 0, end:] * there[..., None] if self.settings.look_width else None
        return scaled[..., :width] * real * geometry[..., 7:], geometry, looks


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

    def step_memory(self, steps: Tensor, video: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [B, N, h, S, E / h] of steps [V, N, S, E], projected once a video."""
        both = self.step_key_value(self.step_norm(steps))  # [V, N, S, 2 E]
        key, value = torch.unflatten(both, -1, (2, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        return key[video], value[video]

    def forward(
        self, x: Tensor, words: Tensor, text_mask: Tensor | None, memory: tuple[Tensor, Tensor], step_mask: Tensor,
        pairs: Tensor, there: Tensor,
    ) -> Tensor:  # fmt: skip
        """x [B, N, E], words [B, L, E], memory of `step_memory`, step_mask [B, S], pairs [B, N, N, P], there [B, N]."""
        y = self.norms[0](x)
        told = self.words(y, words, words, text_mask)
        # The product lets one layer say whether a track is what the words name; without it that is slow to learn.
        x = x + self.dropout(self.agree(torch.cat([told, told * y], dim=-1)))
        key, value = memory
        query = torch.unflatten(self.step_query(self.norms[1](x)), -1, (self.heads, 1, -1))  # [B, N, h, 1, E / h]
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=step_mask[:, None, None, None])
        x = x + self.dropout(self.step_out(seen.flatten(2)))
        x = x + self.dropout(self.tracks(self.norms[2](x), pairs, there))
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

    def forward(self, x: Tensor, pairs: Tensor, there: Tensor) -> Tensor:
        """x [B, N, E], pairs [B, N, N, P], there [B, N] -> [B, N, E]."""
        query, key, value = torch.unflatten(self.query_key_value(x), -1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias, told = self.bias(pairs).split((self.heads, 64), dim=-1)
        weight = (query @ key.transpose(-1, -2)).float() / math.sqrt(query.shape[-1]) + bias.float().permute(0, 3, 1, 2)
        weight = weight.masked_fill(~there[:, None, None], float("-inf")).softmax(-1).to(value.dtype)  # [B, h, N, N]
        weight = F.dropout(weight, self.dropout, self.training)
        mixed = (weight @ value).transpose(1, 2).flatten(2)
        relations = torch.einsum("bhij,bijp->bihp", weight, told.to(weight.dtype)).flatten(2)
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
    """Normed convolution along time with a stride, beside the mean of what it strides over."""

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


def time_numbers(length: Tensor, frames: int) -> Tensor:
    """Where a frame lies in its video of length [V]: share gone, share left, waves of both; [V, T, 8]."""
    at = torch.arange(frames, device=length.device, dtype=torch.float32)[None]
    share = ((at + 0.5) / length[:, None]).clamp(max=1)
    waves = [f(math.pi * k * share) for k in (1, 2, 4) for f in (torch.sin, torch.cos)]
    return torch.stack([share, at.expand_as(share) / 64, *waves], dim=-1)
