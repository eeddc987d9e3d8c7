"""Masks as bits, 64 pixels of a row a word: what J and F count and grow, an eighth of the memory of booleans.

Knows masks. Does not know metrics. T frames, H W pixels, P words of a row: pixel x of a row is bit x % 64 of word
x // 64, and bits beyond the row's end are 0.
"""

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]  # [T, H, P]
Masks = NDArray[np.bool_]  # [T, H, W]

_ONE, _LAST = np.uint64(1), np.uint64(63)


def pack(masks: Masks) -> Words:
    """Masks [T, H, W] -> words [T, H, P]."""
    packed = np.packbits(masks, axis=-1, bitorder="little")  # [T, H, ceil(W / 8)]
    words = np.zeros((*masks.shape[:-1], 8 * (-(-masks.shape[-1] // 64))), dtype=np.uint8)
    words[..., : packed.shape[-1]] = packed
    return words.view("<u8").astype(np.uint64, copy=False)


def count(words: Words) -> NDArray[np.int64]:
    """Set bits of each frame, [T]."""
    ones: NDArray[np.int64] = np.bitwise_count(words).sum(axis=(1, 2), dtype=np.int64)
    return ones


def neighbours_right(words: Words) -> Words:
    """Each pixel's right neighbour in its place; 0 in the last column."""
    moved = words >> _ONE
    moved[..., :-1] |= words[..., 1:] << _LAST
    return moved


def widen(words: Words) -> None:
    """Add to every set pixel its left and right neighbour, in place. Bits beyond the row's end get set as well."""
    right = words << _ONE
    right[..., 1:] |= words[..., :-1] >> _LAST
    right |= neighbours_right(words)
    words |= right


def without_last_column(width: int) -> Words:
    """A row [P] whose bits are set in all columns but the last and those beyond."""
    row = np.zeros((1, 1, width), dtype=np.bool_)
    row[..., :-1] = True
    words: Words = pack(row)[0, 0]
    return words
