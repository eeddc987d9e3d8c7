"""The front end before the compressor: what lies beside and before a patch reaches it, what comes after never does."""

import pytest
import torch

from core.errors import InputError
from llm_grounder.patches import PatchFrontEnd
from llm_grounder.settings import GrounderSettings


def reached(past):
    """Where [T, P] the output changes when a patch in the middle of a 5 x 5 grid does, in the middle of 9 frames."""
    torch.manual_seed(0)
    front, shown = PatchFrontEnd(4, 6, 1, 25, past).double(), torch.randn(1, 9, 25, 4).double()
    other = shown.clone()
    other[0, 4, 12] += torch.randn(4)
    return (front(shown) - front(other)).abs().amax(-1)[0] > 1e-9


def test_a_block_looks_at_neighbours_of_the_same_frame_alone_without_a_past():
    changed = reached(0)
    assert changed.any(1).tolist() == [t == 4 for t in range(9)]
    assert changed[4].view(5, 5)[1:4, 1:4].all()
    assert changed[4].sum() == 9


def test_a_block_looks_back_as_many_frames_as_are_asked_for_and_never_ahead():
    assert reached(3).any(1).tolist() == [4 <= t <= 7 for t in range(9)]


def test_before_the_first_frame_there_is_nothing():
    torch.manual_seed(0)
    front, shown = PatchFrontEnd(4, 6, 2, 9, 2), torch.randn(2, 5, 9, 4)
    assert torch.allclose(front(shown)[:, :2], front(shown[:, :2]), atol=1e-6)


def test_a_past_without_layers_is_refused():
    with pytest.raises(InputError, match="expected patch_layers for a patch_past of 2, got 0"):
        GrounderSettings(4, 9, patch_past=2)
    assert GrounderSettings(4, 9, patch_width=4, patch_layers=2, patch_past=3).past == 6
