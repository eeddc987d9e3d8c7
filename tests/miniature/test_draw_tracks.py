import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from cache import open_cache
from core import cli, rle
from core.images import load_image_encoder
from core.types import Source
from miniature import draw_tracks, track_world
from miniature.drawn_tracks import LEAST
from miniature.drawn_tracks import draw_tracks as drawn
from miniature.world import make_clip
from miniature.world.layout import META
from selector.labels import positives
from tracksift.models import WEIGHTS

APP = partial(cli.run, draw_tracks.app)


@pytest.fixture(scope="module")
def encoder():
    return load_image_encoder(str(WEIGHTS / "clip"), torch.device("cpu"))


@pytest.mark.parametrize("seed", [10_003, 10_004])
def test_tracks_are_the_visible_masks_of_all_objects_and_follow_from_the_seed(encoder, seed):
    clip = make_clip(seed, expressions=4)
    found, labels = drawn(clip, "m", encoder)
    seen = clip.masks.sum((2, 3)) >= LEAST
    assert len(found.tracks) == seen.any(1).sum()
    numbers = [int(row.argmax()) for row in labels.iou]
    assert sorted(numbers) == np.flatnonzero(seen.any(1)).tolist()
    for track, number in zip(found.tracks, numbers, strict=True):
        np.testing.assert_array_equal(track.decode(), clip.masks[number] & seen[number, :, None, None])
        np.testing.assert_array_equal(track.present, seen[number])
        assert (track.tokens.shape, track.source) == ((len(clip.frames), 0), Source.GRID)
        assert abs(np.linalg.norm(track.look.astype(np.float64)) - 1) < 0.01
    again, _ = drawn(clip, "m", encoder)
    assert all((a.object_score == b.object_score).all() for a, b in zip(found.tracks, again.tracks, strict=True))
    for expression in clip.expressions:
        wanted = {str(int(i) - 1) for i in expression.target_ids}
        own = replace(expression, target_ids=tuple(sorted(wanted)))
        meant = {labels.object_ids[numbers[n]] for n in np.flatnonzero(positives(labels, own))}
        assert meant == {o for o in wanted if seen[int(o)].any()}


def test_blocks_are_drawn_once_and_join_what_was_tracked(command, tmp_path):
    caches, parts = tmp_path / "caches" / "mevis" / "train", tmp_path / "parts" / "0-1" / "train"
    caches.mkdir(parents=True)
    parts.mkdir(parents=True)
    (caches / "m000000.h5").write_bytes(b"")
    (parts / META).write_text(json.dumps({"videos": {"m000000": {"frames": ["0"], "expressions": {}, "fps": 8.0}}}))
    words = ("--work", tmp_path, "--clips", 3, "--block", 2, "--workers", 1, "--expressions", 5)
    plain = command(*words, "--dry-run", app=APP)
    assert (plain.code, plain.figures["clips"]) == (0, 3)
    outcome = command(*words, app=APP)
    assert outcome.code == 0, outcome.err
    assert (outcome.figures["clips"], outcome.figures["left"]) == (3, 0)
    videos = json.loads((tmp_path / "world" / "train" / META).read_text())["videos"]
    assert sorted(videos) == ["m000000", "m010000", "m010001", "m010002"]
    for name in sorted(videos)[1:]:
        cache = open_cache(caches / f"{name}.h5")
        targets = {str(i) for e in videos[name]["expressions"].values() for i in e["anno_id"]}
        assert targets <= set(cache.labels().object_ids)
        assert (cache.tokens().shape[-1], cache.video.frames) == (0, len(videos[name]["frames"]))
        counts = list(cache.masks())
        assert (rle.areas(counts[0], cache.video.size) > 0).any()
    again = command(*words, app=APP)
    assert (again.code, again.figures["clips"]) == (0, 0)


def test_no_time_draws_nothing_and_says_what_is_left(command, tmp_path):
    outcome = command("--work", tmp_path, "--clips", 2, "--workers", 1, "--minutes", 0, app=APP)
    assert (outcome.code, outcome.figures["clips"], outcome.figures["left"]) == (0, 0, 2)
    assert not (tmp_path / "world").exists()


def test_drawn_seeds_are_of_no_split():
    splits = [range(s.first_seed, s.first_seed + s.count) for s in track_world.SPLITS.values()]
    for seed in (draw_tracks.FIRST_SEED, draw_tracks.LAST_SEED - 1):
        assert not any(seed in split for split in splits)
    assert [(p.first_seed, p.count) for p in draw_tracks.plan(5, 2, 9)] == [(10_000, 2), (10_002, 2), (10_004, 1)]
