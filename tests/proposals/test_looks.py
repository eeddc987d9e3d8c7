"""Looks of tracks: which frames are looked at, what is averaged, and what the provenance says of it."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from core.frames import ArrayReader
from core.types import TrackSet
from proposals.looks import FACTS, look_facts, look_frames, track_looks, with_looks, without_look_facts
from tests.factories import make_track, make_video


@dataclass(frozen=True)
class ColourEncoder:
    """The mean colour of the middle of a crop, of unit length."""

    name: str = "colours"
    sha256: str = "c" * 64
    width: int = 3
    side: int = 9

    def encode(self, images):
        assert images.shape[1:] == (9, 9, 3)
        colour = images[:, 3:6, 3:6].mean((1, 2)).astype(np.float32)
        return colour / np.linalg.norm(colour, axis=1, keepdims=True)


class CountingReader(ArrayReader):
    def read(self, indices):
        self.asked = [*getattr(self, "asked", []), *indices]
        return super().read(indices)


def squares(sizes, left=5):
    """[T, 40, 40] bool: a square of the given side in each frame."""
    masks = np.zeros((len(sizes), 40, 40), dtype=bool)
    for t, side in enumerate(sizes):
        masks[t, 5 : 5 + side, left : left + side] = True
    return masks


@pytest.fixture
def scene():
    """20 frames: one track red then green, one always blue, one never present."""
    stacks = [squares([10] * 20), squares([10] * 20, left=25), squares([0] * 20)]
    frames = np.full((20, 40, 40, 3), 20, dtype=np.uint8)
    frames[:10][stacks[0][:10]] = (250, 0, 0)
    frames[10:][stacks[0][10:]] = (0, 250, 0)
    frames[stacks[1]] = (0, 0, 250)
    reader = CountingReader(frames, video_id="v", fps=8.0)
    tracks = tuple(make_track(masks) for masks in stacks)
    return reader, TrackSet(reader.meta, tracks, {"tracker_sha256": "1" * 64})


def test_a_look_is_the_mean_over_views_of_unit_length_and_zero_for_nothing(scene):
    looks = track_looks(*scene, ColourEncoder())
    assert looks.dtype == np.float16
    expected = [[0.5**0.5, 0.5**0.5, 0], [0, 0, 1], [0, 0, 0]]
    np.testing.assert_allclose(looks, expected, atol=2e-3)


def test_frames_are_read_once_and_few(scene):
    reader, track_set = scene
    track_looks(reader, track_set, ColourEncoder(), views=3)
    assert len(set(reader.asked)) == len(reader.asked) == 3


def test_no_tracks_have_no_looks(scene):
    reader, track_set = scene
    assert track_looks(reader, replace(track_set, tracks=()), ColourEncoder()).shape == (0, 3)
    assert track_looks(reader, replace(track_set, tracks=track_set.tracks[2:]), ColourEncoder()).tolist() == [[0] * 3]


def test_frames_are_spread_over_time_and_the_largest_of_their_run():
    sizes = [4, 8, 8, 9, 8, 8, 0, 8, 10, 8]
    assert look_frames(make_track(squares(sizes)), 3) == (3, 4, 8)
    assert look_frames(make_track(squares(sizes)), 1) == (8,)


def test_frames_that_show_little_or_nothing_are_not_looked_at():
    assert look_frames(make_track(squares([3, 10, 3, 0, 3]))) == (1,)
    assert look_frames(make_track(squares([0, 0]))) == ()
    hidden = make_track(squares([10, 9]))
    hidden = replace(hidden, object_score=np.array([-1, 5], dtype=np.float32))
    assert look_frames(hidden) == (1,)


def test_the_provenance_names_the_encoder_and_comes_back_without_it(scene):
    reader, track_set = scene
    seen = with_looks(track_set, reader, ColourEncoder())
    assert seen.looks().shape == (3, 3)
    assert seen.provenance["look_sha256"] == "c" * 64
    assert set(look_facts(ColourEncoder())) == set(FACTS)
    assert without_look_facts(seen.provenance) == track_set.provenance
    unseen = with_looks(seen, reader, None)
    assert unseen.looks() is None
    assert unseen.provenance == track_set.provenance


def test_another_encoder_replaces_the_looks(scene):
    reader, track_set = scene
    first = with_looks(track_set, reader, ColourEncoder())
    second = with_looks(first, reader, ColourEncoder(sha256="d" * 64))
    assert second.provenance["look_sha256"] == "d" * 64
    np.testing.assert_array_equal(first.looks(), second.looks())


def test_a_box_at_the_border_is_looked_at():
    masks = np.zeros((2, 16, 20), dtype=bool)
    masks[:, 12:, 16:] = True
    reader = ArrayReader(np.full((2, 16, 20, 3), 9, dtype=np.uint8), video_id="clip", fps=8.0)
    track_set = TrackSet(make_video(frames=2), (make_track(masks),))
    np.testing.assert_allclose(track_looks(reader, track_set, ColourEncoder()), [[3**-0.5] * 3], atol=1e-3)
