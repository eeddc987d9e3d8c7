"""Rendered views as tensors on one device, and the batches drawn from them without per-sample Python.

Knows facts, captions and clips. Does not know models. Axis letters: G images, M objects of a frame, X expressions,
P object crops of an expression, L text tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.images import centre, scaled
from miniature.clip_training.captions import fact_indices
from miniature.clip_training.views import ClipViews

ABSENT = (-2, -2, -2)


@dataclass(frozen=True)
class ClipData:
    """All views of a split.

    crops [G, S, S, 3] uint8 with facts [G, 3]; frames [F, S, S, 3] uint8 with facts [F, M, 3].
    words [A, L]: token rows of all expressions.
    pairs [X, L]: token rows of the attribute expressions that have both; `hits` and `misses` [X, P] are crops of their
    targets and of other objects of the same clip, repeated to the common length.
    """

    crops: Tensor
    crop_facts: Tensor
    frames: Tensor
    frame_facts: Tensor
    words: Tensor
    pairs: Tensor
    hits: Tensor
    misses: Tensor


def stack_views(views: Sequence[ClipViews], tokenizer: Any, device: torch.device) -> ClipData:
    """Put a split's views on the device."""
    crop_facts = [fact_indices(view.facts[o]) for view in views for o in view.crop_objects]
    shown = [[fact_indices(view.facts[o]) for o in objects] for view in views for objects in view.visible]
    most = max(1, *(len(objects) for objects in shown))
    frame_facts = [[*objects, *[ABSENT] * (most - len(objects))] for objects in shown]
    texts = [e.text for view in views for e in view.expressions]
    pair_texts, hits, misses = _pairs(views)
    return ClipData(
        crops=torch.cat([torch.from_numpy(view.crops) for view in views]).to(device),
        crop_facts=torch.tensor(crop_facts, device=device),
        frames=torch.cat([torch.from_numpy(view.frames) for view in views]).to(device),
        frame_facts=torch.tensor(frame_facts, device=device),
        words=tokenizer(texts).to(device),
        pairs=tokenizer(pair_texts).to(device),
        hits=_rectangle(hits).to(device),
        misses=_rectangle(misses).to(device),
    )


def _pairs(views: Sequence[ClipViews]) -> tuple[list[str], list[list[int]], list[list[int]]]:
    texts: list[str] = []
    hits: list[list[int]] = []
    misses: list[list[int]] = []
    first = 0
    for view in views:
        for expression, targets in zip(view.expressions, view.targets, strict=True):
            if expression.kind != "attribute":
                continue
            hit = [first + k for k, o in enumerate(view.crop_objects) if o in targets]
            miss = [first + k for k, o in enumerate(view.crop_objects) if o not in targets]
            if hit and miss:
                texts.append(expression.text)
                hits.append(hit)
                misses.append(miss)
        first += len(view.crop_objects)
    return texts, hits, misses


def _rectangle(lists: Sequence[Sequence[int]]) -> Tensor:
    """Repeat every list to the longest one's length."""
    width = max(len(items) for items in lists)
    return torch.tensor([[items[i % len(items)] for i in range(width)] for items in lists])


def to_pixels(images: Tensor, size: int, *, augment: bool) -> Tensor:
    """[G, S, S, 3] uint8 to [G, 3, size, size] in -1..1: the centre, or a random place, mirroring and brightness."""
    side = images.shape[1]
    pixels = scaled(images)
    if not augment:
        return centre(pixels, size)
    top, left = (torch.randint(side - size + 1, (len(images), 1), device=images.device) for _ in range(2))
    steps = torch.arange(size, device=images.device)
    flip = torch.rand(len(images), 1, device=images.device) < 0.5
    columns = left + torch.where(flip, size - 1 - steps, steps)  # [G, size]
    index = torch.arange(len(images), device=images.device)[:, None, None]
    pixels = pixels.permute(0, 2, 3, 1)[index, (top + steps)[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    light = 1 + 0.1 * (2 * torch.rand(len(images), 1, 1, 1, device=images.device) - 1)
    return ((pixels + 1) * light - 1).clamp(-1, 1)


def sample(rows: Tensor, count: int) -> Tensor:
    """`count` random indices of `rows`, on its device."""
    return torch.randint(len(rows), (count,), device=rows.device)
