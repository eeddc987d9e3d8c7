"""Tracks from the boxes that single-object tracking gives: what is told, and what an evaluation reads of it."""

import numpy as np
import pytest

from cache import open_cache
from core.errors import InputError
from core.types import Source
from miniature import track_given
from miniature.long_world import make_long_clip
from miniature.splits import find_split
from miniature.tracked_splits import World, tracked_split
from proposals.grid import GridPrompter
from tracksift.ask import Pipeline

SHORT = ("--split", "valid", "--videos", 1, "--seconds", 8, "--workers", 1, "--device", "cpu")


@pytest.fixture
def track(command):
    return lambda *words: command(*words, app=track_given.app, name="track_given")


def test_each_object_is_told_once_where_it_is_first_whole():
    seed = find_split("valid", long=True).first_seed
    clip = make_long_clip(seed, seconds=8)
    told = track_given.first_boxes(seed, shifted=False, seconds=8)
    seen = [thing.id for thing in clip.story.objects if not np.isnan(clip.boxes(thing.id)).all()]
    assert 0 < len(told) <= len(seen)
    for prompt in told:
        assert any(np.array_equal(clip.boxes(name)[prompt.frame], prompt.box) for name in seen)
        assert min(prompt.box[2] - prompt.box[0], prompt.box[3] - prompt.box[1]) >= 4


def test_a_film_has_a_track_for_each_box(track, tmp_path):
    made = track("--work", tmp_path, *SHORT)
    assert made.code == 0, made.err
    seed = find_split("valid", long=True).first_seed
    told = track_given.first_boxes(seed, shifted=False, seconds=8)
    where = tmp_path / "given" / "mevis" / "valid_u" / f"ml{seed}.h5"
    everyone = open_cache(where).track_set().tracks
    tracks = [t for t in everyone if t.source is Source.USER]
    assert (made.figures["films"], made.figures["tracks"]) == (1, len(everyone))
    assert len(everyone) > len(tracks) == len(told)
    assert sorted(p.frame for p in told) == [t.prompt.frame for t in tracks]
    clip = make_long_clip(seed, seconds=8)
    by_frame = sorted(told, key=lambda prompt: prompt.frame)
    near = [np.abs(np.array(t.boxes[p.frame]) - p.box).max() for t, p in zip(tracks, by_frame, strict=True)]
    assert np.median(near) < 6  # pixels of 256: the masklet begins on what the box shows
    assert clip.story.frames == made.figures["frames"]


def test_no_split_is_left_by_mistake(track, tmp_path):
    assert track("--work", tmp_path, *SHORT, "--dry-run").code == 0
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="--videos: expected 1 to 100 of split 'valid', got 101"):
        track("--work", tmp_path, "--split", "valid", "--videos", 101)
    with pytest.raises(InputError, match="--shard: expected i/n with i from 0 and below n, got '2/2'"):
        track("--work", tmp_path, *SHORT, "--shard", "2/2")
    assert not list(tmp_path.iterdir())


def test_tracks_that_were_proposed_are_taken_as_they_are(track, tmp_path, monkeypatch):
    (job,) = tracked_split(Pipeline(device="cpu"), "valid", tmp_path, 1, 1, World(True, 8))
    proposed = open_cache(job.cache).track_set().tracks
    monkeypatch.setattr(GridPrompter, "prompts", lambda *_: pytest.fail("the grid was asked again"))
    made = track("--work", tmp_path, *SHORT)
    assert made.code == 0, made.err
    both = open_cache(tmp_path / "given" / job.cache.relative_to(tmp_path / "caches")).track_set().tracks
    assert len(both) > len(proposed) > 0
    for old, new in zip(proposed, both, strict=False):
        assert (old.source, old.masks) == (new.source, new.masks)
    assert len(open_cache(job.cache).track_set().tracks) == len(proposed)  # the file itself is as it was
