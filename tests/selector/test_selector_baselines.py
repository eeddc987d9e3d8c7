import numpy as np
import pytest

from core.types import Expression, TrackSet
from selector.baselines import BLIND, choose_blindly, random_track, travel
from tests.factories import make_track, make_track_set, make_video

EXPRESSION = Expression("e", "any")


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
        ("largest", [0, 1, 2], [1]), ("largest", [0, 2], [0]), ("most_moving", [0, 1, 2], [2]),
        ("longest", [0, 1, 2], [0]), ("everything", [0, 2], [0, 2]), ("nothing", [0, 1, 2], []), ("largest", [], []),
    ],
)  # fmt: skip
def test_a_blind_chooser_takes_the_best_of_those_that_compete(name, competing, chosen):
    able = np.array(competing, dtype=np.intp)
    scores = choose_blindly(name, BLIND[name], track_set(), EXPRESSION, able)
    assert np.flatnonzero(scores.probability).tolist() == chosen
    assert scores.presence == float(bool(chosen))
    assert scores.scorer == f"baseline:{name}"


def test_a_random_track_is_seeded_and_covers_all_that_compete():
    able = np.array([1, 3], dtype=np.intp)
    draws = [[int(random(make_track_set(4), able)[0]) for _ in range(20)] for random in map(random_track, (0, 0, 1))]
    assert draws[0] == draws[1] != draws[2]
    assert set(draws[0]) == {1, 3}
    assert len(random_track(0)(make_track_set(4), able[:0])) == 0


def test_travel_skips_frames_without_a_box():
    boxes = np.array([[0, 0, 2, 2], [3, 4, 5, 6], [np.nan] * 4, [9, 9, 11, 11], [9, 10, 11, 12]], dtype=np.float32)
    assert travel(boxes) == pytest.approx(6)
