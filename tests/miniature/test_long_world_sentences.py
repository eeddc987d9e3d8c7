"""A reader of sentences that knows only words and events finds the windows and answers that the long world gives."""

import re
from itertools import product

import numpy as np
import pytest

from miniature.long_world import make_story
from miniature.long_world.moments import windows_of
from miniature.long_world.tell import act_key
from miniature.long_world.words import ACTS, COUNTS, ORDINALS, dialect, forms
from miniature.world.phrases import SHAPE_NOUNS, TEXTURE_TAILS, TEXTURE_WORDS
from miniature.world.spec import COLOURS

SHAPES = {word: shape for shape, nouns in SHAPE_NOUNS.items() for word in nouns}
TEXTURES = {word: texture for texture, all_words in TEXTURE_WORDS.items() for word in all_words}
TEXTURES |= {tail.split()[-1]: texture for texture, tail in TEXTURE_TAILS.items()}
STORIES = [make_story(200_000 + i, most=40) for i in range(12)] + [
    make_story(300_000 + i, most=40, shifted=True) for i in range(8)
]


def readings(patterns, text, shifted):
    """Every (noun, act key, ordinal) that a sentence can be read as by one of the patterns."""
    acts = dialect(shifted).acts
    for pattern, form in product(patterns, range(3)):
        slot = "{" + "bvg"[form] + "}"
        if slot not in pattern and not (form == 0 and not re.search(r"\{[bvg]\}", pattern)):
            continue
        for key, phrases in acts.items():
            for phrase in phrases:
                filled = pattern.replace(slot, forms(phrase)[form])
                expression = re.escape(filled).replace(r"\{s\}", "(?P<s>.+?)").replace(r"\{n\}", "(?P<n>\\w+)")
                expression = re.sub(r"(^|\\ )a\\ ", r"\1an?\\ ", expression)
                if found := re.fullmatch(expression, text):
                    groups = found.groupdict()
                    yield groups.get("s"), key if slot in pattern else None, groups.get("n")


def fitting(story, noun):
    """The objects that all words of a phrase fit; None where a word is no word of looks."""
    objects = list(story.objects)
    for word in noun.replace("with ", "").split():
        if word in COLOURS:
            objects = [o for o in objects if o.colour == word]
        elif word in SHAPES:
            objects = [o for o in objects if o.shape == SHAPES[word]]
        elif word in TEXTURES:
            objects = [o for o in objects if o.texture == TEXTURES[word]]
        elif word not in ("object", "shape", "thing"):
            return None
    return objects


def doing(story, noun, key):
    """The events of the objects of a phrase, of one act."""
    ids = {o.id for o in fitting(story, noun) or ()}
    return [e for e in story.events if e.object_id in ids and key in (None, act_key(e))]


def windows_read(story, moment):
    words = dialect(story.shifted)
    patterns = {"event": words.event, "act": words.act, "presence": words.presence, "order": words.order}[moment.kind]
    for noun, key, number in readings(patterns, moment.text, story.shifted):
        if noun is not None and not fitting(story, noun):
            continue
        events = [e for e in story.events if act_key(e) == key] if noun is None else doing(story, noun, key)
        yield windows_of(events if number is None else events[ORDINALS.index(number) :][:1]).tolist()


@pytest.mark.parametrize("story", STORIES, ids=lambda s: f"{s.seed}")
def test_windows_are_those_that_a_reader_finds(story):
    for moment in story.moments:
        assert moment.windows.tolist() in list(windows_read(story, moment)), moment.text


@pytest.mark.parametrize("story", STORIES, ids=lambda s: f"{s.seed}")
def test_answers_are_those_that_a_reader_finds(story):
    asked = dialect(story.shifted).questions
    for question in story.questions:
        found = set()
        for pattern in {"count": ("count_act", "count_times"), "order": ()}.get(question.kind, (question.kind,)):
            for noun, key, _ in readings(asked[pattern], question.text, story.shifted):
                if noun is None:
                    found.add(COUNTS[len({e.object_id for e in story.events if act_key(e) == key})])
                    continue
                if fitting(story, noun) is None:
                    continue
                events = doing(story, noun, key)
                actors = [o for o in story.objects if o.id in {e.object_id for e in events}]
                found |= {
                    "yesno": {"yes" if events else "no"},
                    "count": {COUNTS[len(events)]} if events else set(),
                    "colour": {o.colour for o in actors},
                    "shape": {o.shape for o in actors},
                    "act": {ACTS[act_key(e)] for e in events},
                }[question.kind]
        if question.kind != "order":
            assert question.answer in found, question.text
            assert len(found) == 1 or question.kind in ("count", "yesno"), (question.text, found)


def test_all_kinds_were_read():
    assert {m.kind for s in STORIES for m in s.moments} == {"event", "act", "presence", "order"}
    assert {q.kind for s in STORIES for q in s.questions} == {"yesno", "colour", "shape", "count", "order", "act"}
    assert np.mean([len(s.moments) for s in STORIES]) > 10
