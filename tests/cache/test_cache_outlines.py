"""Masks as moves of their edges: the same bytes back, or a refusal."""

import numpy as np
import pytest

from cache import outlines
from core import rle


def drawn(seed, size):
    """Masks of a size: none, all, noise, a corner that ends the picture, stripes."""
    random = np.random.default_rng(seed)
    rows, columns = np.indices(size)
    noise = random.random(size) < random.random()
    corner = (rows >= random.integers(size[0])) & (columns >= random.integers(size[1]))
    return np.stack([np.zeros(size, bool), np.ones(size, bool), noise, corner, (rows + columns) % 7 < 3])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (7, 5), (40, 33)])
@pytest.mark.parametrize("seed", range(20))
def test_any_masks_come_back_to_the_byte(size, seed):
    counts = rle.encode(drawn(seed, size))
    assert outlines.decode(outlines.encode(counts, size)) == b"".join(counts)


def test_long_runs_and_more_masks_than_a_block_holds_come_back():
    random, size = np.random.default_rng(0), (600, 900)
    masks = np.stack([random.random(size) < 1e-4, np.arange(size[0] * size[1]).reshape(size) > 70000])
    counts = rle.encode(masks) * outlines.BLOCK
    assert outlines.decode(outlines.encode(counts, size)) == b"".join(counts)


def test_no_masks_are_no_bytes():
    assert outlines.decode(outlines.encode([], (4, 4))) == b""


@pytest.mark.parametrize(
    ("counts", "size", "expected"),
    [
        ([b""], (4, 4), "masks of one run or more"),
        (rle.encode(np.zeros((1, 4, 4), bool)), (4, 5), "masks of 4x5 pixels"),
        ([b"XQ0"], (5, 8), "as pycocotools writes them"),  # 40, with a byte to spare
        ([b""], (1 << 16, 1 << 16), "up to 2147483647 pixels"),
    ],
)
def test_what_would_not_come_back_is_refused(counts, size, expected):
    with pytest.raises(ValueError, match=expected):
        outlines.encode(counts, size)


def test_other_bytes_are_refused_or_decoded_within_seven_bytes_a_number():
    """The hash says whether they are right; here they only must not crash, hang or grow."""
    whole = outlines.encode(rle.encode(drawn(3, (50, 60))), (50, 60))
    random, refused = np.random.default_rng(4), 0
    for turn in range(2000):
        data = bytearray(whole[: random.integers(1, len(whole))] if turn % 3 == 0 else whole)
        for at in random.integers(len(data), size=2):
            data[at] = random.integers(256)
        try:
            assert len(outlines.decode(bytes(data))) <= 7 * 3 * len(data)
        except ValueError:
            refused += 1
    assert refused > 500
