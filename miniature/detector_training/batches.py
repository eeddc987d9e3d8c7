"""Random batches on the training device: augmented frames, a phrase for each, which objects it fits, jittered boxes.

Knows the pool and the phrases. Does not know models. No Python per sample: a batch costs some forty small kernels.
Axis letters: B frames, M objects, L tokens, G groups of jittered boxes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Generator, Tensor

from miniature.detector_training.phrases import UNSAID, PhraseBank, constant, draw_looks, fits
from miniature.detector_training.pool import FRAMES, Pool

SHOWN = 40
"""Visible pixels of 256 x 256 from which an object counts as there."""
GROUPS = 4  # G
MEAN = (0.485, 0.456, 0.406)
SPREAD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Batch:
    """pixels: float32 [B, 3, H, W], normalised.   ids: int64 [B, L].   attend: bool [B, L, L].   positions: int64
    [B, L] for the text encoder.   old: bool [B], whether the text positions follow the package's 5.17.
    boxes: float32 [B, M, 4] (centre, size).   visible, match: bool [B, M].   noisy: float32 [B, G * M, 4], jittered.
    facts: int64 [B, M, 4], the objects' looks.   asked: int64 [B, 4], the phrase's, UNSAID where it says nothing.
    """

    pixels: Tensor
    ids: Tensor
    attend: Tensor
    positions: Tensor
    old: Tensor
    boxes: Tensor
    visible: Tensor
    match: Tensor
    noisy: Tensor
    facts: Tensor
    asked: Tensor

    def tensors(self) -> list[Tensor]:
        """All fields in order, the inputs of a captured step."""
        return [getattr(self, field.name) for field in fields(self)]


def draw_batch(pool: Pool, bank: PhraseBank, frames: int, generator: Generator) -> Batch:
    """`frames` random frames of the pool, each with a phrase."""
    device = pool.frames.device
    scene = torch.randint(pool.filled, (frames,), device=device, generator=generator)
    time = torch.randint(FRAMES, (frames,), device=device, generator=generator)
    visible = pool.area[scene, time] >= SHOWN
    facts = pool.looks[scene]
    looks = draw_looks(facts, visible, generator)
    row = bank.rows(looks, generator)
    old = torch.rand(frames, device=device, generator=generator) < 0.5
    pixels, boxes = turn(pool.frames[scene, time], pool.boxes[scene, time], generator)
    return Batch(
        pixels=colour(pixels, generator),
        ids=bank.ids[row],
        attend=bank.attend[row],
        positions=bank.positions[old.long(), row],
        old=old,
        boxes=boxes,
        visible=visible,
        match=fits(looks, facts) & visible & ~bank.strange[row, None],
        noisy=jitter(boxes, visible, generator),
        facts=facts,
        asked=torch.where(bank.strange[row, None], UNSAID, looks),
    )


def turn(frames: Tensor, boxes: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Mirror and transpose at random: uint8 [B, S, S, 3] and boxes [B, M, 4] to uint8 [B, 3, S, S] and boxes."""
    dice = torch.rand(3, len(frames), device=frames.device, generator=generator) < 0.5
    images = frames.permute(0, 3, 1, 2)
    x, y, w, h = boxes.unbind(dim=2)
    images = torch.where(dice[0, :, None, None, None], images.flip(3), images)
    x = torch.where(dice[0, :, None], 1 - x, x)
    images = torch.where(dice[1, :, None, None, None], images.flip(2), images)
    y = torch.where(dice[1, :, None], 1 - y, y)
    images = torch.where(dice[2, :, None, None, None], images.transpose(2, 3), images)
    swap = dice[2, :, None]
    boxes = torch.stack([torch.where(swap, y, x), torch.where(swap, x, y), torch.where(swap, h, w),
                         torch.where(swap, w, h)], dim=2)  # fmt: skip
    return images, boxes


def colour(images: Tensor, generator: Generator) -> Tensor:
    """uint8 [B, 3, S, S] to normalised float32, lighter or darker, slightly tinted, with noise as of compression."""
    frames, device = len(images), images.device
    light = 1 + 0.12 * (2 * torch.rand(frames, 1, 1, 1, device=device, generator=generator) - 1)
    tint = 1 + 0.04 * (2 * torch.rand(frames, 3, 1, 1, device=device, generator=generator) - 1)
    grain = 2.0 * torch.randn(images.shape, device=device, generator=generator)
    values = (images.float() * light * tint + grain).clamp(0, 255) / 255
    mean, spread = (constant(v, device).view(3, 1, 1) for v in (MEAN, SPREAD))
    return (values - mean) / spread


def jitter(boxes: Tensor, visible: Tensor, generator: Generator) -> Tensor:
    """GROUPS jittered copies of the visible boxes [B, M, 4], random boxes for the others: [B, G * M, 4]."""
    frames, objects = visible.shape
    dice = 2 * torch.rand(frames, GROUPS, objects, 4, device=boxes.device, generator=generator) - 1
    moved = boxes[:, None, :, :2] + 0.45 * dice[..., :2] * boxes[:, None, :, 2:]
    sized = boxes[:, None, :, 2:] * (0.5 * dice[..., 2:]).exp()
    anywhere = torch.cat([0.5 + 0.5 * dice[..., :2], 0.17 + 0.12 * dice[..., 2:]], dim=-1)
    noisy = torch.where(visible[:, None, :, None], torch.cat([moved, sized], dim=-1), anywhere)
    return noisy.clamp(0.005, 0.995).flatten(1, 2)
