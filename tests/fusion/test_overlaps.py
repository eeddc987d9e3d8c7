import numpy as np
import pytest

from core import rle
from fusion.overlaps import disjoint, distinct, mean_iou
from tests.factories import make_track

SIZE = (8, 8)


def square(left, frames=(0, 1)):
    """[2, 8, 8] bool: rows 0 to 3, four columns from `left`, in the given frames."""
    masks = np.zeros((2, *SIZE), dtype=bool)
    for t in frames:
        masks[t, :4, left : left + 4] = True
    return masks


@pytest.mark.parametrize(
    ("first", "second", "iou"),
    [
        (square(0), square(0), 1.0),
        (square(0), square(2), 1 / 3),
        (square(0), square(0, frames=[0]), 0.5),  # a frame of one alone counts 0
        (square(0, frames=[0]), square(0, frames=[1]), 0.0),
        (square(0, frames=[]), square(0, frames=[]), 0.0),
    ],
)
def test_overlap_is_the_mean_over_frames_of_either(first, second, iou):
    assert mean_iou(make_track(first), make_track(second)) == pytest.approx(iou)


def test_a_mask_of_a_frame_in_which_the_track_is_absent_does_not_count():
    hidden = make_track(square(0))
    hidden.object_score[1] = -1.0
    assert mean_iou(make_track(square(0)), hidden) == pytest.approx(0.5)


def test_the_better_one_of_two_tracks_of_an_object_stands_for_it():
    tracks = [make_track(square(0)), make_track(square(2)), make_track(square(0))]
    assert distinct(tracks, [2, 1, 0], 0.5) == (2, 1)
    assert distinct(tracks, [2, 1, 0], 0.3) == (2,)
    assert distinct(tracks, [2, 1, 0], 1.0) == (2, 1, 0)


def test_disjoint_masks_have_the_same_union_and_no_common_pixel():
    stacks = np.random.default_rng(0).random((3, 2, *SIZE)) < 0.5
    stacks[1, 0, :, :4], stacks[0, 0, :, 4:] = False, False  # boxes that do not meet, in frame 0
    counts = [rle.encode(masks) for masks in stacks]
    boxes = [rle.boxes(masks, SIZE) for masks in counts]
    out = np.stack([rle.decode(m, SIZE) for m in disjoint(counts, boxes, SIZE)])
    assert (out.sum(axis=0) <= 1).all()
    assert (out.any(axis=0) == stacks.any(axis=0)).all()
    assert (out[0] == stacks[0]).all()
    assert (out[1, 0] == stacks[1, 0]).all()
    assert disjoint([], [], SIZE) == []
