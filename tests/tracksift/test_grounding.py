"""Requests and truths become samples in one manner, and caches become clips, or are refused by name."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from cache import FrameFeatures, open_cache, write_cache, write_frames
from core.errors import CacheError, CheckpointError, InputError, ScorerMismatchError
from core.types import TimeSpan, TrackSet
from llm_grounder.tasks.spec import Told
from llm_grounder.types import Clip, Read, Region, Reply, Request, Role, Task
from selector.inputs import read_tracks
from selector.settings import BOX_WIDTH, OUTLINE_WIDTH
from tests.factories import make_track_set
from tests.llm_grounder.tiny_grounder import make_clip
from tracksift.clips import Inputs, read_clip, read_inputs, read_track_clip, see
from tracksift.grounding import Manner, Truth, lesson, question, told_terms

ENCODER = "a" * 64
WINDOWS = Truth(np.array([[1.0, 2.5]]), np.array([0.0, 1.0]))
TOLD = Truth(told=(Told(0.0, 4.0, "a star spins"),))


def clip(frames=8):
    return Clip("v", torch.zeros(frames, 1, 2), np.arange(frames) / 2, frames / 2)


def learn(task, truth, manner=None, text="a star", **values):
    return lesson(clip(), Request(task, text, **values), truth, manner or Manner(), np.random.default_rng(0))


def test_windows_are_regressed_said_or_neither_as_the_manner_has_it():
    spans = learn(Task.MOMENTS, WINDOWS)
    assert (spans.reads, len(spans.turns), spans.targets.spans.tolist()) == ((Read.SPANS,), 1, [[1.0, 2.5]])
    words = learn(Task.MOMENTS, WINDOWS, Manner("text", "words"))
    assert (words.reads, words.turns[-1].text, words.targets.spans) == ((), "1.0 - 2.5 seconds.", None)
    neither = learn(Task.MOMENTS, WINDOWS, Manner(windows="relevance"))
    assert (neither.reads, len(neither.turns), neither.targets.spans) == ((), 1, None)


def test_a_lesson_begins_with_the_very_question_of_inference():
    request = Request(Task.QA, "what spins?", id="7")
    for manner in (Manner(), Manner("text", "words", wording=-1)):
        asked, learnt = question(clip(), request, manner), lesson(
            clip(), request, Truth(text="a star"), manner, np.random.default_rng(0)
        )  # fmt: skip
        assert learnt.turns[:1] == asked.turns
        assert (learnt.turns[1].role, learnt.turns[1].text, learnt.turns[1].time) == (
            Role.ASSISTANT, "a star", math.inf
        )  # fmt: skip


def test_relevance_is_worth_where_annotators_gave_it_and_else_the_windows():
    assert learn(Task.MOMENTS, WINDOWS).targets.relevance.tolist() == [0] * 4 + [1] * 4
    inside = learn(Task.MOMENTS, Truth(np.array([[1.0, 2.5]]))).targets.relevance.tolist()
    assert inside == [0, 0, 1, 1, 1, 0, 0, 0]


def test_live_answers_are_said_within_their_span_while_they_are_due():
    sample = learn(Task.TIMED_QA, TOLD, Manner(live=True))
    (said,) = [turn for turn in sample.turns if turn.role is Role.ASSISTANT]
    assert 2.0 <= said.time <= 3.0
    due = sample.targets.informative.numpy()
    assert due[int(said.time * 2)] == 1
    assert not due[: int(2.0 * 2)].any()
    assert not due[int(said.time * 2) + 1 :].any()
    late = learn(Task.TIMED_QA, TOLD, Manner("text"))
    assert late.turns[-1].text.startswith("2.0 seconds")


def test_boxes_are_those_shown_at_the_frames_times():
    boxes = np.array([[0, 0, 0.5, 0.5], [np.nan] * 4])
    truth = Truth(boxes=boxes, box_times=np.array([0.0, 2.0]))
    sample = learn(Task.SOT, truth, region=Region(0.0, (0, 0, 0.5, 0.5)))
    assert sample.targets.boxes[:, 0, 2].tolist()[:4] == [0.5] * 4
    assert sample.targets.boxes[4:].isnan().all()


def clip_with_tracks(*boxes, frames=8):
    """The clip with tracks that stand still in a box each, the last of them from 2.5 s on alone."""
    shown = torch.tensor(boxes)[:, None].repeat(1, frames, 1)
    shown[-1, :5] = torch.nan
    return replace(clip(frames), track_tokens=torch.zeros(len(boxes), frames, 3), track_boxes=shown)


LEFT, RIGHT = (0.0, 0.0, 0.4, 1.0), (0.6, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("time", "box", "track"),
    [
        (0.0, LEFT, 0),
        (3.9, (0.0, 0.0, 0.4, 0.3), 0),  # IoU .3
        (3.9, (0.0, 0.0, 0.4, 0.2), None),  # IoU .2
        (0.0, (0.4, 0.0, 0.6, 1.0), None),  # between the two
        (2.4, RIGHT, None),  # not there yet
        (2.5, RIGHT, 1),
    ],
)
def test_a_region_names_the_track_that_lies_there_in_the_frame_at_its_time(time, box, track):
    request = Request(Task.SOT, region=Region(time, box))
    asked = question(clip_with_tracks(LEFT, RIGHT), request, Manner())
    assert asked.request.track == track
    assert asked.turns[0].text.endswith(f" <track_{track}>") == (track is not None)
    assert question(clip(), request, Manner()).request == request
    chosen = replace(request, track=1)
    assert question(clip_with_tracks(LEFT, RIGHT), chosen, Manner()).request == chosen


@pytest.mark.parametrize("request_", [Request(Task.RSOT, "a star"), Request(Task.SOT, region=Region(0.0, LEFT))])
def test_who_is_followed_is_learnt_from_tracks_where_there_are_any(request_):
    half = np.array([LEFT] * 4 + [RIGHT] * 4)  # what is followed goes from one side to the other
    half[2] = np.nan
    truth = Truth(boxes=half, box_times=np.arange(8) / 2)
    seen = clip_with_tracks(LEFT, (0.4, 0.0, 0.6, 1.0), RIGHT)
    learnt = lesson(seen, request_, truth, Manner(), np.random.default_rng(0))
    assert learnt.reads == question(seen, request_, Manner()).reads == (Read.TRACKS,)
    assert learnt.targets.tracks.tolist() == [0, 0, 1]  # the first is there too when the object is elsewhere
    without = lesson(clip(), request_, truth, Manner(), np.random.default_rng(0))
    assert (without.reads, without.targets.tracks) == ((), None)
    assert torch.equal(without.targets.boxes.nan_to_num(-1), learnt.targets.boxes.nan_to_num(-1))


def test_what_holds_of_each_track_and_frame_is_learnt_from_boxes_of_those_who_act():
    acting = np.full((2, 8, 4), np.nan)
    acting[0, :3], acting[1, 5:] = LEFT, RIGHT
    truth = Truth(spans=np.array([[0.0, 4.0]]), box_times=np.arange(8) / 2, acting=acting)
    seen, request = clip_with_tracks(LEFT, (0.4, 0.0, 0.6, 1.0), RIGHT), Request(Task.MOMENTS, "a star spins")
    learnt = lesson(seen, request, truth, Manner(), np.random.default_rng(0)).targets
    assert learnt.now.tolist() == [[1] * 3 + [0] * 5, [0] * 8, [0] * 5 + [1] * 3]
    assert learnt.tracks.tolist() == [1, 0, 1]
    without = lesson(clip(), request, truth, Manner(), np.random.default_rng(0)).targets
    assert (without.now, without.tracks) == (None, None)


def test_tracks_are_not_asked_about_where_nobody_is_followed():
    seen = clip_with_tracks(LEFT, RIGHT)
    assert question(seen, Request(Task.MOMENTS, "a star"), Manner()).reads == (Read.SPANS,)
    described = Request(Task.REG, region=Region(0.0, LEFT))
    assert (question(seen, described, Manner()).reads, question(seen, described, Manner()).request.track) == ((), 0)


def test_nothing_to_learn_is_refused():
    with pytest.raises(InputError, match="expected something to learn"):
        learn(Task.QA, Truth())


def test_motion_is_the_change_since_the_frame_before():
    patches = torch.tensor([[[1.0]], [[4.0]], [[2.0]]])
    assert see(patches, motion=True).tolist() == [[[1, 0]], [[4, 3]], [[2, -2]]]
    assert see(patches, motion=False) is patches


def hidden():
    """Three tracks with looks, 6 frames; track 1 has no mask in frame 2, and one that its object score denies in 0."""
    made = make_track_set(3, width=4, look=3, absent=[(), (2,), ()])
    score = np.array([-1, 5, -5, 5, 5, 5], dtype=np.float32)
    first, second, third = made.tracks
    return replace(made, tracks=(first, replace(second, object_score=score), third))


def write_seen(path, made):
    """A cache of tracks, and features of frames 0 and 2."""
    write_cache(path, made)
    pooled, patches = np.ones((2, 5), dtype=np.float16), np.ones((2, 4, 3), dtype=np.float16)
    facts = {"encoder_sha256": ENCODER, "grid": 2, "per_second": None}
    write_frames(path, FrameFeatures(np.array([0, 2], dtype=np.int32), pooled, patches, facts))
    return path


@pytest.fixture
def path(tmp_path):
    made = make_track_set(3, width=4)
    return write_seen(tmp_path / "v.h5", TrackSet(made.video, made.tracks, {}))


def test_a_clip_has_the_features_times_and_tracks_of_its_cache(path):
    found = read_clip(path, Inputs(ENCODER, 2, tracks=2))
    assert (found.features.shape, found.frames, found.tracks) == ((2, 4, 6), 2, 2)
    assert found.cache
    assert found.track_boxes.nan_to_num().max() <= 1
    assert read_clip(path, Inputs(ENCODER, 2)).tracks == 0


def test_tracks_by_their_numbers_are_what_the_selector_reads_without_object_tokens(tmp_path):
    made = hidden()
    values, boxes = read_track_clip(made, numbers=True)
    wanted = read_tracks(made, geometry=BOX_WIDTH + OUTLINE_WIDTH, looks=True, tokens=False).values
    there = torch.tensor([[1] * 6, [0, 1, 0, 1, 1, 1], [1] * 6], dtype=torch.bool)
    assert (values.dtype, values.shape) == (torch.float16, (3, 6, 19 + 3))
    assert torch.equal(values[there], torch.from_numpy(wanted)[there])
    found = read_clip(write_seen(tmp_path / "v.h5", made), Inputs(ENCODER, 2, tracks=2, numbers=True))
    assert torch.equal(found.track_tokens, values[:2, [0, 2]])
    assert torch.equal(found.track_boxes.nan_to_num(-1), boxes[:2, [0, 2]].nan_to_num(-1))


@pytest.mark.parametrize("numbers", [False, True])
def test_an_absent_track_has_neither_values_nor_a_box(tmp_path, numbers):
    made = hidden()
    write_cache(tmp_path / "v.h5", made)
    for source in (made, open_cache(tmp_path / "v.h5")):
        values, boxes = read_track_clip(source, numbers=numbers)
        assert boxes.isnan().all(-1).nonzero().tolist() == [[1, 0], [1, 2]]
        assert (values == 0).all(-1).nonzero().tolist() == [[1, 0], [1, 2]]
    shares = made.tracks[0].boxes / np.float32([20, 16, 20, 16])
    assert (boxes.dtype, boxes[0].tolist()) == (torch.float32, shares.tolist())


@pytest.mark.parametrize("numbers", [False, True])
def test_a_video_may_have_no_tracks(numbers):
    values, boxes = read_track_clip(make_track_set(0), numbers=numbers)
    assert (values.shape[:2], boxes.shape) == ((0, 6), (0, 6, 4))


def test_tracks_without_looks_have_no_numbers_to_be_read_by(path):
    with pytest.raises(ScorerMismatchError, match="expected tracks with looks"):
        read_clip(path, Inputs(ENCODER, 2, tracks=2, numbers=True))


@pytest.mark.parametrize(
    "inputs", [Inputs(ENCODER, 4), Inputs(ENCODER, 2, 2), Inputs(ENCODER, 2, 1, 2.0), Inputs("b" * 64, 2)]
)
def test_features_made_otherwise_are_refused(path, inputs):
    with pytest.raises(CacheError, match="extract-features"):
        read_clip(path, inputs)


def test_inputs_come_back_from_a_record_or_are_missed_by_name():
    inputs = Inputs(ENCODER, 4, 2, 2.0, tracks=8, numbers=True, trackless=True)
    assert read_inputs({"inputs": inputs.record()}) == inputs
    older = {"encoder": ENCODER, "grid": 4, "tiles": 2, "per_second": 2.0, "motion": True, "tracks": 8}
    assert read_inputs({"inputs": older}) == replace(inputs, numbers=False, trackless=False)
    with pytest.raises(CheckpointError, match="expected a record with inputs"):
        read_inputs({})


@pytest.mark.parametrize("wrong", [{"numbers": True}, {"trackless": True}])
def test_how_tracks_are_read_means_nothing_without_any(wrong):
    with pytest.raises(InputError, match="expected 1 track or more for numbers or trackless, got 0"):
        Inputs(ENCODER, **wrong)


def test_events_are_found_before_words_about_them_where_the_manner_says_so():
    told = replace(TOLD, spans=np.array([[0.0, 4.0]]))
    plain = learn(Task.CAPTIONS, told)
    assert (plain.reads, plain.targets.spans) == ((), None)
    found = learn(Task.CAPTIONS, told, Manner(events=True))
    assert (found.reads, found.targets.spans.tolist()) == ((Read.SPANS,), [[0.0, 4.0]])
    assert found.turns == (plain.turns[0], replace(plain.turns[1], given=True))
    assert learn(Task.QA, Truth(text="red"), Manner(events=True)).reads == ()


def test_windows_from_nowhere_are_refused():
    with pytest.raises(InputError, match=r"expected windows from one of .*, got 'air'"):
        Manner(windows="air")


def test_told_windows_are_those_of_tracks_that_fit_rounded_as_annotators_did():
    clip = make_clip(frames=40, tracks=2, rate=2.0)
    fits = np.zeros((2, 40))
    fits[0, 3:13] = 0.9
    fits[1, 24:35] = 0.9
    reply = Reply(fits=fits, spans=(TimeSpan(0.0, 20.0, 0.9),))

    def told(task, **changes):
        manner = Manner(events=True, **changes)
        return told_terms(question(clip, Request(task, "what?", asked=8.0), manner), reply, manner).given

    assert told(Task.CAPTIONS) == ((1.5, 6.5), (12.0, 17.5))
    assert told(Task.CAPTIONS, step=2.0) == ((2.0, 6.0), (12.0, 18.0))
    assert told(Task.CAPTIONS, step=15.0) == ((0.0, 15.0), (15.0, 20.0))
    assert told(Task.TIMED_QA) == ((12.0, 17.5),)  # the other one is over when it is asked
    assert told(Task.QA) is None


@pytest.mark.parametrize("name", ["step", "smooth"])
def test_seconds_below_nothing_are_refused(name):
    with pytest.raises(InputError, match=f"manner: {name}: expected 0.0 or more seconds, got -1.0"):
        Manner(**{name: -1.0})


def test_a_power_below_nothing_is_refused():
    with pytest.raises(InputError, match=r"manner: weigh: expected 0.0 or more, got -1.0"):
        Manner(weigh=-1.0)
