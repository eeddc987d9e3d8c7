"""COCO run-length masks made where the masks are: only the places where a mask changes leave the device.

The strings are those of pycocotools, byte for byte. Knows COCO's code. Does not know tracks or models.
Axis letters: K masks, H W pixels.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

GROUP = 5  # bits of a run length in one byte
MORE = 32  # the bit of a byte that says that its number goes on
OFFSET = 48  # of the first character


def changes(masks: Tensor) -> Tensor:
    """Masks bool [K, H, W] -> bool [K, H W] in COCO's column order: where a pixel differs from the one before it.

    Before the first pixel a mask counts as empty.
    """
    flat = masks.transpose(1, 2).flatten(1)
    return torch.cat([flat[:, :1], flat[:, 1:] != flat[:, :-1]], dim=1)


def strings(changed: Tensor) -> list[bytes]:
    """`changes` -> K compressed counts."""
    count, pixels = changed.shape
    places = changed.nonzero().to("cpu", torch.int64).numpy()
    return _compress(places[:, 0], places[:, 1], count, pixels)


def _compress(mask: NDArray[np.int64], start: NDArray[np.int64], count: int, pixels: int) -> list[bytes]:
    """Run starts, by rising mask and place, -> compressed counts."""
    # A last run ends every mask: its end is one more start, at `pixels`.
    order = np.argsort(np.concatenate([mask, np.arange(count)]), kind="stable")
    owner = np.concatenate([mask, np.arange(count)])[order]
    ends = np.concatenate([start, np.full(count, pixels)])[order]
    first = np.searchsorted(owner, np.arange(count))
    runs = np.diff(ends, prepend=0)
    runs[first] = ends[first]
    index = np.arange(len(runs)) - first[owner]
    values = runs.copy()  # from the fourth number on, the difference to the number before the last
    later = np.flatnonzero(index > 2)
    values[later] -= runs[later - 2]
    return _characters(values, owner, count)


def _characters(values: NDArray[np.int64], owner: NDArray[np.int64], count: int) -> list[bytes]:
    """Numbers -> bytes of five bits each, lowest first, as few as hold the number and its sign."""
    magnitude = np.where(values < 0, ~values, values)
    groups = np.ones(len(values), dtype=np.int64)
    while (over := magnitude >= (1 << (GROUP * groups - 1))).any():
        groups += over
    last = np.cumsum(groups)
    number = np.repeat(np.arange(len(values)), groups)
    place = np.arange(len(number)) - (last - groups)[number]
    codes = (values[number] >> (GROUP * place)) & (MORE - 1)
    codes += np.where(place < groups[number] - 1, MORE, 0) + OFFSET
    text = codes.astype(np.uint8).tobytes()
    edges = np.concatenate([[0], np.cumsum(np.bincount(owner, weights=groups, minlength=count).astype(np.int64))])
    return [text[a:b] for a, b in pairwise(edges)]
