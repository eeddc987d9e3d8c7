"""Batches from the pool: random windows and objects, flips and colours, short disappearances, prompts.

Knows the pool's tensor. Does not know models or losses.

Layout: frames first (T), and objects group by group (object n belongs to clip n % B): masks, then boxes, then points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional as F

from miniature.sam2_training.forward import Prompts
from miniature.sam2_training.pool import Pool

GROUPS = 3
LEAST_AREA = 40  # pixels an object must show on the first frame of a window to be prompted there
CLEAR = 4  # pixels between a background click and the nearest object


@dataclass(frozen=True)
class Draw:
    """Which pixels a batch is made of: clip [B], frame [B, T], object [GROUPS, B], 0-based."""

    clip: NDArray[np.int64]
    frame: NDArray[np.int64]
    object: NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """frames: uint8-valued float [T, B, H, W, 3] 0..255.   truth: bool [T, N, H, W].   prompts: for frame 0."""

    frames: Tensor
    truth: Tensor
    prompts: Prompts


def draw(
    rng: np.random.Generator, area: NDArray[np.int32], outlined: NDArray[np.int64], batch: int, frames: int
) -> Draw:
    """Random windows of `frames` frames, stride 1 to 3, 30 % reversed, whose first frame shows an object.

    area: int32 [P, O, T] visible pixels.   outlined: int64 [P]; points go to one of the first so many objects of a clip
    where any of them is shown.
    """
    length = area.shape[2]
    most = max(1, min(3, (length - 1) // max(frames - 1, 1)))
    clips: list[int] = []
    windows: list[NDArray[np.int64]] = []
    objects: list[NDArray[np.int64]] = []
    while len(clips) < batch:
        clip = int(rng.integers(len(area)))
        stride = int(rng.integers(1, most + 1))
        start = int(rng.integers(0, length - stride * (frames - 1)))
        window = start + stride * np.arange(frames)
        if rng.random() < 0.3:
            window = window[::-1]
        shown = np.flatnonzero(area[clip, :, window[0]] >= LEAST_AREA)
        if len(shown):
            chosen = np.resize(rng.permutation(shown), GROUPS)
            clear = shown[shown < outlined[clip]]
            if chosen[-1] >= outlined[clip] and len(clear):
                chosen[-1] = rng.choice(clear)
            clips.append(clip)
            windows.append(window)
            objects.append(chosen)
    return Draw(np.array(clips), np.stack(windows), np.stack(objects, axis=1))


def make_batch(pool: Pool, drawn: Draw, generator: Generator, *, background: float, vanish: float) -> Batch:
    """The batch of a draw, augmented on the pool's device.

    background: share of the point prompts that click on no object, in clips where all objects are labelled.
    vanish: share of clips in which an object is covered for one to three frames.
    """
    device = pool.pixels.device
    clip, frame, chosen = (torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in _arrays(drawn))
    pixels = pool.pixels[clip[:, None], frame].transpose(0, 1)  # [T, B, H, W, 4]
    pixels = turn(pixels, generator)
    frames, labels = recolour(pixels[..., :3].float(), generator), pixels[..., 3]
    masks = labels[:, None] == (chosen + 1).to(torch.uint8)[None, :, :, None, None]  # [T, GROUPS, B, H, W]
    if vanish and len(frames) > 1:
        cover = covers(masks, vanish, generator)  # [T, B, H, W]
        paint = 255 * torch.rand(1, len(clip), 1, 1, 3, device=device, generator=generator)
        frames = torch.where(cover[..., None], paint, frames)
        labels = labels.masked_fill(cover, 0)
        masks = masks & ~cover[:, None]
    click = torch.rand(len(clip), device=device, generator=generator) < background
    click &= torch.from_numpy(pool.complete[drawn.clip]).to(device)
    masks = torch.cat([masks[:, :-1], masks[:, -1:] & ~click[:, None, None]], dim=1)
    nothing = F.max_pool2d((labels[0] > 0).float(), 2 * CLEAR + 1, 1, CLEAR) == 0  # [B, H, W]
    places = torch.where(click[:, None, None], nothing, masks[0, -1])
    prompts = Prompts(
        masks=masks[0, 0][:, None].float(),
        boxes=sample_boxes(masks[0, 1], generator),
        points=sample_points(places, generator),
    )
    return Batch(frames, masks.flatten(1, 2), prompts)


def turn(pixels: Tensor, generator: Generator) -> Tensor:
    """One of the eight symmetries of the square for each clip of [T, B, H, W, C]."""
    flips = torch.rand(3, pixels.shape[1], device=pixels.device, generator=generator) < 0.5
    for axis, flip in enumerate(flips[:, None, :, None, None, None]):
        moved = pixels.transpose(2, 3) if axis == 2 else pixels.flip(axis + 2)
        pixels = torch.where(flip, moved, pixels)
    return pixels


def recolour(frames: Tensor, generator: Generator) -> Tensor:
    """Channels swapped in a third of the clips, contrast and brightness changed in all; [T, B, H, W, 3] 0..255."""
    clips, device = frames.shape[1], frames.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, device=device, generator=generator)

    order = torch.rand(clips, 3, device=device, generator=generator).argsort(dim=1)
    kept = torch.rand(clips, 1, device=device, generator=generator) < 0.67
    order = torch.where(kept, torch.arange(3, device=device), order)
    frames = frames.gather(-1, order[None, :, None, None, :].expand_as(frames))
    gain = uniform(0.85, 1.15, clips, 3) * uniform(0.8, 1.2, clips, 1)
    shift = uniform(-20, 20, clips, 1)
    return ((frames - 128) * gain[:, None, None] + 128 + shift[:, None, None]).clamp(0, 255)


def covers(masks: Tensor, share: float, generator: Generator) -> Tensor:
    """Rectangles [T, B, H, W] over one object of a share of the clips for one to three frames, never the first."""
    frames, groups, clips = masks.shape[:3]
    device = masks.device
    group = torch.randint(groups, (clips,), device=device, generator=generator)
    mask = masks.transpose(1, 2)[:, torch.arange(clips, device=device), group]  # [T, B, H, W]
    first = torch.randint(1, frames, (clips,), device=device, generator=generator)
    last = first + torch.randint(1, 4, (clips,), device=device, generator=generator)
    hit = torch.rand(clips, device=device, generator=generator) < share
    time = torch.arange(frames, device=device)[:, None]
    active = hit & (time >= first) & (time < last)  # [T, B]
    rows, columns = _between(mask.any(-1)), _between(mask.any(-2))
    return rows[..., :, None] & columns[..., None, :] & active[..., None, None]


def sample_boxes(masks: Tensor, generator: Generator) -> Tensor:
    """Boxes [N, 2, 2] of masks [N, H, W], (x, y) corners with the far one exclusive, each side moved by up to a tenth
    of its length and at most 8 pixels in three of four boxes; zeros for an empty mask."""
    side = masks.shape[-1]
    low_x, high_x = _ends(masks.any(1))
    low_y, high_y = _ends(masks.any(2))
    boxes = torch.stack([low_x, low_y, high_x, high_y], dim=1).float()
    reach = (0.1 * torch.stack([high_x - low_x, high_y - low_y], dim=1).float()).clamp(max=8).repeat(1, 2)
    noise = 2 * torch.rand(len(masks), 4, device=masks.device, generator=generator) - 1
    moved = torch.rand(len(masks), 1, device=masks.device, generator=generator) < 0.75
    return (boxes + noise * reach * moved).clamp(0, side - 1).view(-1, 2, 2)


def sample_points(masks: Tensor, generator: Generator) -> Tensor:
    """A random pixel (x, y) [N, 1, 2] inside each mask [N, H, W]; in half of them one that lies deep inside."""
    side = masks.shape[-1]
    inside = masks.float()
    depth = F.avg_pool2d(inside, 15, 1, 7) ** 4
    deep = torch.rand(len(masks), 1, 1, device=masks.device, generator=generator) < 0.5
    chance = torch.rand(masks.shape, device=masks.device, generator=generator) + 1e-3
    weight = torch.where(deep, chance * depth, chance) * inside
    best = weight.flatten(1).argmax(dim=1)
    return torch.stack([best % side, best // side], dim=1).float()[:, None]


def _arrays(drawn: Draw) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    return drawn.clip, drawn.frame, drawn.object


def _between(line: Tensor) -> Tensor:
    """True from 4 before the first True to 4 behind the last, along the last axis of bool [..., L]."""
    marks = line.to(torch.uint8)
    filled = marks.cummax(-1).values & marks.flip(-1).cummax(-1).values.flip(-1)
    return F.max_pool1d(filled.flatten(0, -2).float()[:, None], 9, 1, 4)[:, 0].view(line.shape) > 0


def _ends(line: Tensor) -> tuple[Tensor, Tensor]:
    """First True and one behind the last True of bool [N, L]; 0 and 0 where none is."""
    index = torch.arange(line.shape[1], device=line.device)
    last = torch.where(line, index + 1, 0).amax(1)
    first = torch.where(line, index, line.shape[1]).amin(1)
    return torch.where(last > 0, first, 0), last
