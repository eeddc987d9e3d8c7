"""Boxes that are pointed at: which patches they cover, and that place and looks both count."""

import pytest
import torch

from llm_grounder.regions import Regions, covered


def test_a_box_covers_patches_by_their_areas():
    boxes = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.25, 0.5, 0.75, 1.0], [0.0, 0.25, 0.75, 0.75]])
    assert torch.allclose(covered(boxes[:2], 4), torch.tensor([[1.0, 0, 0, 0], [0, 0, 0.5, 0.5]]))
    assert torch.allclose(covered(boxes[2:], 4), torch.tensor([[2.0, 1, 2, 1]]) / 6)


def test_patches_that_are_no_grid_share_alike():
    assert torch.allclose(covered(torch.tensor([[0.0, 0.0, 0.1, 0.1]]), 6), torch.full((1, 6), 1 / 6))


@pytest.mark.parametrize("patch", [0, 3])
def test_only_looks_inside_the_box_count(patch):
    torch.manual_seed(0)
    regions, seen = Regions(8, 5), torch.randn(1, 4, 5)
    box, other = torch.tensor([[0.0, 0.0, 0.4, 0.4]]), seen.clone()
    other[0, patch] += 1
    assert torch.allclose(regions(box, seen), regions(box, other)) == (patch == 3)
    assert not torch.allclose(regions(box, seen), regions(box + 0.1, seen), atol=1e-3)
