"""Noun phrases: which words of a look are said, in which of their synonyms, and which objects they fit.

Knows looks and English forms. Does not know motions, relations or pixels.
"""

from dataclasses import dataclass, replace

import numpy as np

from miniature.world.facts import Facts
from miniature.world.phrases import ANY_NOUNS, SHAPE_NOUNS, SIZE_WORDS, TEXTURE_TAILS, TEXTURE_WORDS, plural
from miniature.world.spec import COLOURS, SHAPES, SIZES, TEXTURES, ObjectSpec
from miniature.world.truth import Truth

Rng = np.random.Generator


@dataclass(frozen=True)
class Look:
    """The words said of a look; None for those left unsaid."""

    size: str | None = None
    colour: str | None = None
    texture: str | None = None
    shape: str | None = None

    @property
    def said(self) -> int:
        """How many words are said."""
        return sum(w is not None for w in (self.size, self.colour, self.texture, self.shape))

    def fits(self, facts: Facts) -> Truth:
        """Which objects the words fit, [O]."""
        return facts.looks(self.size, self.colour, self.texture, self.shape)


@dataclass(frozen=True)
class Noun:
    """A phrase without article: "small red star", "small red stars", and its adjectives alone, "small red"."""

    singular: str
    plural: str
    adjectives: str


def full_look(thing: ObjectSpec) -> Look:
    """Everything that can be said of an object's look except its size."""
    return Look(None, thing.colour, thing.texture if thing.texture in TEXTURES else None, thing.shape)


def some_look(rng: Rng, thing: ObjectSpec, shape: float = 0.8) -> Look:
    """A few words of an object's look, one at least; its shape with the given probability."""
    known = thing.texture in TEXTURES
    says = rng.random(4) < np.array([0.22, 0.55, 0.4 if known else 0.0, shape])
    if not says.any():
        says[1] = True
    words = (thing.size, thing.colour, thing.texture, thing.shape)
    return Look(*(w if s else None for w, s in zip(words, says, strict=True)))


def near_miss(rng: Rng, look: Look) -> Look:
    """The look with one of its words exchanged for another of the same sort."""
    sorts: dict[str, tuple[str, ...]] = {
        "size": SIZES,
        "colour": tuple(COLOURS),
        "texture": TEXTURES,
        "shape": SHAPES,
    }
    said = [name for name in sorts if getattr(look, name) is not None]
    name = said[int(rng.integers(len(said)))]
    others = [w for w in sorts[name] if w != getattr(look, name)]
    return replace(look, **{name: others[int(rng.integers(len(others)))]})


def _pick(rng: Rng, words: tuple[str, ...]) -> str:
    """The first word mostly, the others now and then."""
    return words[0] if rng.random() < 0.6 else words[int(rng.integers(len(words)))]


def name_look(rng: Rng, look: Look) -> Noun:
    """A phrase for a look."""
    front: list[str] = []
    tail = ""
    if look.size is not None:
        front.append(_pick(rng, SIZE_WORDS[look.size]))
    if look.colour is not None:
        front.append(look.colour)
    if look.texture is not None:
        if look.shape is not None and look.texture in TEXTURE_TAILS and rng.random() < 0.2:
            tail = " " + TEXTURE_TAILS[look.texture]
        else:
            front.append(_pick(rng, TEXTURE_WORDS[look.texture]))
    noun = ANY_NOUNS[int(rng.integers(3))] if look.shape is None else _pick(rng, SHAPE_NOUNS[look.shape])
    head = "".join(w + " " for w in front)
    return Noun(head + noun + tail, head + plural(noun) + tail, head.strip())
