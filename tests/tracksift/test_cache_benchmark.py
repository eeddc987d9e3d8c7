"""`tracksift benchmark cache`: shares of SOLA's bytes that hold at any length, and every way timed."""

import pytest

from tracksift.cache_tools.benchmark import time_caches


@pytest.mark.parametrize("frames", [4, 8])
def test_short_clips_take_half_of_solas_tokens_and_a_quarter_of_its_masks(frames):
    figures = time_caches(None, frames, 1, lambda done, total: None)
    assert figures["token_share"] <= 1 / 2
    assert figures["mask_share"] <= 1 / 4
    assert figures["verified"] == figures["videos"] == 4
    ways = ("sola", "npy", "h5", "pack", "buffer")
    assert min(figures[f"{kind}_{way}_ms"] for kind in ("warm", "cold") for way in ways) > 0
