"""Whether a described track has the right attributes: size, colour, texture, shape and acts, read from a sentence.

Knows the world's words for them. Does not know who described. A sentence says a value by any of its words; what it
does not say, or says twice differently, is wrong.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from miniature.long_world.spec import Description
from miniature.long_world.words import SHIFTED, TRAIN, forms
from miniature.world.phrases import SHAPE_NOUNS, SIZE_WORDS, TEXTURE_TAILS, TEXTURE_WORDS
from miniature.world.spec import COLOURS

ATTRIBUTES: Final = ("size", "colour", "texture", "shape", "acts")


def attribute_accuracy(told: Iterable[tuple[Description, str]]) -> dict[str, float]:
    """Share of right values of each attribute among the descriptions that have it, and the mean of the five."""
    right: dict[str, list[bool]] = defaultdict(list)
    for truth, text in told:
        said = read_attributes(text)
        for name, value in truth.attributes.items():
            right[name].append(said.get(name) == value)
    shares = {f"reg_{name}": sum(right[name]) / len(right[name]) for name in ATTRIBUTES if right[name]}
    return {"reg_attributes": sum(shares.values()) / len(shares)} | shares


def read_attributes(text: str) -> dict[str, str]:
    """The attributes that a sentence says; acts as keys parted by blanks, in the sentence's order ("" for none)."""
    look, _, doings = text.lower().partition(" that ")
    found = {}
    for name, words in _LOOKS.items():
        values = {value for word, value in words.items() if re.search(rf"\b{word}\b", look)}
        if len(values) == 1:
            found[name] = values.pop()
    return found | {"acts": _acts(doings)}


def _acts(doings: str) -> str:
    keys = []
    for part in doings.strip(" .").split(" and then "):
        keys.append(_PHRASES.get(part.strip(), "?"))
    return " ".join(key for key in keys if key)


def _by_word(values: Mapping[str, Iterable[str]]) -> dict[str, str]:
    return {word: value for value, words in values.items() for word in words}


_LOOKS: Final[Mapping[str, Mapping[str, str]]] = {
    "size": _by_word(SIZE_WORDS),
    "colour": {colour: colour for colour in COLOURS},
    "texture": _by_word(TEXTURE_WORDS) | {tail: value for value, tail in TEXTURE_TAILS.items()},
    "shape": _by_word(SHAPE_NOUNS),
}
_PHRASES: Final[Mapping[str, str]] = {
    forms(phrase)[1]: key for words in (SHIFTED, TRAIN) for key, phrases in words.acts.items() for phrase in phrases
} | {"stays in place the whole time": ""}
