"""The pace of two workers beside one is measured on the same videos."""

import pytest

from miniature.scaling import measure


@pytest.mark.slow
def test_two_workers_are_kept_busy_inside_videos(tmp_path):
    done = []
    figures = measure(tmp_path, 2, 4, 4, 1, lambda count, _: done.append(count))
    assert done == [1, 2, 3]
    assert figures["efficiency"] == pytest.approx(figures["speedup"] / 2)
    # Four videos of different lengths leave a worker idle at the end; the machine's load takes nothing from this.
    assert 0.5 < figures["occupancy"] <= 1
