"""More wordings to learn from: the same stories in other words, none of them a shifted split's."""

from dataclasses import fields

import numpy as np
import pytest

from core.errors import InputError
from miniature.grounder_training.films import Order
from miniature.long_world import make_story
from miniature.long_world.words import SHIFTED, TRAIN, WIDE, Dialect, dialect, forms


def said(value):
    """All phrases and patterns of a part of a dialect."""
    if isinstance(value, dict):
        return {phrase for part in value.values() for phrase in said(part)}
    return set(value)


def sentences(story):
    """All that is asked about a story."""
    return [m.text for m in story.moments] + [q.text for q in (*story.questions, *story.timed_questions)]


@pytest.mark.parametrize("name", [field.name for field in fields(Dialect)])
def test_every_ordinary_wording_and_more_and_no_shifted_one(name):
    wide, plain, shifted = (said(getattr(words, name)) for words in (WIDE, TRAIN, SHIFTED))
    assert plain <= wide
    # A few phrases are of both worlds, as they always were.
    assert wide & shifted == plain & shifted
    assert name == "caption" or len(wide) > 1.5 * len(plain)


def test_no_wide_sentence_is_said_in_shifted_stories():
    wide = {text for seed in range(10_000, 10_040) for text in sentences(make_story(seed, most=40, wide=True))}
    plain = {text for seed in range(10_000, 10_040) for text in sentences(make_story(seed, most=40))}
    shifted = {text for seed in range(300_000, 300_040) for text in sentences(make_story(seed, most=40, shifted=True))}
    assert len(wide - plain) > 1000
    assert not (wide - plain) & shifted


def test_a_wide_story_is_the_same_story_in_other_words():
    plain, wide = (make_story(10_001, wide=flag) for flag in (False, True))
    assert [(o.id, o.colour, o.shape) for o in plain.objects] == [(o.id, o.colour, o.shape) for o in wide.objects]
    assert [(e.object_id, e.act, e.start) for e in plain.events] == [(e.object_id, e.act, e.start) for e in wide.events]
    assert plain.captions != wide.captions or sentences(plain) != sentences(wide)
    np.testing.assert_array_equal(plain.importance, wide.importance)
    assert Order(10_001, 64, wide=True).story().questions == wide.questions


def test_a_shifted_story_has_words_of_its_own():
    with pytest.raises(InputError, match="wide: expected an ordinary story, got a shifted one"):
        make_story(300_000, shifted=True, wide=True)
    assert dialect(True) is SHIFTED


def test_the_verbs_have_their_forms():
    assert forms("run in a circle")[1:] == ("runs in a circle", "running in a circle")
    assert forms("pass from the left to the right")[1] == "passes from the left to the right"
    assert forms("increase in size")[2] == "increasing in size"
