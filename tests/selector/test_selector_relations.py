import pytest
import torch

from selector.relations import PAIR_WIDTH, TRACK_WIDTH, frame_motion, pair_numbers, sightings, track_numbers

RIGHT, LEFT = 0, 1


def geometry(tracks):
    """Tracks as lists of (x, y, w, h, area) or None, in shares of the frame -> [1, N, T, 8]."""
    rows = [[[*spot, 0.9, 0.8, 1.0] if spot else [0.0] * 8 for spot in track] for track in tracks]
    return torch.tensor(rows)[None]


@pytest.fixture
def two():
    """Track 0 moves right at the right side; track 1 stands left, is hidden half in the last frame, and comes later."""
    return geometry(
        [
            [(0.6, 0.5, 0.2, 0.2, 0.04), (0.7, 0.5, 0.2, 0.2, 0.04), (0.8, 0.5, 0.2, 0.2, 0.04)],
            [None, (0.3, 0.5, 0.2, 0.2, 0.04), (0.75, 0.5, 0.2, 0.2, 0.02)],
        ]
    )


def test_numbers_of_a_track_say_when_where_and_how_fast(two):
    numbers = track_numbers(two, torch.tensor([3]))[0]
    assert numbers.shape == (2, TRACK_WIDTH)
    torch.testing.assert_close(numbers[:, :3], torch.tensor([[0.0, 1.0, 1.0], [1 / 3, 1.0, 2 / 3]]))
    torch.testing.assert_close(numbers[0, 3:9], torch.tensor([0.7, 0.5, 0.6, 0.5, 0.8, 0.5]))
    torch.testing.assert_close(numbers[0, 9:12], torch.tensor([0.8, 0.0, 2.0]))
    torch.testing.assert_close(numbers[1, 15], torch.tensor(2.0).log())


def test_a_track_never_present_is_all_zero():
    absent = geometry([[None, None], [(0.5, 0.5, 0.1, 0.1, 0.01)] * 2])
    assert (track_numbers(absent, torch.tensor([2]))[0, 0] == 0).all()
    assert torch.isfinite(pair_numbers(absent, None, torch.tensor([2]))).all()


def test_numbers_of_a_pair_say_who_is_where_over_the_frames_with_both(two):
    pairs = pair_numbers(two, None, torch.tensor([3]))[0]
    assert pairs.shape == (2, 2, PAIR_WIDTH)
    torch.testing.assert_close(pairs[0, 1, :3], torch.tensor([0.225, 0.05, 0.4]))
    torch.testing.assert_close(pairs[1, 0, :3], torch.tensor([-0.225, -0.4, -0.05]))


def test_the_hidden_one_of_a_touching_pair_lacks_area(two):
    pairs = pair_numbers(two, None, torch.tensor([3]))[0]
    torch.testing.assert_close(pairs[1, 0, 8:10], torch.tensor([0.5, 0.5]))
    assert (pairs[0, 1, 8:10] == 0).all()
    torch.testing.assert_close(pairs[0, 1, 10:12], torch.tensor([0.5, 0.5]))


def test_likeness_of_looks_is_a_cosine(two):
    looks = torch.tensor([[[1.0, 0.0], [3.0, 4.0]]])
    pairs = pair_numbers(two, looks, torch.tensor([3]))[0]
    torch.testing.assert_close(pairs[:, :, -1], torch.tensor([[1.0, 0.6], [0.6, 1.0]]))


def test_padding_changes_no_number(two):
    padded = torch.nn.functional.pad(two, (0, 0, 0, 2, 0, 1))
    length = torch.tensor([3])
    torch.testing.assert_close(pair_numbers(padded, None, length)[:, :2, :2], pair_numbers(two, None, length))
    torch.testing.assert_close(track_numbers(padded, length)[:, :2], track_numbers(two, length))
    torch.testing.assert_close(frame_motion(padded)[:, :2, :3], frame_motion(two))


def test_a_step_counts_only_between_two_sightings(two):
    motion = frame_motion(two, lags=(1,))[0]
    torch.testing.assert_close(motion[0, 1], torch.tensor([1.0, 0, 0, 0, 0, 1]))
    assert (motion[1, 1] == 0).all()
    torch.testing.assert_close(motion[1, 2, 4], torch.tensor(0.5).log())


def test_sightings_are_the_first_and_last_frame_present():
    present = torch.tensor([[[0.0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]])
    first, last = sightings(present)
    assert first.tolist() == [[1, 0, 0]]
    assert last.tolist() == [[3, 0, 4]]
