import numpy as np
import pytest

from core.types import TrackSet
from selector.baselines import BLIND_CHOICES, random_track, travel
from tests.factories import make_track, make_video


def track_set():
    """Track 0 is small and still, 1 is large and short, 2 moves far."""
    masks = np.zeros((3, 6, 16, 20), dtype=bool)
    masks[0, :, 2:4, 2:4] = True
    masks[1, :2, 4:16, 4:20] = True
    for t in range(5):
        masks[2, t, 10:12, 3 * t : 3 * t + 2] = True
    return TrackSet(make_video(frames=6), tuple(make_track(m) for m in masks))


@pytest.mark.parametrize(
    ("name", "competing", "chosen"),
    [
        ("largest track", (0, 1, 2), (1,)), ("largest track", (0, 2), (0,)), ("most moving track", (0, 1, 2), (2,)),
        ("longest track", (1, 2), (2,)), ("all tracks", (0, 2), (0, 2)), ("no track", (0, 1, 2), ()),
        ("largest track", (), ()),
    ],
)  # fmt: skip
def test_a_blind_chooser_takes_the_best_of_those_that_compete(name, competing, chosen):
    assert BLIND_CHOICES[name](track_set(), competing) == chosen


def test_a_random_track_is_one_of_those_that_compete():
    draws = [random_track((1, 3), np.random.default_rng(seed)) for seed in range(20)]
    assert set(draws) == {(1,), (3,)}
    assert draws == [random_track((1, 3), np.random.default_rng(seed)) for seed in range(20)]
    assert random_track((), np.random.default_rng(0)) == ()


def test_travel_skips_frames_without_a_box():
    boxes = np.array([[0, 0, 2, 2], [3, 4, 5, 6], [np.nan] * 4, [9, 9, 11, 11], [9, 10, 11, 12]], dtype=np.float32)
    assert travel(boxes) == pytest.approx(6)
