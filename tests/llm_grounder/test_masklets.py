"""Tracks along their own time, and slots over tracks: nothing depends on what else is read, and all values matter."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.errors import InputError
from core.weights import from_bytes, to_bytes
from llm_grounder.masklets import LAGS, LEAST, Motion, TrackFrontEnd, read_tracks
from llm_grounder.regions import WAVES
from llm_grounder.settings import GrounderSettings
from llm_grounder.types import Role, Turn
from tests.llm_grounder.tiny_grounder import make_clip, make_sample, tiny_grounder

CPU = torch.device("cpu")
LAYERS, REACH = 2, 3
MOVING = 2  # of 6 values, where motion is read


@pytest.fixture(params=[0, 8], ids=["alike", "motion"])
def front(request):
    torch.manual_seed(0)
    motion = request.param
    front = TrackFrontEnd(6, 16, LAYERS, REACH, motion=motion, moving=MOVING if motion else 0).eval()
    for weight in front.parameters():
        torch.nn.init.normal_(weight, std=0.3)  # biases that are zero at first would hide what leaks
    return front


def states_of(front, clip, clips=None):
    """States [N, T, W] of a clip, read alone or with others, and what of them is there."""
    found = read_tracks(front, clips or [clip], CPU)
    rows = slice(found.first[id(clip)], found.first[id(clip)] + clip.tracks)
    return found.states[rows, : clip.frames], found.there[rows, : clip.frames]


def test_a_track_s_states_depend_neither_on_other_clips_nor_on_what_is_filled_up(front):
    short, none, long = make_clip(5, 2, 0), make_clip(7, 0, 1), make_clip(40, 3, 2)
    for clip in (short, long):
        alone, there = states_of(front, clip)
        together, there_too = states_of(front, clip, [short, none, long])
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
        assert torch.equal(there, there_too)
    found = read_tracks(front, [short, none, long, short], CPU)
    assert found.states.shape == (5, 40, 16)  # a clip that comes again costs once, and one without tracks nothing
    assert set(found.first) == {id(short), id(long)}
    assert not found.there[:2, 5:].any()
    assert (found.states[:2, 5:] == 0).all()


def test_absent_frames_are_zero_and_say_nothing_to_others(front):
    clip = make_clip(12, 2, 0)
    boxes = clip.track_boxes.clone()
    boxes[1, 4:6] = torch.nan
    noisy = clip.track_tokens.clone()
    noisy[1, 4:6] += 5  # what stands where nothing is
    first, there = states_of(front, replace(clip, track_boxes=boxes))
    second, _ = states_of(front, replace(clip, track_boxes=boxes, track_tokens=noisy))
    assert there.tolist() == (~boxes[..., 0].isnan()).tolist()
    assert (first[~there] == 0).all()
    assert (first[there].abs().sum(-1) > 0).all()
    assert torch.equal(first, second)


def test_a_change_reaches_so_many_frames_on_either_side_and_no_further(front):
    clip, at, far = make_clip(40, 2, 0), 20, LAYERS * REACH
    changed = clip.track_tokens.clone()
    changed[0, at] += 1
    before, _ = states_of(front, clip)
    after, _ = states_of(front, replace(clip, track_tokens=changed))
    moved = (after - before).abs().amax(-1) > 1e-7
    later = max(LAGS) if front.motion else 0  # frames in which a change is one since a frame before
    assert moved[0].nonzero().flatten().tolist() == list(range(at - far, at + far + later + 1))
    assert not moved[1].any()


def test_values_are_read_as_multiples_of_their_spread_around_their_mean(front):
    clip = make_clip(12, 2, 0)
    tokens, boxes = clip.track_tokens, clip.track_boxes
    scale, shift = torch.tensor([1.0, 2, 30, 400, 0.5, 7]), torch.tensor([0.0, 5, -60, 900, 1, 2])
    front.fit([tokens], [boxes])
    plain, _ = states_of(front, clip)
    front.fit([tokens * scale + shift], [boxes])
    other, _ = states_of(front, replace(clip, track_tokens=tokens * scale + shift))
    there = ~boxes[..., 0].isnan()
    torch.testing.assert_close(front.mean, tokens[there].mean(0) * scale + shift, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(other, plain, atol=1e-3, rtol=0)
    for frames in (9, 1):
        front.fit([torch.ones(1, frames, 6)], [torch.tensor([0.2, 0.2, 0.4, 0.5]).expand(1, frames, 4)])
        assert front.spread.tolist() == pytest.approx([LEAST] * 6)
        if front.motion:
            assert front.motion.pace.tolist() == pytest.approx([LEAST] * len(LAGS) * (4 + MOVING))


def test_numbers_that_hardly_change_are_kept_in_files_of_bytes():
    torch.manual_seed(0)
    front = TrackFrontEnd(6, 16, LAYERS, REACH, motion=8, moving=MOVING)
    clip, still = make_clip(12, 2, 0), torch.zeros(1, 12, 6)
    still[..., 0] = torch.arange(12) % 3 * 10  # beside it nothing changes
    front.fit([still], [torch.tensor([0.2, 0.2, 0.4, 0.5]).expand(1, 12, 4)])
    read = from_bytes(to_bytes(front.state_dict()))
    np.testing.assert_allclose(read["motion.pace"].float(), front.motion.pace, rtol=1e-3)
    assert read["motion.pace"].min() > 0
    front.load_state_dict(read)
    assert states_of(front, clip)[0].isfinite().all()


def test_motion_is_read_from_changes_of_boxes_and_first_values_between_frames_that_show_the_track():
    torch.manual_seed(0)
    motion = Motion(MOVING, 8, 8, 0, 0)
    torch.nn.init.eye_(motion.leave.weight)
    boxes = torch.tensor([0.2, 0.2, 0.4, 0.5]).expand(1, 30, 4).clone()
    still = torch.zeros(1, 30, 6)

    def states(values, boxes):
        nowhere, there = torch.zeros(1, 30, WAVES), ~boxes[..., :1].isnan()  # places change too
        return motion(values, boxes, nowhere, there)[0]

    rest = states(still, boxes)
    torch.testing.assert_close(rest, rest[:1].expand_as(rest))  # rows of one product may be summed in other orders
    for k in range(6):  # from frame 10 on something is another
        values = still.clone()
        values[:, 10:, k] = 1
        differs = (states(values, boxes) - rest).abs().sum(-1) > 1e-6
        assert differs.any() == (k < MOVING)
    moved = boxes.clone()
    moved[:, 10:] += 0.1
    differs = (states(still, moved)[:10] - rest[:10]).abs().sum(-1)
    assert (differs < 1e-5).all()
    after = states(still, moved)[10:]
    changes = (after[1:] - after[:-1]).abs().sum(-1) > 1e-5
    assert changes.sum() == len(LAGS)  # one since another lag each, and then nothing but the place
    gone = moved.clone()
    gone[:, :10] = torch.nan  # who comes has not moved
    come = states(still, gone)[10:]
    torch.testing.assert_close(come, after[-1:].expand_as(come))


@pytest.mark.parametrize("wrong", [{"motion_width": 8, "moving": 7}, {"moving": 1}])
def test_motion_is_read_from_values_that_are_there(wrong):
    with pytest.raises(InputError, match=r"expected moving of [06] at most for a track_width of 6"):
        GrounderSettings(4, 9, track_width=6, **wrong)


def test_a_front_end_says_the_same_as_before_until_its_motion_has_learnt():
    torch.manual_seed(0)
    plain, moved = TrackFrontEnd(6, 16, LAYERS, REACH), TrackFrontEnd(6, 16, LAYERS, REACH, motion=8, moving=MOVING)
    missing, unknown = moved.load_state_dict(plain.state_dict(), strict=False)
    assert unknown == []
    assert all(name.startswith("motion.") for name in missing)
    clip = make_clip(12, 2, 0)
    assert torch.equal(states_of(moved, clip)[0], states_of(plain, clip)[0])
    torch.nn.init.normal_(moved.motion.leave.weight)
    assert not torch.allclose(states_of(moved, clip)[0], states_of(plain, clip)[0])


def test_tracks_of_another_width_are_refused(front):
    clip = make_clip(4, 1, 0)
    with pytest.raises(InputError, match=r"'clip0': expected track tokens of width 6, got 5"):
        read_tracks(front, [replace(clip, track_tokens=clip.track_tokens[..., :5])], CPU)


@pytest.mark.parametrize("group", [1, 2])
def test_guided_slots_see_a_clip_s_tracks_alone_as_beside_clips_with_more_or_none(group):
    grounder = tiny_grounder(compressor="guided", group=group, object_layers=1, object_reach=2)
    sizes = ((6, 2), (6, 4), (6, 0), (9, 3))  # the first three are of one length, and are seen together
    samples = [make_sample(frames, tracks, k, learn=False) for k, (frames, tracks) in enumerate(sizes)]
    for sample, reply in zip(samples, grounder.outputs(samples), strict=True):
        (alone,) = grounder.outputs([sample])
        for name in ("relevance", "informative", "boxes", "box_scores", "tracks"):
            one, two = getattr(alone, name), getattr(reply, name)
            assert (one is None and two is None) or np.abs(one - two).max() < 1e-5, name


@pytest.mark.parametrize("group", [1, 2])
def test_guided_slots_see_what_changes_in_a_track(group):
    grounder = tiny_grounder(compressor="guided", group=group)
    torch.nn.init.zeros_(grounder.inputs.object.norm.weight)  # object tokens are names alone: only slots can tell
    sample = make_sample(6, 2, 0, learn=False)
    changed = sample.clip.track_tokens.clone()
    changed[1, 4] *= -3
    (before,), (after,) = (
        grounder.outputs([replace(sample, clip=replace(sample.clip, track_tokens=values))])
        for values in (sample.clip.track_tokens, changed)
    )
    difference = np.abs(after.relevance - before.relevance)
    first = 4 // group * group
    assert difference[:first].max() < 1e-6
    assert difference[first:].max() > 1e-6


def test_all_that_reads_tracks_learns_from_a_batch_of_clips_with_and_without_any():
    grounder = tiny_grounder(
        compressor="guided", object_layers=1, object_reach=2, motion_width=8, moving=MOVING
    ).train()  # fmt: skip
    torch.nn.init.normal_(grounder.inputs.tracks.motion.leave.weight)  # zeros at first
    grounder.losses([make_sample(6, 2, 0), make_sample(4, 0, 1)])["total"].backward()
    reading = ("inputs.tracks.", "inputs.track_slots.", "inputs.nobody", "inputs.object.")
    own = {name: p.grad for name, p in grounder.named_parameters() if name.startswith(reading)}
    assert [name for name, gradient in own.items() if gradient is None or not gradient.abs().sum() > 0] == []
    assert {name.split(".")[1] for name in own} == {"tracks", "track_slots", "nobody", "object"}


def test_what_fits_the_words_is_told_of_each_sample_by_its_last_question():
    grounder = tiny_grounder(compressor="guided")
    one, two, none = make_sample(6, 2, 0), make_sample(9, 3, 2), make_sample(4, 0, 1)
    other = replace(one, turns=(Turn(0.0, Role.USER, "a blue ring circles"), *one.turns[1:]))
    samples = [none, two, one, other]
    layouts, batch = grounder.lay_out(samples)
    fits = grounder.read(samples, layouts, batch).fits
    assert fits[0] is None
    for found, sample in zip(fits[1:], samples[1:], strict=True):
        assert found.now.shape == found.there.shape == (sample.clip.tracks, sample.clip.frames)
        assert torch.equal(found.there, ~sample.clip.track_boxes[..., 0].isnan())
        assert found.whole.shape == (sample.clip.tracks,)
    assert not torch.allclose(fits[2].now, fits[3].now)  # of the same clip, asked otherwise
    alone = grounder.read([two], *grounder.lay_out([two])).fits[0]
    torch.testing.assert_close(alone.now, fits[1].now, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(alone.whole, fits[1].whole, atol=1e-5, rtol=1e-5)


def test_a_track_that_is_named_is_seen_where_its_name_stands():
    grounder, sample = tiny_grounder(compressor="guided"), make_sample(6, 2, 0)
    named = replace(sample, turns=(Turn(0.0, Role.USER, "follow <track_1>"), *sample.turns[1:]))
    moved = replace(
        named, clip=replace(named.clip, track_tokens=named.clip.track_tokens + torch.tensor([0.0, 1.0]).view(2, 1, 1))
    )
    fits = []
    for each in (named, moved):
        layouts, batch = grounder.lay_out([each])
        assert layouts[0].named[:, 1].tolist() == [1]
        assert batch.ids[0, layouts[0].named[0, 0]] == grounder.backbone.ids["<track_1>"]
        fits.append(grounder.read([each], layouts, batch).fits[0])
    assert torch.equal(fits[0].there, fits[1].there)
    assert not torch.allclose(fits[0].now[0], fits[1].now[0])  # the other track, which has not changed, fits otherwise
    assert not grounder.lay_out([sample])[0][0].named.numel()
