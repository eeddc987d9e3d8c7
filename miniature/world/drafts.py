"""Drafts of expressions about looks and acts: a meaning with its truth for every object, its words and its moments.

Each drawing function takes a random meaning about a scene and asks the facts which objects it fits; it never answers
that itself. Knows meanings. Does not know which drafts a clip keeps.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.types import TimeSpan
from miniature.world.acts import EVENTS, TIMED, Act, acts_of, does, span
from miniature.world.facts import Facts
from miniature.world.nouns import Look, Noun, full_look, name_look, near_miss, some_look
from miniature.world.phrases import DIAGONAL, MAIN, NUMBERS, SIDE_WORDS, Wording
from miniature.world.spec import ObjectSpec
from miniature.world.truth import Truth, both, chosen

Rng = np.random.Generator


@dataclass(frozen=True)
class Draft:
    """An expression before it is kept: truth [O], text, and the spans of its targets (None: no moment is named).

    `meaning` names what is asked, so that a clip does not ask the same twice in other words.
    """

    kind: str
    truth: Truth
    text: str
    meaning: str
    spans: Mapping[int, TimeSpan] | None = None


def pick(rng: Rng, items: tuple[str, ...]) -> str:
    """One of a few texts."""
    return items[int(rng.integers(len(items)))]


def any_object(rng: Rng, facts: Facts) -> ObjectSpec:
    """One of the scene's objects."""
    return facts.objects[int(rng.integers(facts.count))]


def fill(pattern: str, noun: Noun, count: int = 1, **words: str) -> str:
    """The text of a pattern of `phrases`; `count` is the number of targets."""
    number = NUMBERS.get(count, "all")
    text = pattern.format(s=noun.singular, p=noun.plural, a=noun.adjectives, n=number, **words)
    text = text.replace("the all", "all the").replace("all all", "all")
    return text.replace("a o", "an o", 1) if text.startswith(("a o", "find a o")) else text


def attribute(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """Looks alone: "the red star", "the two green discs", "anything striped"; near misses where `absent`."""
    look = some_look(rng, any_object(rng, facts), 0.7)
    if absent:
        look = near_miss(rng, look if look.said > 1 else some_look(rng, any_object(rng, facts), 1.0))
    truth, noun = look.fits(facts), name_look(rng, look)
    count = len(chosen(truth))
    if look.shape is None and look.said == 1 and rng.random() < 0.7:
        patterns = words.any
    else:
        patterns = words.one if count == 1 or (count == 0 and rng.random() < 0.75) else words.many
    return Draft("attribute", truth, fill(pick(rng, patterns), noun, count), str(look))


# How gladly an act is spoken of: moments more than states, since states hold of more objects.
_WEIGHTS = {"moving": 0.2, "rotate": 0.6, "sway": 1.5, "zigzag": 1.5, "bounce": 1.5, **dict.fromkeys(EVENTS, 3.0)}
_SWAPS: dict[str, tuple[str, ...]] = {
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


def near_act(rng: Rng, act: Act) -> Act:
    """Another act close to this one: the other way round, or of a like name."""
    if act.name == "move" or (act.heading is not None and act.name in ("go_stop", "stop_go") and rng.random() < 0.5):
        return Act(act.name, ((act.heading or 0) + 4) % 8)
    if act.clockwise is not None:
        return Act(act.name, clockwise=not act.clockwise)
    name = pick(rng, _SWAPS.get(act.name, ("still", "bounce", "rotate", "leave")))
    sided = {"enter", "leave"} if act.name in ("enter", "leave") else {"go_stop", "stop_go"}
    return Act(name, act.heading if name in sided and act.name in sided else None)


def clause(rng: Rng, words: Wording, act: Act) -> tuple[str, str]:
    """Singular and plural clause for an act."""
    name, extra = act.name, {}
    heading = act.heading
    if act.clockwise is not None:
        name, extra = name + "_turn", {"r": "clockwise" if act.clockwise else "counterclockwise"}
    elif heading is None:
        name += "_any" if name in ("go_stop", "stop_go") else ""
    elif name in ("enter", "leave"):
        name, extra = name + "_side", {"e": SIDE_WORDS[heading]}
    elif name == "sway":
        name += f"_{heading}"
    else:
        way = MAIN.get(heading) or "diagonally " + DIAGONAL[heading]
        to = f"to the {way}" if heading in (0, 4) else f"{way}wards" if heading in MAIN else way
        extra = {"d": way, "to": to, "e": "" if act.then is None else MAIN[act.then]}
    forms = words.clauses[name]
    one, many = forms[int(rng.integers(len(forms)))]
    return one.format(**extra), many.format(**extra)


def spans_of(facts: Facts, truth: Truth, act: Act) -> dict[int, TimeSpan] | None:
    """The spans of all targets of a timed act; None for an act that names no moment."""
    return {i: span(facts, i, act) for i in chosen(truth)} if act.name in TIMED else None


def _look_for_act(rng: Rng, thing: ObjectSpec) -> Look:
    """A twin's whole look, so that only the act decides; or a few words; or none."""
    chance = rng.random()
    if chance < 0.45:
        return full_look(thing)
    return Look() if chance < 0.58 else some_look(rng, thing)


def _look_for_group(rng: Rng, thing: ObjectSpec) -> Look:
    """One word or none."""
    looks = (Look(shape=thing.shape), Look(colour=thing.colour), Look())
    return looks[int(rng.choice(3, p=[0.4, 0.35, 0.25]))]


def motion(rng: Rng, facts: Facts, words: Wording, absent: bool, group: bool = False) -> Draft | None:
    """An act: "the circle moving left, then stopping"; with `group` a relation: "all squares that stay still"."""
    thing = any_object(rng, facts)
    acts = acts_of(facts, int(thing.id) - 1)
    if not acts:
        return None
    weights = np.array([_WEIGHTS.get(a.name, 1.0) * (1.0 if a == Act(a.name) else 1.5) for a in acts])
    act = acts[int(rng.choice(len(acts), p=weights / weights.sum()))]
    look = _look_for_group(rng, thing) if group else _look_for_act(rng, thing)
    if absent and look.said and rng.random() < 0.4:
        look = near_miss(rng, look)
    elif absent:
        act = near_act(rng, act)
    truth = both(look.fits(facts), does(facts, act))
    count = len(chosen(truth))
    if group and (count == 1 or (absent and count)):
        return None
    noun, (one, many) = name_look(rng, look), clause(rng, words, act)
    spans = spans_of(facts, truth, act)
    if group:
        text = fill(pick(rng, words.relations["group"]), noun, count, c=many, v=one)
        return Draft("relation", truth, text, f"{act} {look}", spans)
    single = count == 1 or (count == 0 and rng.random() < 0.8)
    pattern = pick(rng, words.one_clause if single else words.many_clause)
    return Draft("motion", truth, fill(pattern, noun, count, c=one if single else many), f"{act} {look}", spans)
