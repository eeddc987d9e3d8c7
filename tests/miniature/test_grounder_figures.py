"""What is asked of stories, what trivial answers and an oracle earn by every task's metric, and how films are seen."""

import re
import time
from contextlib import closing

import numpy as np
import pytest
import torch

from core.images import load_image_encoder
from llm_grounder.types import Task
from miniature.eval_grounder import bars, held_out
from miniature.grounder_training import films as films_module
from miniature.grounder_training.answers import blind, oracle, shuffled
from miniature.grounder_training.attributes import read_attributes
from miniature.grounder_training.figures import score
from miniature.grounder_training.films import Order, Sight, Studio, develop, shoot
from miniature.grounder_training.lessons import MIXTURE, acting, clip_of, description, draw, lessons_of, texts_of
from miniature.long_world import make_long_clip, make_story
from miniature.long_world.tell import act_name
from miniature.long_world.words import forms
from miniature.splits import LONG_SPLITS
from tracksift.models import Models

SEED, SECONDS = 200_003, 24


@pytest.fixture(scope="module")
def sight():
    return Sight(load_image_encoder(Models().text_spec, "cpu"), 4)


@pytest.fixture(scope="module")
def films(sight):
    orders = [Order(SEED + i, sight.side, seconds=SECONDS) for i in range(2)]
    return [develop(shoot(order), sight) for order in orders]


@pytest.fixture(scope="module")
def truth(films):
    return [film.story for film in films], [film.boxes for film in films]


def test_an_oracle_is_best_at_everything_and_who_looks_at_nothing_is_not(truth):
    stories, boxes = truth
    best, worst = score(stories, oracle(stories, boxes), boxes), score(stories, blind(stories, boxes), boxes)
    assert best.keys() == worst.keys()
    for name in ("moments_r1_50", "questions_accuracy", "reg_attributes", "captions_f1"):
        assert best[name] == 1
        assert worst[name] < 1
    for name in ("magqa_in_span", "captions_cider", "rsot_auc", "sot_auc", "highlights_map"):
        assert best[name] > worst[name]
    assert score(stories, shuffled(stories), boxes)["captions_f1"] < 1
    half = bars({"trivial": worst, "oracle": best})
    assert half["moments_r1_50"] == (1 + worst["moments_r1_50"]) / 2


def test_an_oracle_tells_every_event_in_plain_words_whatever_the_annotators_took():
    for shifted in (False, True):
        story = make_story(SEED, shifted=shifted)
        (known,) = oracle([story], [np.zeros((len(story.objects), story.frames, 4), np.float32)])
        times = [(c.start, c.end) for c in story.captions[0]]
        assert [(c.start, c.end) for c in known.captions] == times
        things = {thing.id: thing for thing in story.objects}
        for caption, event in zip(known.captions, story.events, strict=True):
            thing = things[event.object_id]
            assert re.fullmatch(rf"an? {thing.colour} {thing.shape} {forms(act_name(event))[1]}", caption.text)
        assert {c.text for c in known.captions} != {c.text for c in story.captions[0]}


def test_films_are_seen_as_extract_features_sees_frames(films, sight):
    clip = make_long_clip(SEED, seconds=SECONDS)
    _, patches = sight.encoder.encode_frames(clip.frames[:3], 4)
    np.testing.assert_allclose(films[0].patches[:3].float(), patches, atol=2e-3)
    tiled = Sight(sight.encoder, 4, 2)
    seen = develop(shoot(Order(SEED, tiled.side, seconds=8)), tiled).patches[:2]
    _, expected = sight.encoder.encode_frames(make_long_clip(SEED, seconds=8).frames[:2], 4, 2)
    np.testing.assert_allclose(seen.float(), expected, atol=2e-3)


def test_boxes_are_those_of_the_visible_pixels(films):
    clip = make_long_clip(SEED, seconds=SECONDS)
    for number, thing in enumerate(clip.story.objects):
        np.testing.assert_allclose(films[0].boxes[number] * 256, clip.boxes(thing.id), atol=1e-4)


def test_every_task_is_asked_and_has_a_truth(films):
    film = films[0]
    for task in MIXTURE:
        found = lessons_of(film.story, film.boxes, task)
        assert found
        assert {example.request.task for example in found} == {task}
    rng = np.random.default_rng(0)
    assert {draw(rng, film.story, film.boxes, MIXTURE).request.task for _ in range(200)} == set(MIXTURE)


def test_those_act_whom_a_moment_s_words_describe_while_they_do():
    kinds = set()
    for seed in range(SEED, SEED + 6):
        story = make_story(seed)
        boxes = np.random.default_rng(seed).random((len(story.objects), story.frames, 4), dtype=np.float32)
        for moment in story.moments:
            found, times = acting(story, boxes, moment), np.arange(story.frames) / 2
            there = ~np.isnan(found[..., 0])
            assert there.shape == (len(moment.object_ids), story.frames)
            inside = ((times[:, None] >= moment.windows[:, 0]) & (times[:, None] < moment.windows[:, 1])).any(1)
            if moment.kind == "order":  # which time it is is not said by what is seen
                assert there.any(0)[inside].all()
            else:
                assert (there.any(0) == inside).all()
            for m, name in enumerate(moment.object_ids):
                own = next(o for o, thing in enumerate(story.objects) if thing.id == name)
                assert np.array_equal(found[m, there[m]], boxes[own, there[m]])
            kinds.add(moment.kind)
    assert kinds == {"event", "act", "presence", "order"}


def test_a_blind_clip_shows_nothing(films):
    assert not clip_of(films[0], motion=True, blind=True).features.any()
    assert clip_of(films[0], motion=True).features.shape == (2 * SECONDS, 16, 384)


def test_plain_descriptions_are_read_back_exactly():
    for story in (make_story(SEED + i) for i in range(6)):
        for number, told in enumerate(story.descriptions):
            for text in (description(story, number), *told.texts):
                assert read_attributes(text) == dict(told.attributes)


@pytest.mark.parametrize(
    ("text", "attribute"),
    [("a red blue star that spins", "colour"), ("a star that spins", "colour"), ("", "shape"), ("spins", "shape")],
)
def test_what_is_not_said_or_said_twice_is_no_attribute(text, attribute):
    assert attribute not in read_attributes(text)


def test_unknown_acts_are_wrong():
    assert read_attributes("a star that spins and then flies")["acts"] == "spin ?"


def test_a_studio_goes_on_behind_what_was_drawn(sight):
    like = Order(0, 0, seconds=8)
    first, later = (Studio(2, sight, workers=0, skip=skip, like=like) for skip in (0, 1))
    for studio in (first, later):
        assert list(studio.wait_for(2))[-1] == 2
        studio.close()
    assert first.films[1].story.seed == later.films[0].story.seed
    seeds = {seed for split in LONG_SPLITS.values() for seed in split.seeds}
    assert not seeds & {film.story.seed for film in first.films + later.films}


def test_films_developed_by_a_thread_are_as_many_as_are_asked_for_and_its_faults_are_told(sight, monkeypatch):
    studio = Studio(2, sight, workers=1, like=Order(0, 0, seconds=8, most=4), apart=True)
    with closing(studio):
        assert list(studio.wait_for(1))[-1] >= 1
        begin = studio.drawn
        assert studio.take(0) == begin
        assert taken(studio, 1) == 1
        time.sleep(0.2)
        assert studio.drawn == begin + 1  # it waits to be asked
        order = Order(studio.films[begin % 2].story.seed, sight.side, seconds=8, most=4)
        assert torch.equal(develop(shoot(order), sight).patches, studio.films[begin % 2].patches)
        monkeypatch.setattr(films_module, "develop", lambda footage, sight: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            taken(studio, 1)


def taken(studio, most):
    """How many films a studio takes of so many, within a minute."""
    before, end = studio.drawn, time.monotonic() + 60
    studio.take(most)
    while studio.drawn < before + most and time.monotonic() < end:
        time.sleep(0.05)
        studio.take(most - (studio.drawn - before))
    return studio.drawn - before


def test_all_words_of_the_vocabulary_are_the_worlds():
    words = " ".join(texts_of([make_story(SEED)]))
    assert "star" in words or "disc" in words or "ring" in words
    assert lessons_of(make_story(SEED), np.full((9, 1, 4), np.nan, dtype=np.float32), Task.REG) == []


def test_held_out_films_are_the_splits_first(sight):
    (film,) = held_out("valid", 1, sight, workers=0, seconds=8)
    assert film.story.seed == LONG_SPLITS["valid"].first_seed
