"""Drafts of expressions: a meaning with its truth for every object, its words and its moments.

Each drawing function takes a random meaning about a scene and asks the facts which objects it fits; it never says
itself. Knows meanings. Does not know which drafts a clip keeps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from core.types import TimeSpan
from miniature.world.facts import NO, YES, Facts, Key, Truth, both
from miniature.world.nouns import Look, Noun, full_look, name, near_miss, some_look
from miniature.world.phrases import DIAGONAL, MAIN, NUMBERS, SIDE_WORDS, Wording
from miniature.world.spec import ObjectSpec

Rng = np.random.Generator
EVENTS = ("enter", "leave", "appear", "disappear", "return")
TIMED = ("go_stop", "stop_go", "turn", "grow", "shrink", *EVENTS)


@dataclass(frozen=True)
class Draft:
    """An expression before it is kept: truth [O], text, and the spans of its targets (None: no moment is named)."""

    kind: str
    truth: Truth
    text: str
    spans: Mapping[int, TimeSpan] | None = None
    twins: bool = field(default=False)


def _choose(rng: Rng, items: tuple[str, ...]) -> str:
    return items[int(rng.integers(len(items)))]


def _fill(pattern: str, noun: Noun, count: int, **words: str) -> str:
    text = pattern.format(s=noun.singular, p=noun.plural, a=noun.adjectives, n=NUMBERS.get(count, "all"), **words)
    return text.replace("all all", "all").replace("a object", "an object").replace("a orange", "an orange")


def _any_object(rng: Rng, facts: Facts) -> ObjectSpec:
    return facts.objects[int(rng.integers(len(facts)))]


def attribute(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """ "the red star", "the two green discs", "anything striped"; near misses where `absent`."""
    look = some_look(rng, _any_object(rng, facts), 0.7)
    if absent:
        look = near_miss(rng, look if look.said > 1 else some_look(rng, _any_object(rng, facts), 1.0))
    truth, noun = look.fits(facts), name(rng, look)
    count = int((truth == YES).sum())
    if look.shape is None and look.said == 1 and rng.random() < 0.7:
        patterns = words.any
    else:
        patterns = words.one if count == 1 or (count == 0 and rng.random() < 0.75) else words.many
    return Draft("attribute", truth, _fill(_choose(rng, patterns), noun, count))


def keys_of(facts: Facts, i: int) -> list[Key]:
    """Every motion and event that object `i` surely shows."""
    keys: list[Key] = [(n, None) for n in ("still", "bounce", "zigzag", "sway", "circle", "rotate", "grow", "shrink")]
    keys += [("moving", None), ("go_stop", None), ("stop_go", None)]
    keys += [(n, h) for n in ("move", "go_stop", "stop_go") for h in range(8)]
    keys += [("sway", 0), ("sway", 2), ("circle", True), ("circle", False), ("rotate", True), ("rotate", False)]
    keys += [("turn", a, b) for a in MAIN for b in MAIN if a != b]
    keys += [(e, None) for e in EVENTS] + [(e, h) for e in ("enter", "leave") for h in MAIN]
    return [k for k in keys if fits(facts, k)[i] == YES]


def fits(facts: Facts, key: Key) -> Truth:
    """Truth of a motion or an event for every object."""
    if key[0] in EVENTS:
        return facts.passage(key[0], key[1])
    return facts.motion(key)


def opposite_key(rng: Rng, key: Key) -> Key:
    """A motion close to `key` that is something else."""
    swaps: dict[str, tuple[str, ...]] = {
        "grow": ("shrink",),
        "shrink": ("grow",),
        "enter": ("leave", "enter"),
        "leave": ("enter", "leave"),
        "appear": ("disappear",),
        "disappear": ("appear",),
        "go_stop": ("stop_go", "go_stop"),
        "stop_go": ("go_stop", "stop_go"),
        "still": ("rotate", "grow", "bounce", "circle"),
        "circle": ("rotate", "bounce", "still"),
        "rotate": ("circle", "still"),
        "bounce": ("circle", "still"),
    }
    if key[0] == "move" or (key[1] is not None and rng.random() < 0.5 and key[0] in ("go_stop", "stop_go")):
        return (key[0], (int(key[1] or 0) + 4) % 8)
    if key[0] in ("circle", "rotate") and key[1] is not None:
        return (key[0], not key[1])
    name_ = _choose(rng, swaps.get(key[0], ("still", "bounce", "rotate", "leave")))
    return (name_, key[1] if name_ in ("enter", "leave", "go_stop", "stop_go") else None)


def clause(rng: Rng, words: Wording, key: Key) -> tuple[str, str]:
    """Singular and plural clause for a key."""
    kind, first = key[0], key[1]
    name_ = kind
    extra: dict[str, str] = {}
    if kind in ("move", "go_stop", "stop_go", "turn") and first is not None:
        to = f"to the {MAIN[first]}" if first in (0, 4) else f"{MAIN[first]}wards" if first in MAIN else DIAGONAL[first]
        extra = {"d": MAIN.get(first, "diagonally " + DIAGONAL.get(first, "")), "to": to}
        if kind == "turn":
            extra["e"] = MAIN[int(key[2] or 0)]  # type: ignore[misc]
    elif kind in ("go_stop", "stop_go"):
        name_ += "_any"
    elif kind in ("circle", "rotate") and first is not None:
        name_, extra = name_ + "_turn", {"r": "clockwise" if first else "counterclockwise"}
    elif kind in ("enter", "leave") and first is not None:
        name_, extra = name_ + "_side", {"e": SIDE_WORDS[first]}
    elif kind == "sway" and first is not None:
        name_ += f"_{first}"
    forms = words.clauses[name_]
    one, many = forms[int(rng.integers(len(forms)))]
    return one.format(**extra), many.format(**extra)


def _spans(facts: Facts, truth: Truth, key: Key) -> dict[int, TimeSpan] | None:
    if key[0] not in TIMED:
        return None
    return {int(i): facts.span(int(i), key[0]) for i in np.flatnonzero(truth == YES)}


def _look_for_motion(rng: Rng, thing: ObjectSpec) -> Look:
    """A twin's whole look, so that only the motion decides; or a few words; or none."""
    chance = rng.random()
    if chance < 0.45:
        return full_look(thing)
    return Look() if chance < 0.58 else some_look(rng, thing)


def motion(rng: Rng, facts: Facts, words: Wording, absent: bool, group: bool = False) -> Draft | None:
    """ "the circle moving left, then stopping"; with `group`, a relation: "all squares that stay still"."""
    thing = _any_object(rng, facts)
    keys = keys_of(facts, int(thing.id) - 1)
    if not keys:
        return None
    key, look = keys[int(rng.integers(len(keys)))], _look_for_motion(rng, thing)
    if group:
        look = Look(shape=thing.shape) if rng.random() < 0.5 else Look(colour=thing.colour)
        look = Look() if rng.random() < 0.3 else look
    if absent:
        if look.said and rng.random() < 0.4:
            look = near_miss(rng, look)
        else:
            key = opposite_key(rng, key)
    truth = both(look.fits(facts), fits(facts, key))
    count = int((truth == YES).sum())
    noun, (one, many) = name(rng, look), clause(rng, words, key)
    spans = _spans(facts, truth, key)
    if group:
        if count == 1 or (absent and count):
            return None
        text = _fill(_choose(rng, words.relations["group"]), noun, count, c=many, v=one)
        return Draft("relation", truth, text, spans)
    single = count == 1 or (count == 0 and rng.random() < 0.8)
    pattern = _choose(rng, words.one_clause if single else words.many_clause)
    return Draft("motion", truth, _fill(pattern, noun, count, c=one if single else many), spans)


def only(truth: Truth) -> int | None:
    """The one object that fits where all are certain; None otherwise."""
    at = np.flatnonzero(truth == YES)
    return int(at[0]) if len(at) == 1 and (truth != -1).all() else None


def no_objects(facts: Facts) -> Truth:
    """NO for every object."""
    return np.full(len(facts), NO, dtype=np.int8)
