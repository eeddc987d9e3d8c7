"""Outlines and turns, against sums over pixels and turns that are known."""

import math

import numpy as np
import pytest
import torch

from core import rle
from selector.inputs import read_tracks
from selector.outline import ORDERS, outline_numbers
from selector.turning import turned, turns
from tests.factories import make_track_set

SIDE = 96


def polygon(corners, angle, radius=20.0, centre=(48.0, 48.0)):
    """A regular polygon, turned counterclockwise by `angle`, [H, W] bool."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    inside = np.ones((SIDE, SIDE), dtype=bool)
    for k in range(corners):
        to = angle + 2 * math.pi * k / corners
        away = (x - centre[0]) * math.cos(to) - (y - centre[1]) * math.sin(to)
        inside &= away <= radius * math.cos(math.pi / corners)
    return inside


def numbers(*tracks, boxes=None):
    """`outline_numbers` of tracks [T, H, W] bool each."""
    size = tracks[0].shape[1:]
    counts = [rle.encode(track) for track in tracks]
    found = np.stack([rle.boxes(c, size) for c in counts]) if boxes is None else boxes
    return outline_numbers(counts, found, size)


def geometry_of(centres):
    """Box numbers [1, 1, T, 8] of a track that is always there."""
    geometry = np.zeros((1, 1, len(centres), 8), dtype=np.float32)
    geometry[0, 0, :, :2], geometry[..., 7] = centres, 1
    return torch.from_numpy(geometry)


def whole(geometry, outline):
    """`turned` of tracks."""
    return turned(geometry, outline, turns(geometry, outline))


@pytest.mark.parametrize("shape", [(30, 40), (7, 5)])
def test_harmonics_are_the_sums_over_pixels_that_they_are_defined_by(shape):
    rng = np.random.default_rng(0)
    masks = rng.random((6, *shape)) < 0.6
    masks[3] = False
    masks[4] = True  # one run through all columns
    fine, (y, x) = 16, np.mgrid[: shape[0] * 16, : shape[1] * 16]
    for t, row in enumerate(numbers(masks)[0]):
        dense = masks[t].repeat(fine, 0).repeat(fine, 1)  # pixels are squares, not points
        if not dense.any():
            assert (row == 0).all()
            continue
        w = x[dense] - 1j * y[dense]
        w = (w - w.mean()) / math.sqrt(dense.sum() / math.pi)
        for n, real, imaginary in zip(ORDERS, row[:-1:2], row[1:-1:2], strict=True):
            wanted = (w**n).mean() * (n + 2) / 2
            wanted /= max(1.0, abs(wanted))
            np.testing.assert_allclose([real, imaginary], [wanted.real, wanted.imag], atol=0.01)


@pytest.mark.parametrize("corners", [3, 4, 5, 6])
@pytest.mark.parametrize("rate", [-0.12, 0.12])
def test_a_polygon_that_turns_tells_by_how_much(corners, rate):
    track = np.stack([polygon(corners, 0.3 + rate * t, centre=(48 + t / 4, 48)) for t in range(12)])
    outline = torch.from_numpy(numbers(track))[None]
    geometry = geometry_of([(0.5, 0.5)] * 12)
    told = turns(geometry, outline)[0, 0, 2:]
    sure = told[:, [1, 3]]
    told = told[:, [0, 2]] / sure / 4
    np.testing.assert_allclose(told, np.tile([rate, 2 * rate], (10, 1)), atol=0.06)  # pixels are coarse
    np.testing.assert_allclose(told.mean(0), [rate, 2 * rate], atol=0.015)
    assert (sure > 0.4).all()
    rounds, pace = whole(geometry, outline)[0, 0, :2]
    assert rounds * rate > 0
    assert 0.5 < pace / (10 * abs(rate)) < 1.1


def test_a_disc_tells_no_turn_and_a_still_square_turns_by_nothing():
    geometry = geometry_of([(0.5, 0.5)] * 6)
    disc = torch.from_numpy(numbers(np.stack([polygon(60, 0.1 * t) for t in range(6)])))[None]
    assert turns(geometry, disc)[0, 0, :, 1].max() < 0.05
    square = torch.from_numpy(numbers(np.stack([polygon(4, 0.2)] * 6)))[None]
    assert turns(geometry, square)[0, 0, :, 0].abs().max() < 1e-4
    assert turns(geometry, square)[0, 0, 1:, 1].min() > 0.5


def test_a_way_in_a_circle_has_its_rounds_and_their_direction():
    angle = 2 * math.pi * np.arange(41) / 20
    round_ = np.stack([0.5 + 0.2 * np.cos(angle), 0.5 - 0.2 * np.sin(angle)], -1)  # rows go down
    nothing = torch.zeros(1, 1, 41, 11)
    assert 1.6 < whole(geometry_of(round_), nothing)[0, 0, 3] <= 2
    assert -2 <= whole(geometry_of(round_[::-1].copy()), nothing)[0, 0, 3] < -1.6
    straight = np.linspace((0.1, 0.1), (0.9, 0.5), 41)
    assert whole(geometry_of(straight), nothing)[0, 0, 3].abs() < 0.01


def test_what_is_away_turns_by_nothing():
    track = np.stack([polygon(4, 0.1 * t) for t in range(6)])
    geometry = geometry_of([(0.5, 0.5)] * 6)
    geometry[0, 0, 3] = 0
    outline = torch.from_numpy(numbers(track))[None]
    assert (turns(geometry, outline)[0, 0, [3, 4], :2] == 0).all()
    assert (turns(geometry, outline)[0, 0, 3:, 4:] == 0).all()


def test_who_lies_in_front_covers_who_lies_behind_and_not_the_other_way():
    behind, front = polygon(60, 0, centre=(40.0, 48.0)), polygon(60, 0, centre=(58.0, 48.0))
    boxes = np.stack([rle.boxes(rle.encode(mask[None]), (SIDE, SIDE)) for mask in (behind, front)])
    covered = numbers((behind & ~front)[None], front[None], boxes=boxes)[..., -1].ravel()
    np.testing.assert_allclose(covered, [(behind & front).sum() / behind.sum(), 0], atol=0.01)
    seen = numbers((behind & ~front)[None], front[None])[..., -1].ravel()  # the box of what is seen of it is smaller
    assert seen[0] > 0.1 > 0.01 > seen[1]


def test_a_track_found_twice_covers_nothing_of_itself():
    one = polygon(5, 0.4)[None]
    assert numbers(one, one)[..., -1].max() == 0


def test_few_pieces_at_once_give_the_same(monkeypatch):
    rng = np.random.default_rng(1)
    tracks = [np.stack([polygon(4, 0.1 * t, centre=rng.uniform(35, 60, 2)) for t in range(5)]) for _ in range(4)]
    once = numbers(*tracks)
    monkeypatch.setattr("selector.outline.AT_ONCE", 50)
    np.testing.assert_array_equal(numbers(*tracks), once)
    assert once[..., -1].max() > 0.05


def test_outlines_are_read_beside_box_numbers():
    track_set = make_track_set(2, width=4, look=3)
    plain, more = (read_tracks(track_set, geometry=width, looks=True).values for width in (8, 19))
    assert more.shape == (2, 6, 4 + 19 + 3)
    np.testing.assert_array_equal(np.delete(more, range(12, 23), axis=-1), plain)
    assert np.abs(more[..., 12:22]).max() > 0.1
    assert (more[more[..., 11] == 0][:, 12:23] == 0).all()
    assert read_tracks(make_track_set(0), geometry=19).values.shape[:2] == (0, 6)
