import pytest
import torch

from proposals.memories import MemoryCohort, Pointers, Remembered
from proposals.sam2_heads import Readout
from proposals.tracker import Moment


def remembered(value, objects=2):
    return Remembered(torch.full((objects, 3, 2), float(value)), torch.full((objects, 4), float(value)))


def cohort(frame=5, found=()):
    return MemoryCohort(frame, 2, remembered(-1), 2, 4, {each: remembered(each) for each in found})


@pytest.mark.parametrize(
    ("moment", "most", "distances", "values"),
    [
        (Moment(8, 20), 16, (3, 1, 2), [-1, 7, 6]),  # forward: told first, then the nearest
        (Moment(8, 20), 2, (3, 1), [-1, 7]),  # no more than the model reads
        (Moment(8, 2), 16, (3, 1), [-1, 7]),  # nor than a video of two frames could have
        (Moment(3, 20, reverse=True), 16, (2, 3, 4), [-1, 6, 7]),  # backward: what lies behind in time's direction
    ],
)
def test_pointers_are_the_told_ones_and_those_behind_by_distance(moment, most, distances, values):
    read = cohort(found=(6, 7)).pointers(moment, most)
    assert read.distances == distances
    assert [float(each.pointer[0, 0]) for each in read.held] == values
    assert read.longest == min(moment.frames, most) - 1


def test_pointers_are_cut_into_tokens_of_the_memories_width():
    held = (Remembered(None, torch.arange(8.0).reshape(2, 4)), Remembered(None, torch.arange(8.0, 16.0).reshape(2, 4)))
    tokens = Pointers((0, 1), held, 7).tokens(2, torch.float32, 1, 2)
    assert tokens.tolist() == [[[4, 5], [6, 7], [12, 13], [14, 15]]]


def test_memories_go_before_pointers_and_both_when_out_of_reach():
    mine = cohort(found=(1, 2, 3, 4))
    mine.forget([6])
    assert sorted(mine.found) == [2, 3, 4]
    assert mine.found[4].kept.shape == (2, 3, 2)
    with pytest.raises(AssertionError, match="freed while"):
        _ = mine.found[3].kept
    mine.forget([])
    assert not mine.found


@pytest.mark.parametrize("copied", [True, False])
def test_a_part_of_a_batch_is_kept_as_a_copy_where_asked(copied):
    batch = torch.zeros(5, 3, 2)
    part = Readout(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4), torch.zeros(2), torch.zeros(2), batch[1:3])
    mine = cohort()
    assert mine.keep(9, part, copied=copied).frame == 9
    assert (mine.found[9].kept.untyped_storage().data_ptr() == batch.untyped_storage().data_ptr()) != copied
