"""COCO run-length masks made where the masks are: only the finished strings leave the device.

The strings are those of pycocotools, byte for byte. Knows COCO's code. Does not know tracks or models.
Axis letters: K masks, H W pixels.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

GROUP = 5  # bits of a run length in one byte
MORE = 32  # the bit of a byte that says that its number goes on
OFFSET = 48  # of the first character
LONGEST = 8  # groups of the longest number: masks of up to 2**38 pixels


def changes(masks: Tensor) -> Tensor:
    """Masks bool [K, H, W] -> bool [K, H W] in COCO's column order: where a pixel differs from the one before it.

    Before the first pixel a mask counts as empty.
    """
    flat = masks.transpose(1, 2).flatten(1)
    return torch.cat([flat[:, :1], flat[:, 1:] != flat[:, :-1]], dim=1)


def strings(changed: Tensor) -> list[bytes]:
    """`changes` -> K compressed counts, made on the device of the masks."""
    count = len(changed)
    # A last run ends every mask: its end is one more start, after the last pixel.
    ends = functional.pad(changed, (0, 1), value=True).nonzero()
    owner, end = ends[:, 0], ends[:, 1]
    first = torch.cat([owner.new_ones(1, dtype=torch.bool), owner[1:] != owner[:-1]])[: len(owner)]
    runs = end - torch.cat([end.new_zeros(1), end[:-1]])[: len(end)].masked_fill(first, 0)
    at = torch.arange(len(runs), device=runs.device)
    index = at - at[first][owner]  # within the mask
    # From a mask's fourth number on, COCO writes the difference to the number before the last.
    values = torch.where(index > 2, runs - runs.roll(2), runs)
    text, sizes = _characters(values, owner, count)
    edges = [0, *sizes.cumsum(0).tolist()]
    data = text.cpu().numpy().tobytes()
    return [data[a:b] for a, b in pairwise(edges)]


def _characters(values: Tensor, owner: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Numbers -> bytes of five bits each, lowest first, as few as hold the number and its sign; bytes of each mask."""
    magnitude = torch.where(values < 0, ~values, values)
    groups = torch.ones_like(values)
    for size in range(1, LONGEST):
        groups += magnitude >= 1 << (GROUP * size - 1)
    last = groups.cumsum(0)
    number = torch.repeat_interleave(groups)
    place = torch.arange(len(number), device=values.device) - (last - groups)[number]
    codes = (values[number] >> (GROUP * place)) & (MORE - 1)
    codes += torch.where(place < groups[number] - 1, MORE, 0) + OFFSET
    sizes = torch.zeros(count, dtype=torch.int64, device=values.device).index_add_(0, owner, groups)
    return codes.to(torch.uint8), sizes
