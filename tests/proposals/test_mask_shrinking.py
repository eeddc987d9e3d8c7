import pytest
import torch
from sam2.modeling.memory_encoder import MaskDownSampler

from proposals.mask_shrinking import BlockShrink, shrinker


@pytest.mark.parametrize("size", [(64, 64), (32, 96)])
def test_blocks_give_the_packages_result(size):
    torch.manual_seed(0)
    module = MaskDownSampler(embed_dim=24, kernel_size=3, stride=2, padding=1).eval().requires_grad_(False)
    shrink = shrinker(module)
    assert isinstance(shrink, BlockShrink)
    masks = torch.randn(3, 1, *size) * 10
    want = module(masks)
    assert want.std() > 0.05
    torch.testing.assert_close(shrink(masks), want, atol=1e-5, rtol=1e-5)


def test_a_downsampler_of_another_kind_is_used_as_it_is():
    module = MaskDownSampler(embed_dim=24, kernel_size=4, stride=4, padding=0)
    assert shrinker(module) is module
