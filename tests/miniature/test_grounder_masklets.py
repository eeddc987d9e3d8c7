"""Drawn tracks: whose they are, where they lie, who comes again, what is no object; and tracks of caches instead."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cache import SUFFIX, write_cache
from core.errors import CacheError
from core.images import load_image_encoder
from llm_grounder.types import Reply, Task
from miniature.eval_grounder import held_out
from miniature.grounder_training.desk import shows_tracks
from miniature.grounder_training.evaluate import Examiner
from miniature.grounder_training.films import Film, Order, Sight, shoot
from miniature.grounder_training.lessons import clip_of, shown
from miniature.grounder_training.masklets import AGAIN, AWAY, NOTHING, STRAY, TREMBLE_BOX, draw_masklets, visits
from miniature.grounder_training.settings import SMOKE, TRACK_WIDTH
from miniature.grounder_training.trainer import make_grounder
from miniature.long_world import make_long_clip
from miniature.splits import find_split
from miniature.world.layout import video_id
from tests.factories import make_track_set
from tracksift.clips import read_track_clip
from tracksift.grounding import Manner
from tracksift.models import Models

MOST = 24
SEEDS = (10_001, 10_002, 10_003)


def film_of(seed, **values):
    """A drawn film whose patches show nothing."""
    footage = shoot(Order(seed, 16, seconds=12, most=4, **values))
    return Film(footage.order, torch.zeros(len(footage.frames), 1, 2), footage.boxes, footage.masklets)


@pytest.fixture(scope="module")
def films():
    return [film_of(seed, tracks=MOST) for seed in SEEDS]


def test_tracks_lie_on_their_objects_within_the_tremble(films):
    for film in films:
        tracks = film.masklets
        frames = film.story.frames
        assert (tracks.values.shape, tracks.values.dtype) == ((len(tracks.owner), frames, TRACK_WIDTH), torch.float16)
        there = ~tracks.boxes[..., 0].isnan().numpy()
        assert there.any(1).all()
        assert (tracks.values[torch.from_numpy(~there)] == 0).all()
        track, frame = np.nonzero(there & (tracks.owner != NOTHING))
        away = np.abs(tracks.boxes.numpy()[track, frame] - film.boxes[tracks.owner[track, frame], frame])
        assert 0 < np.median(away) < 2 * TREMBLE_BOX
        assert np.quantile(away, 0.9) < 6 * TREMBLE_BOX
        middle = (tracks.boxes[..., :2] + tracks.boxes[..., 2:]) / 2
        told = tracks.values[..., :2].float()[torch.from_numpy(there)]
        torch.testing.assert_close(told, middle[torch.from_numpy(there)], atol=1e-3, rtol=0)


def without_faults(monkeypatch, **shares):
    """Tracks as the world has them, but for some faults."""
    for name in ("SWITCHED", "STRAY", "DOUBLED", "MISSED"):
        monkeypatch.setattr(f"miniature.grounder_training.masklets.{name}", shares.get(name, 0.0))


def test_every_object_that_is_seen_has_tracks_that_do_not_overlap_in_time(monkeypatch):
    without_faults(monkeypatch)
    for film in [film_of(seed, tracks=MOST) for seed in SEEDS]:
        there = ~film.masklets.boxes[..., 0].isnan().numpy()
        assert (film.masklets.owner != NOTHING).sum() == there.sum()
        for number, boxes in enumerate(film.boxes):
            own = there & (film.masklets.owner == number)
            assert own.any() or shown(boxes) is None
            assert own.sum(0).max(initial=0) <= 1
        assert film.masklets.owner.max() < len(film.boxes)


def test_some_tracks_go_over_to_who_comes_when_theirs_has_left(monkeypatch):
    clip = make_long_clip(SEEDS[0])
    kinds = []
    for share in (0.0, 1.0):
        without_faults(monkeypatch, SWITCHED=share)
        owner = draw_masklets(clip, MOST).owner
        kinds.append([len(set(row.tolist()) - {NOTHING}) for row in owner])
    assert set(kinds[0]) == {1}
    assert 2 in kinds[1]
    assert len(kinds[1]) < len(kinds[0])  # who is followed on another's track has none of its own


def test_some_are_followed_twice_for_a_while_and_some_not_at_all(monkeypatch):
    clip = make_long_clip(SEEDS[0])
    counts = []
    for shares in ({}, {"DOUBLED": 1.0}, {"MISSED": 1.0}):
        without_faults(monkeypatch, **shares)
        owner = draw_masklets(clip, MOST).owner
        counts.append(len(owner))
        most = max(
            [((owner == number).sum(0)).max() for number in range(len(clip.story.objects))] if len(owner) else [0]
        )
        assert most == {"": 1, "DOUBLED": 2, "MISSED": 0}["".join(shares)]
    assert counts[0] < counts[1] <= 2 * counts[0]
    assert counts[2] == 0


def test_there_are_no_more_tracks_than_are_wanted_and_a_seed_makes_the_same_ones(films):
    clip = make_long_clip(SEEDS[0], seconds=12, most=4)
    again, few = draw_masklets(clip, MOST), draw_masklets(clip, 2)
    assert torch.equal(again.values, films[0].masklets.values)
    assert torch.equal(again.boxes.nan_to_num(-1), films[0].masklets.boxes.nan_to_num(-1))
    assert (len(few.owner), len(few.values), len(few.boxes)) == (2, 2, 2)
    assert np.array_equal(few.owner, again.owner[:2])
    assert not torch.equal(films[1].masklets.values[0], again.values[0])
    assert film_of(SEEDS[0]).masklets is None


def test_strays_are_still_and_nobody_s(monkeypatch):
    clip = make_long_clip(SEEDS[0], seconds=12, most=4)
    counts = []
    for share in (0.0, 1.0):
        without_faults(monkeypatch, STRAY=share)
        found = draw_masklets(clip, MOST)
        nobody = (found.owner == NOTHING).all(1)
        counts.append(int(nobody.sum()))
        stray = found.boxes[torch.from_numpy(nobody)].numpy()
        assert (
            np.nanmax(np.nanmedian(np.abs(stray - np.nanmedian(stray, axis=1, keepdims=True)), axis=1), initial=0)
            < 0.03
        )
    assert counts == [0, 1]
    assert 0 < STRAY < 1


def test_who_comes_back_after_long_is_mostly_someone_new():
    seen = np.zeros(40, dtype=bool)
    seen[[2, 3, 4, 4 + AWAY, 5 + 2 * AWAY, 6 + 2 * AWAY]] = True
    assert visits(np.zeros(9, dtype=bool), np.random.default_rng(0)) == []
    alone = 0
    for seed in range(400):
        parts = visits(seen, np.random.default_rng(seed))
        assert np.array_equal(np.sum(parts, axis=0), seen.astype(int))
        assert parts[0][[2, 3, 4, 4 + AWAY]].all()  # away for less than AWAY frames
        alone += len(parts) == 2
        assert len(parts) == 1 or parts[1].nonzero()[0].tolist() == [5 + 2 * AWAY, 6 + 2 * AWAY]
    assert alone / 400 == pytest.approx(1 - AGAIN, abs=0.06)


def test_some_steps_show_no_tracks():
    shares = [np.mean([shows_tracks(replace(SMOKE, trackless_share=p), k) for k in range(600)]) for p in (0, 0.15, 1)]
    assert (shares[0], shares[2]) == (1, 0)
    assert shares[1] == pytest.approx(0.85, abs=0.05)


def test_a_clip_has_its_film_s_tracks_unless_it_shows_none_or_nothing(films):
    film = films[0]
    assert clip_of(film, motion=False).tracks == len(film.masklets.owner)
    assert clip_of(film, motion=False, tracks=False).tracks == clip_of(film, motion=False, blind=True).tracks == 0


def test_an_object_that_is_pointed_at_is_followed_on_its_track_whatever_is_said(films, monkeypatch):
    film, grounder = films[0], make_grounder(SMOKE)
    count = len(film.masklets.owner)
    monkeypatch.setattr(grounder, "outputs", lambda part: [Reply(tracks=np.zeros(count)) for _ in part])
    (answers,) = Examiner(grounder, Manner(), motion=False).answer([film], (Task.SOT,))
    for number, (found, boxes) in enumerate(zip(answers.told, film.boxes, strict=True)):
        first = shown(boxes)
        own = film.masklets.owner[:, first] == number if first is not None else np.zeros(count, dtype=bool)
        near = np.abs(film.masklets.where[own, first] - boxes[first]).max(1) if own.any() else np.ones(1)
        if near.min() < 0.02:
            assert np.abs(found[first] - boxes[first]).max() < 0.02


@pytest.fixture(scope="module")
def sight():
    return Sight(load_image_encoder(Models().text_spec, "cpu"), SMOKE.grid)


def test_held_out_films_take_the_tracks_of_caches(sight, tmp_path):
    part = find_split("valid", long=True)
    name = video_id(part.seeds[0], part.shifted, long=True)
    made = make_track_set(3, frames=16, look=4, fps=2.0, video_id=name)
    write_cache(tmp_path / f"{name}{SUFFIX}", made)
    values, boxes = read_track_clip(made, numbers=True)
    for most, count in ((2, 2), (9, 3)):
        (film,) = held_out("valid", 1, sight, workers=0, seconds=8, tracks=most, caches=tmp_path)
        assert torch.equal(film.masklets.values, values[:count])
        assert torch.equal(film.masklets.boxes, boxes[:count])
        assert film.masklets.owner.tolist() == [[NOTHING] * 16] * count
    (plain,) = held_out("valid", 1, sight, workers=0, seconds=8, caches=tmp_path)
    assert plain.masklets is None
    (own,) = held_out("valid", 1, sight, workers=0, seconds=8, tracks=MOST)
    assert own.masklets.values.shape[1:] == (16, TRACK_WIDTH)
    (tmp_path / f"{name}{SUFFIX}").unlink()
    with pytest.raises(CacheError, match=name):
        next(held_out("valid", 1, sight, workers=0, seconds=8, tracks=MOST, caches=tmp_path))
