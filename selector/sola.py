"""SOLA's track selector as a plain module: object tokens and word states in, one logit per track out.

Written from the description in the paper (Kim et al., arXiv 2412.01136) and of the release; the defaults of
`SolaSettings` give the names and shapes of its 84 tensors. Knows tensors and masks. Does not know caches, text
encoders, losses or thresholds. Axis letters: B expressions, N tracks, T frames, T' frames after the strides, D token
width, L text tokens, C text width, E embedding width, K = L + negatives.

Scores depend on which tracks are scored together, since group statistics cover all of them; with masks, padding never
counts. Frame and track masks are True first and False last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from selector.masked import Attention, MaskedGroupNorm, StandardisedConv1d, full
from selector.settings import SolaSettings

POSITION_SCALE = 100.0


class AlignmentLayer(nn.Module):
    """Attention among the tracks of a step, along each track, and to the words; each followed by a normed residual."""

    def __init__(self, settings: SolaSettings) -> None:
        """Three attentions of the settings' width."""
        super().__init__()
        width, heads, dropout = settings.embed_width, settings.heads, settings.dropout
        self.obj_attn = Attention(width, heads, dropout)
        self.motion_attn = Attention(width, heads, dropout)
        self.object2lang_attn = Attention(width, heads, dropout)
        self.norm = nn.ModuleList(MaskedGroupNorm(settings.groups, width) for _ in range(3))

    def forward(
        self, objects: Tensor, language: Tensor, position: Tensor, track: Tensor | None, step: Tensor | None,
        word: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """objects [B, N, T', E], language [B, K, E], position [T', E]; masks [B, N], [B, T'], [B, K]."""
        batch, tracks, steps, _ = objects.shape
        both = None if track is None or step is None else track[:, :, None] & step[:, None, :]  # [B, N, T']

        x = objects.transpose(1, 2).flatten(0, 1)  # [B*T', N, E]
        keys = None if track is None else track[:, None].expand(-1, steps, -1).flatten(0, 1)
        among = None if both is None else both.transpose(1, 2).flatten(0, 1)
        x = self._normed(0, x + self.obj_attn(x, x, x, keys), among)
        objects = torch.unflatten(x, 0, (batch, steps)).transpose(1, 2)

        x = objects.flatten(0, 1)  # [B*N, T', E]
        keys = None if step is None else step[:, None].expand(-1, tracks, -1).flatten(0, 1)
        along = None if both is None else both.flatten(0, 1)
        placed = x + position
        x = self._normed(1, x + self.motion_attn(placed, placed, x, keys), along)

        x = torch.unflatten(x, 0, (batch, tracks)).flatten(1, 2)  # [B, N*T', E]
        every = None if both is None else both.flatten(1, 2)
        x = self._normed(2, x + self.object2lang_attn(x, language, language, word), every)
        return torch.unflatten(x, 1, (tracks, steps))

    def _normed(self, index: int, x: Tensor, mask: Tensor | None) -> Tensor:
        normed: Tensor = self.norm[index](x.transpose(1, 2), mask)
        return normed.transpose(1, 2)


@dataclass(frozen=True)
class Motion:
    """V videos read: objects [V, N, T', E] and the mask [V, T'] of their steps, or None where all are real."""

    objects: Tensor
    step_mask: Tensor | None


class SolaSelector(nn.Module):
    """The module; `forward` says everything about its input."""

    def __init__(self, settings: SolaSettings) -> None:
        """Random weights; `settings` are kept for whoever saves them."""
        super().__init__()
        self.settings = settings
        width = settings.embed_width
        self.short_motion_encoder = motion_encoder(settings)
        self.object_lang_align_layers = nn.ModuleList(AlignmentLayer(settings) for _ in range(settings.layers))
        self.negative_token = nn.Embedding(settings.negatives, width)
        self.positional_encoding_gaussian_matrix = nn.Buffer(torch.randn(1, width // 2))
        self.text_projection = nn.Linear(settings.text_width, width) if settings.text_width != width else None

    def forward(
        self,
        tokens: Tensor,
        text: Tensor,
        track_mask: Tensor | None = None,
        frame_mask: Tensor | None = None,
        text_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Score tracks against expressions.

        tokens: [B, N, T, D].   text: [B, L, C].   masks: bool [B, N], [B, T], [B, L], True for
        what is real; each video needs a real track and frame. Give both track and frame mask, or neither.

        Returns:
            logits [B, N] float32 and track embeddings [B, N, E]; 0 for padded tracks.
        """
        words = self.read(text, text_mask)[:, None]
        masks = (None if mask is None else mask[:, None] for mask in (track_mask, text_mask))
        logits, objects = self.select(self.encode(tokens, track_mask, frame_mask), words, *masks)
        return logits[:, 0], objects[:, 0]

    def read(self, text: Tensor, text_mask: Tensor | None = None) -> Tensor:
        """Word states [B, L, C] in the selector's own width: [B, L, E]; SOLA's settings leave them as they are."""
        return text if self.text_projection is None else cast(Tensor, self.text_projection(text))

    def encode(self, values: Tensor, there: Tensor | None, frame_mask: Tensor | None) -> Motion:
        """Read V videos' tracks: values [V, N, T, D], there [V, N], frame_mask [V, T]."""
        return Motion(*self.encode_motion(values, there, frame_mask))

    def select(
        self, videos: Motion, words: Tensor, track_mask: Tensor | None, text_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """`forward` after `encode` and `read`, of G expressions about each of the V videos.

        words [V, G, L, E]; masks [V, G, N] and [V, G, L]. Returns logits [V, G, N] float32 and embeddings [V, G, N, E].
        """
        shape = words.shape[:2]
        objects = videos.objects[:, None].expand(-1, shape[1], -1, -1, -1).flatten(0, 1)  # [V*G, N, T', E]
        step = None if videos.step_mask is None else videos.step_mask[:, None].expand(-1, shape[1], -1).flatten(0, 1)
        words, track = words.flatten(0, 1), None if track_mask is None else track_mask.flatten(0, 1)
        if track is not None:  # padding is zero, and so is who does not take part
            objects = objects * track[:, :, None, None]
        negatives = self.negative_token.weight.expand(len(words), -1, -1)
        language = torch.cat([full(words), negatives], dim=1)  # [V*G, K, E]
        word = None
        if text_mask is not None:
            real = text_mask.flatten(0, 1)
            word = torch.cat([real, real.new_ones(len(words), negatives.shape[1])], dim=1)
        position = self.position(objects.shape[2])
        for layer in self.object_lang_align_layers:
            objects = layer(objects, language, position, track, step, word)
        with torch.autocast(objects.device.type, enabled=False):  # unscaled sums over E would lose bits in bfloat16
            logits, embeddings = pool(full(objects), language, track, step, word)
        return torch.unflatten(logits, 0, shape), torch.unflatten(embeddings, 0, shape)

    def encode_motion(
        self, tokens: Tensor, track_mask: Tensor | None, frame_mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """tokens [B, N, T, D] -> ([B, N, T', E], mask [B, T'])."""
        batch, tracks = tokens.shape[:2]
        x = tokens.flatten(0, 1).transpose(1, 2)  # [B*N, D, T]
        mask = None
        if track_mask is not None and frame_mask is not None:
            mask = (track_mask[:, :, None] & frame_mask[:, None, :]).flatten(0, 1)  # [B*N, T]
            x = x * mask[:, None, :].to(x.dtype)
        for layer in self.short_motion_encoder:
            if isinstance(layer, StandardisedConv1d):
                x = layer(x)
                if mask is not None and frame_mask is not None:
                    # Zeros beyond the end are what the convolution's own padding would have been.
                    mask, frame_mask = mask[:, :: layer.stride[0]], frame_mask[:, :: layer.stride[0]]
                    x = x * mask[:, None, :].to(x.dtype)
            elif isinstance(layer, MaskedGroupNorm):
                x = layer(x, mask)
            else:
                x = layer(x)
        return torch.unflatten(full(x).transpose(1, 2), 0, (batch, tracks)), frame_mask

    def position(self, steps: int) -> Tensor:
        """pe(t) = [sin, cos](2 pi t g / 100) with the fixed random g: [T', E]."""
        matrix = self.positional_encoding_gaussian_matrix
        time = torch.arange(steps, device=matrix.device, dtype=matrix.dtype)[:, None]
        angle = 2 * math.pi * (time / POSITION_SCALE) @ matrix
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


def motion_encoder(settings: SolaSettings) -> nn.Sequential:
    """Convolutions along time; after each but the last: group norm, leaky ReLU, dropout."""
    layers: list[nn.Module] = []
    before = settings.token_width
    shapes = zip(settings.motion_widths, settings.motion_kernels, settings.motion_strides, strict=True)
    for i, (width, kernel, stride) in enumerate(shapes):
        layers.append(StandardisedConv1d(before, width, kernel, stride, kernel // 2))
        if i < len(settings.motion_widths) - 1:
            layers += [MaskedGroupNorm(settings.groups, width), nn.LeakyReLU(), nn.Dropout(settings.motion_dropout)]
        before = width
    return nn.Sequential(*layers)


def pool(
    objects: Tensor, language: Tensor, track: Tensor | None, step: Tensor | None, word: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Mean similarity to the language weighs the steps of a track; the same similarity of their sum is the score.

    objects [B, N, T', E], language [B, K, E] -> logits [B, N], embeddings [B, N, E]. No scaling anywhere.
    """
    if word is None:
        mean = language.mean(1)  # [B, E]; the mean of products is the product with the mean
    else:
        real = word[..., None].to(language.dtype)
        mean = (language * real).sum(1) / real.sum(1)
    similarity = torch.einsum("bnte,be->bnt", objects, mean)
    if step is not None:
        similarity = similarity.masked_fill(~step[:, None], float("-inf"))
    embedding = torch.einsum("bnt,bnte->bne", similarity.softmax(-1), objects)
    logits = torch.einsum("bne,be->bn", embedding, mean)
    if track is not None:
        logits, embedding = logits * track, embedding * track[..., None]
    return logits, embedding
