"""Clips: the same seed the same clip, the promised sizes, masks of visible pixels only, refusals."""

import hashlib

import numpy as np
import pytest

from core.errors import InputError
from miniature.world import Clip, ObjectSpec, make_clip
from miniature.world.scene import draw_scene
from miniature.world.spec import COLOURS, SHAPES, TEXTURES, UNSEEN_TEXTURES


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [make_clip(seed, frames=24) for seed in range(200_000, 200_012)]


@pytest.fixture(scope="module")
def shifted_clips() -> list[Clip]:
    return [make_clip(seed, shifted=True, frames=24) for seed in range(300_000, 300_006)]


def digest(clip: Clip) -> str:
    texts = "|".join(f"{e.text}>{e.target_ids}>{e.spans}" for e in clip.expressions)
    return hashlib.sha256(clip.frames.tobytes() + np.packbits(clip.masks).tobytes() + texts.encode()).hexdigest()


def test_the_same_seed_gives_the_same_clip_and_another_seed_another() -> None:
    assert digest(make_clip(5, frames=8)) == digest(make_clip(5, frames=8))
    assert digest(make_clip(5, frames=8)) != digest(make_clip(6, frames=8))


def test_a_shifted_clip_of_a_seed_is_another_clip() -> None:
    assert digest(make_clip(5, frames=8)) != digest(make_clip(5, shifted=True, frames=8))


@pytest.mark.parametrize(("kind", "low", "high"), [({}, 24, 64), ({"shifted": True}, 40, 64)])
def test_lengths_are_as_promised(kind: dict[str, bool], low: int, high: int) -> None:
    for seed in range(3):
        assert low <= len(make_clip(seed, **kind).frames) <= high


@pytest.mark.parametrize("frames", [1, 2, 5, 11, 16, 70])
def test_a_given_number_of_frames_is_exact(frames: int) -> None:
    clip = make_clip(3, frames=frames)
    assert clip.frames.shape == (frames, 256, 256, 3)
    assert clip.masks.shape == (len(clip.objects), frames, 256, 256)
    assert clip.fps == 8.0


@pytest.mark.parametrize(("seed", "frames", "named"), [(-1, None, "seed"), (0, 0, "frames"), (0, -4, "frames")])
def test_bad_arguments_are_named(seed: int, frames: int | None, named: str) -> None:
    with pytest.raises(InputError, match=f"{named}: expected .*got"):
        make_clip(seed, frames=frames)


def test_object_counts_and_ids(clips: list[Clip], shifted_clips: list[Clip]) -> None:
    assert all(4 <= len(c.objects) <= 7 for c in clips)
    assert all(6 <= len(c.objects) <= 9 for c in shifted_clips)
    for clip in clips:
        assert [o.id for o in clip.objects] == [str(i + 1) for i in range(len(clip.objects))]
        assert sorted(o.depth for o in clip.objects) == list(range(len(clip.objects)))


def test_no_pixel_belongs_to_two_objects(clips: list[Clip]) -> None:
    assert all(clip.masks.sum(axis=0).max() <= 1 for clip in clips)


def test_every_object_is_seen_for_a_while(clips: list[Clip], shifted_clips: list[Clip]) -> None:
    shares = [m.any(axis=(1, 2)).mean() for clip in clips + shifted_clips for m in clip.masks]
    assert min(shares) > 0.2


def test_visible_sizes_are_between_a_small_and_a_large_object(clips: list[Clip]) -> None:
    for clip in clips:
        for thing, masks in zip(clip.objects, clip.masks, strict=True):
            assert 2 * thing.path.radius.min() >= 26
            assert 2 * thing.path.radius.max() <= 90
            widest = max((np.ptp(np.nonzero(m)[1]) + 1 for m in masks if m.any()), default=0)
            assert widest <= 2 * 1.12 * thing.path.radius.max() * np.sqrt(2) + 2


def test_plain_objects_are_drawn_in_their_colour_inside_their_mask(clips: list[Clip]) -> None:
    checked = 0
    for clip in clips:
        for thing, masks in zip(clip.objects, clip.masks, strict=True):
            if thing.texture == "plain" and masks[0].sum() > 800:
                middle = np.median(clip.frames[0][masks[0]], axis=0)
                assert np.abs(middle - np.array(thing.rgb)).max() < 30
                checked += 1
    assert checked > 5


def test_objects_stand_out_from_the_background(clips: list[Clip]) -> None:
    for clip in clips:
        back = clip.frames[0][~clip.masks[:, 0].any(axis=0)].astype(float)
        for masks in clip.masks:
            if masks[0].sum() > 400:
                inside = clip.frames[0][masks[0]].astype(float)
                far = np.abs(inside - back.mean(axis=0)).max(axis=1) > 35
                assert far.mean() > 0.5


def test_hidden_and_absent_objects_have_empty_masks() -> None:
    found = 0
    for seed in range(200_000, 200_012):
        clip = make_clip(seed, frames=24)
        for thing, masks in zip(clip.objects, clip.masks, strict=True):
            empty = ~masks.any(axis=(1, 2))
            assert empty[~thing.path.shown].all()
            found += int((~thing.path.shown).sum())
    assert found > 0


def test_twins_share_every_word_of_their_look_and_differ_in_motion(clips: list[Clip]) -> None:
    pairs = [(a, b) for c in clips for a in c.objects for b in c.objects if a.id < b.id and a.group == b.group]
    assert len(pairs) > 10
    for a, b in pairs:
        assert (a.look, a.size) == (b.look, b.size)
        assert not np.array_equal(a.path.centre, b.path.centre) or a.motion != b.motion


def test_twins_seldom_touch() -> None:
    scenes = [draw_scene(np.random.default_rng(seed), 32, shifted) for seed in range(60) for shifted in (False, True)]
    assert sum(_twins_touch(objects) for objects in scenes) <= 0.05 * len(scenes)


def _twins_touch(objects: tuple[ObjectSpec, ...]) -> bool:
    for a in objects:
        for b in objects:
            if a.id < b.id and a.group == b.group:
                near = np.hypot(*(a.path.centre - b.path.centre).T) < 0.8 * (a.path.radius + b.path.radius)
                if (near & a.path.shown & b.path.shown).any():
                    return True
    return False


def test_the_world_uses_all_its_shapes_and_colours_and_keeps_some_textures_for_shifted_clips() -> None:
    plain = [o for s in range(40) for o in draw_scene(np.random.default_rng(s), 24, False)]
    shifted = [o for s in range(40) for o in draw_scene(np.random.default_rng(s), 24, True)]
    assert {o.shape for o in plain} == set(SHAPES)
    assert {o.colour for o in plain} == set(COLOURS)
    assert {o.texture for o in plain} == set(TEXTURES)
    assert {o.texture for o in shifted} == set(TEXTURES) | set(UNSEEN_TEXTURES)


def test_consecutive_frames_differ_a_little_even_where_nothing_moves(clips: list[Clip]) -> None:
    for clip in clips[:4]:
        quiet = ~clip.masks[:, :2].any(axis=(0, 1))
        change = np.abs(clip.frames[0].astype(int) - clip.frames[1].astype(int))[quiet]
        assert 0.2 < change.mean() < 15


def test_a_clip_with_an_object_that_is_never_seen_is_made():
    clip = make_clip(80141, frames=24)
    assert (clip.masks.sum(axis=(1, 2, 3)) == 0).any()
