"""Object tokens among the words for what they show: the right words cost least, unknown looks cost nothing."""

import numpy as np
import pytest
import torch

from llm_grounder.backbone import TinyShape, make_tokenizer, tiny_backbone
from miniature.grounder_training.lessons import texts_of
from miniature.grounder_training.shown import KINDS, NOTHING
from miniature.grounder_training.word_lessons import WordLessons
from miniature.long_world import make_story


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    tokenizer = make_tokenizer(texts_of([make_story(seed) for seed in range(20)]), 600)
    return tiny_backbone(tokenizer, TinyShape(32, 1, 2, 64, 600), spans=1, tracks=1)


def number(kind, value):
    return list(KINDS[kind]).index(value)


def table_of(backbone):
    return backbone.lm.get_input_embeddings().weight.detach()


def say(backbone, *words):
    """A token that lies in the middle of some words, [1, H]."""
    ids = [i for word in words for i in backbone.tokenizer.encode(f" {word}", add_special_tokens=False)]
    return table_of(backbone)[ids].mean(0, keepdim=True)


def test_the_words_for_what_is_shown_cost_least(backbone):
    lessons, table = WordLessons(backbone), table_of(backbone)
    truth = torch.tensor([[number("colour", "red"), number("shape", "star"), NOTHING, number("act", "spin")]])
    right = lessons(say(backbone, "red", "star", "spins"), truth, table)
    for wrong in (("blue", "star", "spins"), ("red", "ring", "spins"), ("red", "star", "circles")):
        assert lessons(say(backbone, *wrong), truth, table) > right


def test_doing_nothing_has_no_word_and_what_is_unknown_costs_nothing(backbone):
    lessons, table = WordLessons(backbone), table_of(backbone)
    still = torch.tensor([[number("colour", "red"), NOTHING, NOTHING, number("act", "none")]])
    red = torch.tensor([[number("colour", "red"), NOTHING, NOTHING, NOTHING]])
    token = torch.randn(1, 32)
    torch.testing.assert_close(lessons(token, still, table), lessons(token, red, table))
    unknown = torch.full((1, len(KINDS)), NOTHING)
    assert lessons(token, unknown, table) == 0
    both = lessons(torch.cat([token, torch.randn(1, 32)]), torch.cat([red, unknown]), table)
    torch.testing.assert_close(both, lessons(token, red, table))


def test_tokens_learn_their_words(backbone):
    torch.manual_seed(0)
    lessons, table = WordLessons(backbone), table_of(backbone)
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(np.stack([rng.integers(len(values), size=64) for values in KINDS.values()], 1))
    read = torch.nn.Embedding(64, 32)
    optimizer = torch.optim.Adam(read.parameters(), 0.05)
    first = lessons(read.weight, truth, table).item()
    for _ in range(60):
        optimizer.zero_grad()
        lessons(read.weight, truth, table).backward()
        optimizer.step()
    assert lessons(read.weight, truth, table).item() < 0.7 * first
