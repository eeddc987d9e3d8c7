"""What is said of a step that no CUDA graph can be made of, and that all goes on behind it."""

import pytest
import torch

from core.captured_step import CapturedStep, captured_or_warned


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_dice_are_thrown_on_where_a_capture_broke():
    weight, one = torch.nn.Parameter(torch.ones(2, device="cuda")), torch.ones(2, device="cuda")

    def work(x):
        return (weight * (torch.rand_like(x) + float(x.sum()))).sum()[None]  # a number for the host breaks it

    with pytest.warns(UserWarning, match="the step could not be captured as a CUDA graph"):
        assert captured_or_warned(lambda: CapturedStep(work, [weight], [one]), "the step") is None
    first, second = (torch.rand(3, device="cuda") for _ in range(2))
    assert not torch.equal(first, second)
    assert float(work(one)) > 4
