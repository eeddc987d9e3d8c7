"""The miniature detector's word list, and the tokenizer that reads it.

Knows the world's words and BERT's special tokens. Does not know what words mean. Every word is one token; a word that
the world never says is `[UNK]`, one token too, so that training can show what to do with it.
"""

from __future__ import annotations

import re

from transformers import BertTokenizer

from miniature.world.acts import EVENTS, TWO_PHASES
from miniature.world.phrases import (
    ANY_NOUNS,
    DIAGONAL,
    MAIN,
    NUMBERS,
    SHAPE_NOUNS,
    SIDE_WORDS,
    SIZE_WORDS,
    TEXTURE_TAILS,
    TEXTURE_WORDS,
    TRAIN,
    plural,
)
from miniature.world.spec import COLOURS

PAD, UNKNOWN, START, END, STOP, QUESTION = 0, 100, 101, 102, 1012, 1029
SPECIAL = {"[PAD]": PAD, "[UNK]": UNKNOWN, "[CLS]": START, "[SEP]": END, "[MASK]": 103, ".": STOP, "?": QUESTION}
"""Where transformers' GroundingDINO expects them: it knows the ends of phrases by these numbers alone."""

SIZE = 1030


def world_words() -> list[str]:
    """Every word of the ordinary wording, sorted; the shifted wording's own words stay unknown."""
    nouns = [*ANY_NOUNS, *(noun for nouns in SHAPE_NOUNS.values() for noun in nouns)]
    looks = [
        *COLOURS,
        *TEXTURE_TAILS.values(),
        *(w for t in (TEXTURE_WORDS, SIZE_WORDS) for ws in t.values() for w in ws),
    ]
    places = [*MAIN.values(), *DIAGONAL.values(), *SIDE_WORDS.values(), *(f"{way}wards" for way in MAIN.values())]
    clauses = [text for forms in TRAIN.clauses.values() for form in forms for text in form]
    patterns = [p for group in (TRAIN.one, TRAIN.many, TRAIN.any, TRAIN.one_clause, TRAIN.many_clause) for p in group]
    relations = [p for group in TRAIN.relations.values() for p in group]
    acts = [*EVENTS, *TWO_PHASES, "clockwise", "counterclockwise", "to", "the", "diagonally", "an"]
    texts = [*nouns, *map(plural, nouns), *looks, *places, *clauses, *patterns, *relations, *acts, *NUMBERS.values()]
    plain = re.sub(r"\{\w*\}", " ", " ".join(texts))
    return sorted(set(re.findall(r"[a-z]+", plain)))


def make_vocabulary() -> dict[str, int]:
    """Word -> number; special tokens at BERT's places, the numbers between filled up with unused names."""
    words = iter([",", *world_words()])
    places = set(SPECIAL.values())
    vocabulary = dict(SPECIAL)
    for number in range(SIZE):
        if number not in places:
            vocabulary[next(words, f"[unused{number}]")] = number
    assert next(words, None) is None, "more words than places"
    return dict(sorted(vocabulary.items(), key=lambda item: item[1]))


def make_tokenizer() -> BertTokenizer:
    """The tokenizer, lower-casing, that is stored beside the weights."""
    return BertTokenizer(vocab=make_vocabulary(), do_lower_case=True)


def token_ids(text: str, vocabulary: dict[str, int], length: int, *, closed: bool = True) -> list[int]:
    """`[CLS]`, the words, "." where `closed`, `[SEP]`, padding: the same as the tokenizer's, and much faster.

    A text that is too long for `length` loses its last words.
    """
    pieces = re.findall(r"[a-z]+|[^\sa-z]", text.lower())
    words = [vocabulary.get(piece, UNKNOWN) for piece in pieces][: length - 3]
    ids = [START, *words, *([STOP] if closed else []), END]
    return ids + [PAD] * (length - len(ids))
