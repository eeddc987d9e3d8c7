"""What a long clip's objects and events are called: noun phrases that fit one object alone, phrases of acts.

Knows looks and words. Does not know which sentences are asked or told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from miniature.long_world.spec import Event
from miniature.long_world.words import ACTS, Dialect, Forms, forms
from miniature.world.nouns import Look, name_look
from miniature.world.spec import TEXTURES, ObjectSpec

Rng = np.random.Generator


@dataclass(frozen=True)
class Teller:
    """A scene and the words to speak of it."""

    objects: tuple[ObjectSpec, ...]
    events: tuple[Event, ...]
    words: Dialect
    duration: int

    def thing(self, object_id: str) -> ObjectSpec:
        """The object of an id that is there."""
        return next(o for o in self.objects if o.id == object_id)

    def of(self, object_id: str) -> list[Event]:
        """An object's events, by time."""
        return [e for e in self.events if e.object_id == object_id]

    def fits(self, look: Look) -> list[ObjectSpec]:
        """The objects that colour and shape of a look fit, as far as they are said."""
        return [
            o
            for o in self.objects
            if look.colour in (None, o.colour) and look.shape in (None, o.shape) and look.texture in (None, o.texture)
        ]

    def look(self, rng: Rng, thing: ObjectSpec) -> Look:
        """Words that fit this object alone: mostly colour and shape, now and then one of both or texture as well."""
        short = Look(shape=thing.shape) if rng.random() < 0.5 else Look(colour=thing.colour)
        if rng.random() < 0.25 and len(self.fits(short)) == 1:
            return short
        texture = thing.texture if thing.texture in TEXTURES and rng.random() < 0.25 else None
        return Look(None, thing.colour, texture, thing.shape)

    def noun(self, rng: Rng, thing: ObjectSpec) -> str:
        """A phrase without article for this object alone."""
        return name_look(rng, self.look(rng, thing)).singular

    def act(self, rng: Rng, event: Event) -> Forms:
        """What is done in an event, in one of the dialect's phrases."""
        return self.phrase(rng, act_key(event))

    def phrase(self, rng: Rng, key: str) -> Forms:
        """One of the dialect's phrases of an act."""
        known = self.words.acts[key]
        return forms(known[0] if rng.random() < 0.5 else known[int(rng.integers(len(known)))])

    def pick(self, rng: Rng, patterns: Sequence[str]) -> str:
        """One of a few patterns."""
        return patterns[int(rng.integers(len(patterns)))]


def act_key(event: Event) -> str:
    """The act's key in `words.ACTS`, with the heading of `cross`."""
    return event.act if event.heading is None else f"{event.act}_{event.heading}"


def act_name(event: Event) -> str:
    """The act's one name, as answers say it."""
    return ACTS[act_key(event)]


def plain_name(thing: ObjectSpec) -> str:
    """An object's one name, as answers say it: colour and shape."""
    return f"{thing.colour} {thing.shape}"
