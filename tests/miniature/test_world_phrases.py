"""Words: both dialects can say everything, and the shifted one says it in words that the ordinary one has."""

import re

import numpy as np
import pytest

from miniature.world.acts import ACTS, Act
from miniature.world.drafts import clause, fill
from miniature.world.nouns import Look, Noun, name_look, near_miss
from miniature.world.phrases import SHIFTED, TRAIN, Wording, plural, wording


def words_in(dialect: Wording) -> set[str]:
    clauses = [text for forms in dialect.clauses.values() for form in forms for text in form]
    relations = [text for texts in dialect.relations.values() for text in texts]
    patterns = (*dialect.one, *dialect.many, *dialect.any, *dialect.one_clause, *dialect.many_clause)
    return {w for text in (*clauses, *relations, *patterns) for w in re.findall(r"[a-z]+", re.sub(r"\{\w\}", "", text))}


def test_both_dialects_have_the_same_clauses_and_relations() -> None:
    assert TRAIN.clauses.keys() == SHIFTED.clauses.keys()
    assert TRAIN.relations.keys() == SHIFTED.relations.keys()
    assert (wording(False), wording(True)) == (TRAIN, SHIFTED)


def test_shifted_wordings_are_new_but_their_words_are_not() -> None:
    new = words_in(SHIFTED) - words_in(TRAIN)
    assert len(new) / len(words_in(SHIFTED)) < 0.12, sorted(new)
    for name, forms in SHIFTED.clauses.items():
        assert not set(forms) & set(TRAIN.clauses[name]), name
    for name, texts in SHIFTED.relations.items():
        assert not set(texts) & set(TRAIN.relations[name]), name


@pytest.mark.parametrize("dialect", [TRAIN, SHIFTED])
def test_every_act_has_a_clause_without_gaps(dialect: Wording) -> None:
    rng = np.random.default_rng(0)
    for act in ACTS:
        for _ in range(6):
            for text in clause(rng, dialect, act):
                assert text == " ".join(text.split())
                assert "{" not in text


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (Act("move", 4), "left"),
        (Act("move", 1), "up and right"),
        (Act("go_stop", 6), "down"),
        (Act("enter", 2), "top"),
        (Act("leave", 0), "right"),
        (Act("circle", clockwise=False), "counterclockwise"),
        (Act("turn", 2, 0), "right"),
    ],
)
def test_clauses_say_the_details_of_their_act(act: Act, words: str) -> None:
    rng = np.random.default_rng(1)
    assert all(words in clause(rng, d, act)[0] for d in (TRAIN, SHIFTED) for _ in range(5))


@pytest.mark.parametrize(
    ("pattern", "count", "text"),
    [
        ("the {s}", 1, "the red star"),
        ("the {n} {p}", 2, "the two red stars"),
        ("the {n} {p}", 0, "all the red stars"),
        ("anything {a}", 1, "anything red"),
        ("all {p} {c}", 3, "all red stars moving left"),
    ],
)
def test_patterns_are_filled(pattern: str, count: int, text: str) -> None:
    assert fill(pattern, Noun("red star", "red stars", "red"), count, c="moving left") == text


def test_an_article_before_a_vowel() -> None:
    noun = Noun("orange star", "orange stars", "orange")
    assert fill("a {s}", noun) == "an orange star"
    assert fill("find a {s}", noun) == "find an orange star"


@pytest.mark.parametrize(
    ("one", "many"), [("disc", "discs"), ("cross", "crosses"), ("plus", "pluses"), ("object", "objects")]
)
def test_plurals(one: str, many: str) -> None:
    assert plural(one) == many


def test_names_hold_every_word_said_and_no_other() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        noun = name_look(rng, Look("small", "red", "striped", "star"))
        assert re.fullmatch(r"(small|little) red (striped star|star with stripes)", noun.singular)
    assert name_look(rng, Look(colour="red")).singular.split()[0] == "red"
    assert name_look(rng, Look(colour="red")).adjectives == "red"


def test_a_near_miss_exchanges_exactly_one_word() -> None:
    rng, look = np.random.default_rng(3), Look("small", "red", None, "star")
    for _ in range(30):
        other = near_miss(rng, look)
        pairs = zip(
            (look.size, look.colour, look.texture, look.shape),
            (other.size, other.colour, other.texture, other.shape),
            strict=True,
        )
        assert sum(a != b for a, b in pairs) == 1
        assert other.texture is None
