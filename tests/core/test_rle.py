"""Masks to run lengths and back, areas and boxes without decoding, and refusal of broken run lengths."""

import numpy as np
import pytest

from core import rle
from core.errors import InputError

SIZE = (4, 5)


def random_masks(count, size=SIZE, seed=0):
    return np.random.default_rng(seed).random((count, *size)) > 0.6


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (13, 7), (64, 300)])
def test_masks_survive_encoding(size):
    random = np.random.default_rng(0)
    masks = np.stack([random.random(size) > share for share in (-1.0, 0.1, 0.5, 0.99, 2.0)])  # from full to empty
    counts = rle.encode(masks)
    rle.check(counts, size)
    decoded = rle.decode(counts, size)
    assert decoded.dtype == np.bool_
    assert decoded.flags.c_contiguous
    np.testing.assert_array_equal(decoded, masks)


def test_no_masks_are_no_error():
    assert rle.encode(np.zeros((0, *SIZE), dtype=bool)) == ()
    assert rle.decode((), SIZE).shape == (0, *SIZE)
    assert rle.areas((), SIZE).shape == (0,)
    assert rle.boxes((), SIZE).shape == (0, 4)
    rle.check((), SIZE)


@pytest.mark.parametrize("count", [1, 255, 256, 700])
def test_areas_of_any_number_of_masks(count):
    masks = random_masks(count)
    areas = rle.areas(rle.encode(masks), SIZE)
    assert areas.dtype == np.int64
    np.testing.assert_array_equal(areas, masks.sum(axis=(1, 2)))


def test_boxes_are_tight_exclusive_and_nan_where_empty():
    masks = np.zeros((3, *SIZE), dtype=bool)
    masks[0, 1:3, 2:5] = True
    masks[1, 0, 0] = masks[1, 3, 4] = True
    boxes = rle.boxes(rle.encode(masks), SIZE)
    assert boxes.dtype == np.float32
    assert boxes[:2].tolist() == [[2, 1, 5, 3], [0, 0, 5, 4]]
    assert np.isnan(boxes[2]).all()


def test_union_holds_every_pixel_of_its_parts_and_of_nothing_is_empty():
    masks = random_masks(3)
    np.testing.assert_array_equal(rle.decode([rle.union(rle.encode(masks), SIZE)], SIZE)[0], masks.any(axis=0))
    assert rle.areas([rle.union((), SIZE)], SIZE).tolist() == [0]


def test_json_keeps_a_mask():
    masks = random_masks(1)
    counts = rle.encode(masks)[0]
    value = rle.to_json(counts, SIZE)
    assert value["size"] == [4, 5]
    assert isinstance(value["counts"], str)
    assert rle.from_json(value, SIZE) == counts


def test_json_may_hold_plain_run_lengths_or_null():
    mask = rle.from_json({"size": [4, 5], "counts": [2, 3, 15]}, SIZE)
    assert np.flatnonzero(rle.decode([mask], SIZE)[0].T).tolist() == [2, 3, 4]  # down the columns
    assert rle.areas([rle.from_json(None, SIZE)], SIZE).tolist() == [0]


@pytest.mark.parametrize(
    "value",
    [
        5,
        "text",
        {},
        {"size": [5, 4], "counts": "d0"},
        {"size": 5, "counts": "d0"},
        {"size": [4, 5]},
        {"size": [4, 5], "counts": 7},
        {"size": [4, 5], "counts": [2, 3]},
        {"size": [4, 5], "counts": [25, -5]},
        {"size": [4, 5], "counts": [2.5, 17.5]},
        {"size": [4, 5], "counts": [10**12]},
        {"size": [4, 5], "counts": []},
        {"size": [4, 5], "counts": ""},
        {"size": [4, 5], "counts": "é"},
        {"size": [4, 5], "counts": "~~"},
    ],
)
def test_json_of_another_form_or_size_is_refused(value):
    with pytest.raises(InputError, match=r"mask.*expected"):
        rle.from_json(value, SIZE)


@pytest.mark.parametrize("counts", [b"", b"0", b"\xff", b"P" * 24, b"o" * 10, b"\0", b"d", b"oooooooooooooooooo0"])
@pytest.mark.parametrize("use", [rle.check, rle.decode])
def test_broken_run_lengths_are_refused_by_their_place(counts, use):
    good = rle.encode(random_masks(2))
    with pytest.raises(InputError, match="mask 1: expected COCO run lengths of 4x5 pixels"):
        use([good[0], counts, good[1]], SIZE)


def test_masks_of_another_size_are_refused():
    with pytest.raises(InputError, match="mask 0"):
        rle.decode(rle.encode(random_masks(1)), (5, 5))


def test_a_damaged_mask_is_refused_or_still_a_mask():
    random = np.random.default_rng(0)
    refused = 0
    for counts in rle.encode(random_masks(500, (13, 17))):
        damaged = bytearray(counts)
        damaged[random.integers(len(damaged))] ^= 1 << random.integers(8)
        try:
            assert rle.decode([bytes(damaged)], (13, 17)).shape == (1, 13, 17)
        except InputError:
            refused += 1
    assert refused > 450


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (4, 5), (64, 300)])
def test_the_pixels_of_one_mask_without_anothers(size):
    random = np.random.default_rng(0)
    masks = np.stack([random.random(size) > share for share in (-1.0, 0.05, 0.5, 0.6, 0.95, 2.0)])  # full to empty
    masks = np.concatenate([masks, np.ones((2, *size), dtype=bool)])
    masks[-2, :, : size[1] // 2], masks[-1, :, size[1] // 2 :] = False, False  # halves: few runs
    counts = rle.encode(masks)
    for i, first in enumerate(masks):
        for j, second in enumerate(masks):
            assert rle.without(counts[i], counts[j], size) == rle.encode((first & ~second)[None])[0], (i, j)
