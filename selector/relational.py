"""TrackSift's own selector: tracks are read once a video, then words pick among them by look, motion and relation.

Per video: a track's frames (object token, box numbers and their changes) become steps by convolutions and attention
along time, and one state. Per expression: each state asks the words, its own steps, and the other tracks, the last
with `selector.relations` between the two; a linear layer gives the logit. Nothing depends on padding, and a track's
logit on other tracks only through attention, so that duplicates and clutter shift no statistics.

Knows tensors and masks. Does not know caches, encoders, losses or thresholds. Axis letters: B expressions, V videos,
G expressions about each, N tracks, T frames, S steps, L words, E embedding width, P numbers of a pair, h heads; D, G
and C numbers of a token, of boxes and outlines, and of a look.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from core.text import masked_mean
from selector.moments import MomentHead
from selector.relational_layers import LayerMemory, PlainLayer, RelationalLayer, TimeConvolution
from selector.relations import TRACK_WIDTH, frame_motion, pair_numbers, track_numbers
from selector.settings import BOX_WIDTH, OUTLINE_WIDTH, RelationalSettings
from selector.turning import TURN_WIDTH, TURNED_WIDTH, turned, turns

MOTION_WIDTH = 12  # of `frame_motion` with two lags
TIME_WIDTH = 8
STRIDE, CONVOLUTIONS = 2, 2


@dataclass(frozen=True)
class VideoState:
    """V videos read, all that needs no words: step_mask [V, S], states [V, N, E], there [V, N], and for each layer what
    it asks of steps and of pairs.   keys [V, N, T, M]: what the head for moments reads, where there is one.
    """

    step_mask: Tensor
    states: Tensor
    there: Tensor
    memories: tuple[LayerMemory, ...]
    keys: Tensor | None = None

    def tensors(self) -> tuple[Tensor, ...]:
        """All of it, for `of`."""
        layers = (x for memory in self.memories for x in (memory.key, memory.value, memory.bias, memory.told))
        return (self.step_mask, self.states, self.there, *layers, *(() if self.keys is None else (self.keys,)))

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> VideoState:
        """The state that `tensors` were taken from."""
        step_mask, states, there, *rest = tensors
        whole = len(rest) // 4 * 4
        memories = tuple(LayerMemory(*rest[at : at + 4]) for at in range(0, whole, 4))
        return cls(step_mask, states, there, memories, *rest[whole:])


class RelationalSelector(nn.Module):
    """The module; `forward` says everything about its input."""

    def __init__(self, settings: RelationalSettings) -> None:
        """Random weights; `settings` are kept for whoever saves them."""
        super().__init__()
        self.settings = settings
        width = settings.embed_width
        self.input_mean = nn.Buffer(torch.zeros(settings.input_width))
        self.input_deviation = nn.Buffer(torch.ones(settings.input_width))
        more, whole = (OUTLINE_WIDTH + TURN_WIDTH, TURNED_WIDTH) if settings.outline else (0, 0)
        self.frame_in = nn.Linear(settings.token_width + BOX_WIDTH + MOTION_WIDTH + TIME_WIDTH + more, width)
        self.convolutions = nn.ModuleList(TimeConvolution(width, STRIDE, settings.dropout) for _ in range(CONVOLUTIONS))
        self.frame_layers = nn.ModuleList(
            PlainLayer(width, settings.heads, settings.dropout) for _ in range(settings.frame_layers)
        )
        self.track_in = nn.Linear(TRACK_WIDTH + whole + settings.look_width, width)
        self.pool = nn.Linear(width, 1)
        self.text_in = nn.Linear(settings.text_width, width)
        self.text_layers = nn.ModuleList(
            PlainLayer(width, settings.heads, settings.dropout) for _ in range(settings.text_layers)
        )
        self.layers = nn.ModuleList(RelationalLayer(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 1)
        self.match_track, self.match_words = nn.Linear(width, width), nn.Linear(width, width)
        self.moments = MomentHead(width, settings.moment_width) if settings.moment_width else None

    def forward(
        self,
        tokens: Tensor,
        text: Tensor,
        track_mask: Tensor | None = None,
        frame_mask: Tensor | None = None,
        text_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Score tracks against expressions, one video each.

        tokens: [B, N, T, D + G + C], object tokens, box and outline numbers, looks.   text: [B, L, text width].
        masks: bool [B, N], [B, T], [B, L], True for what is real, padding last; each video needs a real track and
        frame.

        Returns:
            logits [B, N] float32 and track states [B, N, E]; 0 for padded tracks.
        """
        words = self.read(text, text_mask)
        masks = (None if mask is None else mask[:, None] for mask in (track_mask, text_mask))
        logits, states = self.select(self.encode(tokens, track_mask, frame_mask), words[:, None], *masks)
        return logits[:, 0], states[:, 0]

    def read(self, text: Tensor, text_mask: Tensor | None = None) -> Tensor:
        """Word states [B, L, text width] under a mask [B, L] -> [B, L, E]."""
        words = self.text_in(text)
        for layer in self.text_layers:
            words = layer(words, text_mask)
        return cast(Tensor, words)

    def encode(self, values: Tensor, there: Tensor | None, frame_mask: Tensor | None) -> VideoState:
        """Read V videos' tracks: values [V, N, T, D + G + C], there [V, N], frame_mask [V, T]."""
        videos, tracks, frames, _ = values.shape
        if there is None or frame_mask is None:
            there = values.new_ones(videos, tracks, dtype=torch.bool)
            frame_mask = values.new_ones(videos, frames, dtype=torch.bool)
        with torch.autocast(values.device.type, enabled=False):  # differences of positions would drown in bfloat16
            tokens, geometry, outline, looks = self._parts(values, there, frame_mask)
            length = frame_mask.sum(-1)
            whole, each = [track_numbers(geometry, length)], [tokens, geometry, frame_motion(geometry)]
            if outline is not None:
                turning = turns(geometry, outline)
                whole.append(turned(geometry, outline, turning))
                each += [outline, turning]
            numbers = torch.cat([*whole, *([] if looks is None else [looks])], dim=-1)
            pairs = pair_numbers(geometry, looks, length, None if outline is None else outline[..., -1])
            pairs = pairs * (there[:, :, None] & there[:, None])[..., None]
            time = time_numbers(length, frames)[:, None].expand(-1, tracks, -1, -1)
            x = torch.cat([*each, time], dim=-1)
        seen = self.frame_in(x) * frame_mask[:, None, :, None]
        x, mask = seen.flatten(0, 1), frame_mask[:, None].expand(-1, tracks, -1).flatten(0, 1)  # [V*N, T, E]
        for convolution in self.convolutions:
            x, mask = convolution(x, mask)
        for layer in self.frame_layers:
            x = layer(x, mask)
        weight = self.pool(x).squeeze(-1).float().masked_fill(~mask, float("-inf")).softmax(-1)
        pooled = torch.einsum("xs,xse->xe", weight.to(x.dtype), x)
        states = torch.unflatten(pooled, 0, (videos, tracks)) + self.track_in(numbers)
        steps = torch.unflatten(x, 0, (videos, tracks))
        memories = tuple(cast(RelationalLayer, layer).memory(steps, pairs) for layer in self.layers)
        keys = None if self.moments is None else self.moments.read(seen, steps, STRIDE**CONVOLUTIONS)
        return VideoState(mask[::tracks], states, there, memories, keys)

    def select(
        self, videos: VideoState, words: Tensor, track_mask: Tensor | None, text_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """`forward` after `encode` and `read`, of G expressions about each of the V videos.

        words [V, G, L, E]; masks [V, G, N] and [V, G, L]. Returns logits [V, G, N] float32 and states [V, G, N, E].
        """
        if text_mask is None:
            text_mask = words.new_ones(words.shape[:3], dtype=torch.bool)
        there = videos.there[:, None].expand(-1, words.shape[1], -1) if track_mask is None else track_mask
        x = videos.states[:, None].expand(-1, words.shape[1], -1, -1)
        for layer, memory in zip(self.layers, videos.memories, strict=True):
            x = layer(x, words, text_mask, memory, videos.step_mask, there)
        x = self.norm(x)
        with torch.autocast(x.device.type, enabled=False):
            sentence = self.match_words(masked_mean(words.float(), text_mask))
            match = torch.einsum("vgne,vge->vgn", self.match_track(x.float()), sentence)
            logits = self.out(x.float()).squeeze(-1) + match / math.sqrt(x.shape[-1])
        return logits * there, x.float() * there[..., None]

    def hold(self, videos: VideoState, states: Tensor) -> Tensor | None:
        """Logits [V, G, N, T] float32 of the words holding of a track at a frame, if it is meant; None without a head.

        states [V, G, N, E]: of `select`. What is said of padding means nothing.
        """
        if self.moments is None or videos.keys is None:
            return None
        logits: Tensor = self.moments(videos.keys, states)
        return logits

    def fit_input(self, mean: Tensor, deviation: Tensor) -> None:
        """Set the scale of tokens and looks [D + G + C]; channels that never vary stay as they are."""
        self.input_mean.copy_(mean)
        self.input_deviation.copy_(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))

    def _parts(
        self, values: Tensor, there: Tensor, frame_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Tokens, box numbers, outlines, looks [V, N, C]; zeros where no track or frame is."""
        values = values.float()
        real = (there[:, :, None] & frame_mask[:, None])[..., None]
        settings, width = self.settings, self.settings.token_width
        scaled = (values - self.input_mean) / self.input_deviation
        boxes, end = width + BOX_WIDTH, width + settings.geometry
        geometry = values[..., width:boxes] * real
        outline = values[..., boxes:end] * real if settings.outline else None
        looks = scaled[..., 0, end:] * there[..., None] if settings.look_width else None
        return scaled[..., :width] * real * geometry[..., 7:], geometry, outline, looks


def time_numbers(length: Tensor, frames: int) -> Tensor:
    """Where a frame lies in its video of length [V]: share gone, share left, waves of both; [V, T, 8]."""
    at = torch.arange(frames, device=length.device, dtype=torch.float32)[None]
    share = ((at + 0.5) / length[:, None]).clamp(max=1)
    waves = [f(math.pi * k * share) for k in (1, 2, 4) for f in (torch.sin, torch.cos)]
    return torch.stack([share, at.expand_as(share) / 64, *waves], dim=-1)
