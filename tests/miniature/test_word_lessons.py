"""What tracks say against the words for what they show: the right words cost least, unknown looks cost nothing."""

import numpy as np
import pytest
import torch

from llm_grounder.backbone import TinyShape, make_tokenizer, tiny_backbone
from miniature.grounder_training.lessons import texts_of
from miniature.grounder_training.shown import KINDS, NONE, NOTHING
from miniature.grounder_training.word_lessons import WordLessons
from miniature.long_world import make_story


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    tokenizer = make_tokenizer(texts_of([make_story(seed) for seed in range(20)]), 600)
    return tiny_backbone(tokenizer, TinyShape(32, 1, 2, 64, 600), spans=1, tracks=1)


def number(kind, value):
    return list(KINDS[kind]).index(value)


def seen(*values, act=NOTHING):
    """[1, kinds] of a colour and a shape, where they are named, and an act."""
    named = dict(zip(("colour", "shape"), values, strict=False)) | ({} if act == NOTHING else {"act": act})
    return torch.tensor([[number(kind, named[kind]) if kind in named else NOTHING for kind in KINDS]])


def say(backbone, *words):
    """Logits [1, V] that are high for some words."""
    logits = torch.zeros(1, len(backbone.row_of))
    for word in words:
        logits[0, backbone.tokenizer.encode(f" {word}", add_special_tokens=False)] = 4.0
    return logits


def test_the_words_for_what_is_shown_cost_least(backbone):
    lessons, truth = WordLessons(backbone), seen("red", "star", act="spin")
    right = lessons(say(backbone, "red", "star", "spins"), truth)
    for wrong in (("blue", "star", "spins"), ("red", "ring", "spins"), ("red", "star", "circles")):
        assert lessons(say(backbone, *wrong), truth) > right


def test_doing_nothing_has_no_word_and_what_is_unknown_costs_nothing(backbone):
    lessons, red, still = WordLessons(backbone), seen("red"), seen("red", act=NONE)
    said, other = torch.randn(2, 1, len(backbone.row_of))
    torch.testing.assert_close(lessons(said, still), lessons(said, red))
    unknown = seen()
    assert lessons(said, unknown) == 0
    both = lessons(torch.cat([said, other]), torch.cat([red, unknown]))
    torch.testing.assert_close(both, lessons(said, red))


def test_what_tracks_say_is_learnt(backbone):
    torch.manual_seed(0)
    lessons = WordLessons(backbone)
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(np.stack([rng.integers(len(values), size=64) for values in KINDS.values()], 1))
    says = torch.nn.Embedding(64, backbone.width)
    optimizer = torch.optim.Adam(says.parameters(), 0.3)
    first = lessons(backbone.logits(says.weight), truth).item()
    for _ in range(60):
        optimizer.zero_grad()
        lessons(backbone.logits(says.weight), truth).backward()
        optimizer.step()
    assert lessons(backbone.logits(says.weight), truth).item() < 0.7 * first
