"""Masks as bits, 64 pixels of a row a word: what J and F count and grow, an eighth of the memory of booleans.

Knows masks. Does not know metrics. T frames, H W pixels, P words of a row: pixel x of a row is bit x % 64 of word
x // 64. The bits beyond a row's end are 0 and as many as asked for: shifts then run over all rows at once, and what
leaves a row ends in its spare bits.
"""

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]  # [T, H, P]
Masks = NDArray[np.bool_]  # [T, H, W]

WORD = 64  # bits
_BUT_LAST = np.uint64((1 << (WORD - 1)) - 1)


def pack(masks: Masks, spare: int = 0) -> Words:
    """Masks [T, H, W] -> words [T, H, P] with at least `spare` bits beyond each row's end."""
    packed = np.packbits(masks, axis=-1, bitorder="little")  # [T, H, ceil(W / 8)]
    words = np.zeros((*masks.shape[:-1], 8 * (-(-(masks.shape[-1] + spare) // WORD))), dtype=np.uint8)
    words[..., : packed.shape[-1]] = packed
    return words.view("<u8").astype(np.uint64, copy=False)


def count(words: Words) -> NDArray[np.int64]:
    """Set bits of each frame, [T]."""
    ones: NDArray[np.int64] = np.bitwise_count(words).sum(axis=(1, 2), dtype=np.int64)
    return ones


def neighbours_right(words: Words) -> Words:
    """Each pixel's right neighbour in its place, 0 at the end of a row's words."""
    moved = _down(words.reshape(-1), 1).reshape(words.shape)
    moved[..., -1:] &= _BUT_LAST  # what came from the next row
    return moved


def widen(words: Words, by: int) -> Words:
    """Every set pixel with the pixels `by` (below 64) to its left and right; into the spare bits as well."""
    flat = words.reshape(-1)
    moved = _down(flat, by)
    moved |= flat
    up = flat << np.uint64(by)
    up[1:] |= flat[:-1] >> np.uint64(WORD - by)
    moved |= up
    return moved.reshape(words.shape)


def without_last_column(width: int, words: int) -> Words:
    """A row of `words` [P] whose bits are set in all of `width` columns but the last."""
    row = np.zeros((1, 1, words * WORD), dtype=np.bool_)
    row[..., : max(width - 1, 0)] = True
    packed: Words = pack(row)[0, 0]
    return packed


def _down(flat: Words, by: int) -> Words:
    moved = flat >> np.uint64(by)
    moved[:-1] |= flat[1:] << np.uint64(WORD - by)
    return moved
