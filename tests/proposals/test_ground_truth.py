import numpy as np
import pytest

from core.errors import InputError
from core.frames import ArrayReader
from core.types import Source
from proposals.ground_truth import ground_truth_prompts

VIDEO = ArrayReader(np.zeros((6, 10, 10, 3), np.uint8), video_id="v", fps=1.0).meta


def stack(*areas):
    """Masks [6, 10, 10] whose visible pixels number `areas`."""
    masks = np.zeros((6, 100), dtype=bool)
    for t, area in enumerate(areas):
        masks[t, :area] = True
    return masks.reshape(6, 10, 10)


def chosen(masks, share=0.9):
    return [(prompt.frame, prompt.area) for prompt in ground_truth_prompts(masks, VIDEO, share)]


@pytest.mark.parametrize(
    ("areas", "share", "frames"),
    [
        ([(0, 10, 20, 30, 20, 10)], 0.9, [3]),
        ([(0, 10, 30, 30, 20, 10)], 0.9, [2]),  # the earliest of equals
        ([(0, 28, 30, 10, 0, 0)], 0.9, [2]),  # the largest, though an earlier one would do
        ([(0, 28, 30, 10, 0, 0), (0, 50, 10, 0, 0, 0)], 0.9, [1, 1]),  # one frame does for both
        ([(0, 28, 30, 10, 0, 0), (0, 50, 10, 0, 0, 0)], 1.0, [1, 2]),
        ([(9, 0, 0, 0, 0, 0), (0, 0, 0, 0, 9, 0)], 0.9, [0, 4]),
    ],
)
def test_objects_are_prompted_where_they_show_nearly_largest_at_few_frames(areas, share, frames):
    masks = {str(i): stack(*counts) for i, counts in enumerate(areas)}
    assert [frame for frame, _ in chosen(masks, share)] == frames


def test_the_prompt_is_the_objects_mask_at_that_frame():
    masks = {"a": stack(0, 5, 0, 0, 0, 0), "b": stack(0, 0, 0, 7, 2, 0)}
    first, second = ground_truth_prompts(masks, VIDEO, 0.9)
    assert (first.mask == masks["a"][1]).all()
    assert (second.mask == masks["b"][3]).all()
    assert (first.source, first.score, first.stability) == (Source.GROUND_TRUTH, 1.0, 1.0)


def test_an_object_that_never_shows_has_no_prompt():
    assert chosen({"a": stack(0, 0, 0, 0, 0, 0), "b": stack(4)}) == [(0, 4)]
    assert chosen({"a": stack(0, 0, 0, 0, 0, 0)}) == []
    assert chosen({}) == []


@pytest.mark.parametrize(
    "bad", [np.zeros((5, 10, 10), bool), np.zeros((6, 9, 10), bool), np.zeros((6, 10, 10), np.uint8)]
)
def test_masks_of_another_shape_are_refused_by_name(bad):
    with pytest.raises(InputError, match="ground truth 'x': expected bool masks"):
        ground_truth_prompts({"x": bad}, VIDEO, 0.9)
