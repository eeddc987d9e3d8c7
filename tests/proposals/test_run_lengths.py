import numpy as np
import pytest
import torch

from core import rle
from proposals.run_lengths import changes, strings


def blobs(count, size):
    coarse = torch.randn(count, 1, 6, 8, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size, mode="bicubic")[:, 0] > 0.3


NOISE = np.random.default_rng(0).random((5, 30, 50)) < np.array([0.01, 0.3, 0.5, 0.9, 0.999])[:, None, None]
EDGES = np.zeros((4, 3, 2), dtype=bool)
EDGES[1], EDGES[2, 0, 0], EDGES[3, 2, 1] = True, True, True


@pytest.mark.parametrize(
    "masks", [blobs(20, (48, 85)), torch.from_numpy(NOISE), torch.from_numpy(EDGES), torch.ones(1, 700, 900) > 0]
)
def test_run_lengths_are_those_of_pycocotools_byte_for_byte(masks):
    assert tuple(strings(changes(masks))) == rle.encode(masks.numpy())


def test_no_masks_are_no_strings():
    assert strings(changes(torch.zeros(0, 4, 5, dtype=torch.bool))) == []
