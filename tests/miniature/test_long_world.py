"""The long world: what is said is what is drawn, on the frame; times, lengths and scores are as promised."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from core.errors import InputError
from miniature.long_world import CLIP, FPS, LongClip, Story, make_long_clip, make_story
from miniature.long_world.moments import windows_of
from miniature.long_world.motion import MOTIONS, STEP
from miniature.long_world.tell import act_key, plain_name
from miniature.long_world.words import ACTS, SHIFTED, TRAIN, fill, forms

SEEN = 12


@pytest.fixture(scope="module")
def clips() -> list[LongClip]:
    return [make_long_clip(200_000), make_long_clip(200_001), make_long_clip(300_000, shifted=True)]


@pytest.fixture(scope="module")
def stories() -> list[Story]:
    return [make_story(200_000 + i) for i in range(40)] + [make_story(300_000 + i, shifted=True) for i in range(20)]


def test_a_visitor_is_seen_in_exactly_the_frames_of_its_visits(clips):
    for clip in clips:
        for thing in clip.story.objects:
            wanted = np.full(clip.story.frames, thing.motion == "resident")
            for event in clip.story.events:
                wanted[event.frames] |= event.object_id == thing.id
            seen = clip.masks(thing.id).sum(axis=(1, 2)) >= SEEN
            if thing.motion == "visitor":
                assert np.array_equal(seen, wanted)
            assert not (seen & ~wanted).any()


def test_an_actor_is_mostly_uncovered_during_its_event(clips):
    for clip in clips:
        for event in clip.story.events:
            place = [o.id for o in clip.story.objects].index(event.object_id)
            seen = clip.masks(event.object_id)[event.frames].sum(axis=(1, 2))
            assert (seen / np.maximum(clip.whole[place, event.frames], 1)).mean() > 0.5


def test_residents_move_during_their_events_only(clips):
    for clip in clips:
        for thing in (o for o in clip.story.objects if o.motion == "resident"):
            still = np.full(clip.story.frames - 1, True)
            for event in clip.story.events:
                if event.object_id == thing.id:
                    still[max(event.frames.start - 1, 0) : event.frames.stop] = False
            path = thing.path
            assert not np.diff(path.centre, axis=0)[still].any()
            assert not np.diff(path.radius)[still].any()


def test_no_step_is_longer_than_promised(stories):
    for story in stories:
        for event in story.events:
            path = next(o.path for o in story.objects if o.id == event.object_id)
            assert np.hypot(*np.diff(path.centre[event.frames], axis=0).T).max() <= STEP * 1.8  # zigzag adds an axis


def test_boxes_are_those_of_the_masks(clips):
    clip = clips[0]
    event = clip.story.events[0]
    mask, box = clip.masks(event.object_id), clip.boxes(event.object_id)
    at = event.frames.start
    y, x = np.nonzero(mask[at])
    assert box[at].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    assert np.array_equal(np.isnan(box[:, 0]), ~mask.any(axis=(1, 2)))


def test_clips_last_as_long_as_said_with_three_to_ten_events_of_all_three_lengths(stories):
    for story in stories:
        assert 120 <= story.duration <= 150
        assert story.duration % CLIP == 0
        assert (story.duration > 136) == story.shifted
        assert 3 <= len(story.events) <= 10
        lengths = [e.end - e.start for e in story.events]
        assert min(lengths) < 10
        assert max(lengths) > 30
        assert any(10 < length <= 30 for length in lengths)


def test_every_act_occurs(stories):
    assert {e.act for s in stories for e in s.events} == set(MOTIONS)


def test_windows_are_where_the_sentence_holds(stories):
    for story in stories:
        by_id = {o.id: o for o in story.objects}
        for moment in story.moments:
            assert (np.diff(moment.windows, axis=1) > 0).all()
            assert all(a[1] < b[0] for a, b in pairwise(moment.windows))
            own = [e for e in story.events if e.object_id in moment.object_ids]
            if moment.kind == "presence":
                shown = by_id[moment.object_ids[0]].path.shown
                inside = np.zeros(story.frames, dtype=bool)
                for start, end in moment.windows:
                    inside[int(start * FPS) : int(end * FPS)] = True
                assert np.array_equal(shown, inside)
            elif moment.kind in ("event", "act"):
                matching = [windows_of(e for e in own if act_key(e) == key) for key in {act_key(e) for e in own}]
                assert any(np.array_equal(moment.windows, m) for m in matching)
            else:
                assert len(moment.windows) == 1


def test_the_whole_video_is_a_bad_answer_to_almost_every_query(stories):
    hits = [bool((np.diff(m.windows, axis=1) / s.duration).max() >= 0.5) for s in stories for m in s.moments]
    assert np.mean(hits) <= 0.05


def test_saliency_is_zero_outside_the_windows_and_highest_in_their_middle(stories):
    middle, ends = [], []
    for story in stories:
        for moment in story.moments:
            assert moment.saliency.shape == (story.clips, 3)
            inside = np.zeros(story.clips, dtype=bool)
            for start, end in (moment.windows / CLIP).astype(int):
                inside[start:end] = True
                if end - start >= 6:
                    middle.append(moment.saliency[(start + end) // 2].mean())
                    ends.append(moment.saliency[[start, end - 1]].mean())
            assert not moment.saliency[~inside].any()
            assert moment.saliency.max() <= 4
    assert np.mean(middle) > np.mean(ends) + 1


def test_annotators_differ_and_keep_fifteen_percent(stories):
    for story in stories[:10]:
        assert story.importance.shape == (story.clips, 3)
        assert (story.importance[:, 0] != story.importance[:, 1]).any()
        assert story.summaries.shape == (3, story.frames)
        assert (story.summaries.mean(axis=1) <= 0.15).all()
        assert (story.summaries.mean(axis=1) > 0.12).all()


def test_the_first_annotator_is_exact_and_the_second_up_to_two_seconds_off(stories):
    for story in stories:
        assert [(c.start, c.end) for c in story.captions[0]] == [(e.start, e.end) for e in story.events]
        assert len(story.captions[1]) == len(story.events)
        for caption in story.captions[1]:
            assert 0 <= caption.start < caption.end <= story.duration
            assert min(abs(caption.start - e.start) + abs(caption.end - e.end) for e in story.events) <= 4


def test_questions_have_the_answers_that_the_events_give(stories):
    for story in stories:
        names = {plain_name(o) for o in story.objects}
        first = {}
        for event in reversed(story.events):
            first[event.object_id] = event.start
        starts = {plain_name(o): first.get(o.id) for o in story.objects}
        for question in story.questions:
            if question.options:
                assert len(set(question.options)) == 5
                assert question.answer in question.options
            if question.kind == "order":
                named = [n for n in names if n in question.text]
                assert question.answer == min(named, key=lambda n: starts[n])
            elif question.kind == "act":
                assert question.answer in {ACTS[act_key(e)] for e in story.events}
            elif question.kind == "colour":
                assert question.answer in {o.colour for o in story.objects}


def test_yes_and_no_are_about_as_frequent(stories):
    answers = [q.answer for s in stories for q in s.questions if q.kind == "yesno"]
    assert set(answers) == {"yes", "no"}
    assert 0.35 < answers.count("yes") / len(answers) < 0.65


def test_timed_answers_come_after_the_question_in_order(stories):
    several = 0
    for story in stories:
        spans = {(e.start, e.end) for e in story.events}
        for question in story.timed_questions:
            several += len(question.answers) > 1
            assert question.answers
            assert all((a.start, a.end) in spans for a in question.answers)
            assert question.asked <= question.answers[0].start
            assert [a.start for a in question.answers] == sorted(a.start for a in question.answers)
    assert several > len(stories) / 2


def test_descriptions_name_what_the_object_has_and_does(stories):
    for story in stories:
        assert [d.object_id for d in story.descriptions] == [o.id for o in story.objects]
        for thing, description in zip(story.objects, story.descriptions, strict=True):
            assert all(thing.colour in t for t in (*description.texts, *description.looks))
            done = [act_key(e) for e in story.events if e.object_id == thing.id]
            assert description.attributes["acts"].split() == list(dict.fromkeys(done))


def test_looks_of_objects_differ_in_colour_or_shape(stories):
    for story in stories:
        assert len({plain_name(o) for o in story.objects}) == len(story.objects)


def test_expressions_about_acts_have_the_spans_of_their_targets_events(stories):
    kinds = set()
    for story in stories:
        for expression in story.expressions:
            kinds.add((expression.kind, len(expression.target_ids or ()) > 0))
            if expression.spans is not None:
                starts = {e.start for e in story.events if e.object_id in (expression.target_ids or ())}
                assert all(span.start in starts for span in expression.spans)
    assert kinds == {("attribute", True), ("attribute", False), ("motion", True), ("motion", False)}


def test_the_same_seed_gives_the_same_clip_and_more_questions_change_no_path():
    a, b = make_long_clip(7, seconds=16), make_long_clip(7, seconds=16, most=3)
    assert np.array_equal(a.frames, b.frames)
    assert np.array_equal(a.labels, make_long_clip(7, seconds=16).labels)
    assert a.story.events == b.story.events
    assert len(b.story.questions) <= 3
    assert not np.array_equal(a.frames, make_long_clip(8, seconds=16).frames)
    assert not np.array_equal(a.frames, make_long_clip(7, seconds=16, shifted=True).frames)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"seed": -1}, "seed: expected a whole number from 0"),
        ({"seed": 1, "seconds": 9}, "seconds: expected an even number from 8"),
        ({"seed": 1, "seconds": 6}, "seconds: expected an even number from 8"),
        ({"seed": 1, "most": 0}, "most: expected at least 1"),
    ],
)
def test_impossible_wishes_are_one_sentence(kwargs, message):
    with pytest.raises(InputError, match=message):
        make_story(**kwargs)


def test_an_unknown_object_is_named(clips):
    with pytest.raises(InputError, match="expected an object of"):
        clips[0].masks("99")


def test_arrays_of_another_length_are_refused(clips):
    with pytest.raises(InputError, match="long clip labels"):
        dataclasses.replace(clips[0], labels=clips[0].labels[1:])


def test_many_tiny_clips_can_be_made():
    for seed in range(30):
        story = make_story(seed, seconds=8 + 2 * (seed % 8))
        assert story.events
        assert story.questions
        assert story.moments


@pytest.mark.parametrize(
    ("phrase", "third", "gerund"),
    [
        ("spin", "spins", "spinning"),
        ("move in a circle", "moves in a circle", "moving in a circle"),
        ("cross to the right", "crosses to the right", "crossing to the right"),
        ("go back and forth", "goes back and forth", "going back and forth"),
        ("get bigger and smaller", "gets bigger and smaller", "getting bigger and smaller"),
        ("zigzag", "zigzags", "zigzagging"),
        ("stay still", "stays still", "staying still"),
        ("change size again and again", "changes size again and again", "changing size again and again"),
    ],
)
def test_english_forms(phrase, third, gerund):
    assert forms(phrase) == (phrase, third, gerund)


def test_an_stands_before_orange_and_object():
    assert fill("when a {s} {v}", forms("spin"), s="orange star") == "when an orange star spins"
    assert fill("a {s} {v}", forms("grow"), s="object") == "an object grows"


def test_both_dialects_can_say_every_act():
    assert set(TRAIN.acts) == set(SHIFTED.acts) == set(ACTS)
    assert set(TRAIN.questions) == set(SHIFTED.questions)
    assert not set(TRAIN.event) & set(SHIFTED.event)
