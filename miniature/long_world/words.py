"""The words of long clips: acts in their English forms, sentence patterns, for ordinary clips and, reworded, shifted.

Knows English. Does not know scenes. Patterns have {s} for a noun phrase without article, {v} for "spins", {g} for
"spinning", {b} for "spin". Shifted wordings are mostly made of words that the ordinary ones contain.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

Forms = tuple[str, str, str]
"""Base form, third person, gerund: "spin", "spins", "spinning"."""

ACTS: Final[dict[str, str]] = {
    "stay": "stay still",
    "spin": "spin",
    "sway": "swing back and forth",
    "circle": "move in a circle",
    "bounce": "bounce around",
    "zigzag": "move in a zigzag",
    "pulse": "get bigger and smaller",
    "grow": "grow",
    "shrink": "shrink",
    "cross_0": "cross to the right",
    "cross_2": "cross upwards",
    "cross_4": "cross to the left",
    "cross_6": "cross downwards",
}
"""Each act's one name, as answers say it."""

_ENDS: Final = {"cross": "crosses", "pass": "passes"}
_STEMS: Final = {
    "spin": "spinn", "swing": "swing", "move": "mov", "bounce": "bounc", "get": "gett", "rotate": "rotat",
    "come": "com", "zigzag": "zigzagg", "pulse": "puls", "become": "becom", "circle": "circl", "change": "chang",
    "run": "runn", "increase": "increas", "decrease": "decreas",
}  # fmt: skip


def forms(phrase: str) -> Forms:
    """The forms of a phrase that begins with its verb."""
    verb, _, rest = phrase.partition(" ")
    rest = rest and " " + rest
    third = _ENDS.get(verb, verb + ("es" if verb.endswith("o") else "s"))
    return phrase, third + rest, _STEMS.get(verb, verb) + "ing" + rest


@dataclass(frozen=True)
class Dialect:
    """One way of talking: phrases of each act, and patterns of each kind of sentence.

    event: someone does something.   act: anything that does.   presence: someone is there at all.   order: first,
    second ({n}).   caption: a statement.   target, target_act: noun phrases for expressions.   Questions: yesno,
    colour, shape, count_act, count_times, order, act; timed ones: timed_look (what does it do), timed_act (who does
    it), timed_all (what happens).
    """

    acts: dict[str, tuple[str, ...]]
    event: tuple[str, ...]
    act: tuple[str, ...]
    presence: tuple[str, ...]
    order: tuple[str, ...]
    caption: tuple[str, ...]
    target: tuple[str, ...]
    target_act: tuple[str, ...]
    target_acts: tuple[str, ...]
    questions: dict[str, tuple[str, ...]]


TRAIN: Final = Dialect(
    acts={
        "stay": ("stay still", "stand still", "stay in place"),
        "spin": ("spin", "rotate", "spin in place"),
        "sway": ("swing back and forth", "move back and forth"),
        "circle": ("move in a circle", "go around in circles", "circle"),
        "bounce": ("bounce around", "bounce off the walls"),
        "zigzag": ("move in a zigzag", "zigzag"),
        "pulse": ("get bigger and smaller", "change size again and again"),
        "grow": ("grow", "get bigger"),
        "shrink": ("shrink", "get smaller"),
        "cross_0": ("cross to the right", "cross from left to right", "move right across the picture"),
        "cross_2": ("cross upwards", "cross from bottom to top", "move up across the picture"),
        "cross_4": ("cross to the left", "cross from right to left", "move left across the picture"),
        "cross_6": ("cross downwards", "cross from top to bottom", "move down across the picture"),
    },
    event=("the {s} {v}", "the {s} {v}", "a {s} {v}", "{s} {g}", "when the {s} {v}"),
    act=("something {v}", "something {g}", "any object {g}", "an object {v}"),
    presence=("the {s} is in the picture", "the {s} can be seen", "there is a {s}", "when the {s} is there"),
    order=("the {s} {v} for the {n} time", "the {n} time that the {s} {v}"),
    caption=("a {s} {v}", "the {s} {v}"),
    target=("the {s}", "the {s}", "{s}", "find the {s}"),
    target_act=("the {s} that {v}", "the {s} {g}", "the object that {v}"),
    target_acts=("all objects that {b}", "everything that {v}", "the objects {g}"),
    questions={
        "yesno": ("does a {s} {b}?", "is there a {s} that {v}?"),
        "colour": ("what colour is the {s} that {v}?", "which colour does the {s} that {v} have?"),
        "shape": ("what shape is the {s} that {v}?", "which shape does the {s} that {v} have?"),
        "count_act": ("how many objects {b}?", "how many different objects {b}?"),
        "count_times": ("how often does the {s} {b}?", "how many times does the {s} {b}?"),
        "order": ("what comes first, the {s} or the {o}?", "who comes first, the {s} or the {o}?"),
        "act": ("what does the {s} do?", "what is the {s} doing?"),
        "timed_look": ("what does the {s} do?", "what is the {s} doing?", "tell me what the {s} does"),
        "timed_act": ("what {v}?", "which objects {b}?", "tell me what {v}"),
        "timed_all": ("what happens?", "tell me all that happens", "what do the objects do?"),
    },
)

SHIFTED: Final = Dialect(
    acts={
        "stay": ("stay in the same place",),
        "spin": ("rotate in place", "go around in place"),
        "sway": ("go back and forth", "swing"),
        "circle": ("go in a circle", "move around in circles"),
        "bounce": ("go bouncing around", "bounce off the walls again and again"),
        "zigzag": ("go in a zigzag",),
        "pulse": ("get smaller and bigger", "change its size again and again"),
        "grow": ("become bigger", "get large"),
        "shrink": ("become smaller", "get small"),
        "cross_0": ("go from left to right", "cross the picture to the right"),
        "cross_2": ("go from bottom to top", "cross the picture upwards"),
        "cross_4": ("go from right to left", "cross the picture to the left"),
        "cross_6": ("go from top to bottom", "cross the picture downwards"),
    },
    event=("find when the {s} {v}", "the time that a {s} {v}", "see the {s} {g}"),
    act=("find when something {v}", "see something {g}", "the time that an object {v}"),
    presence=("find when the {s} is there", "the time that a {s} can be seen", "see the {s}"),
    order=("find the {n} time that the {s} {v}", "see the {s} {g} for the {n} time"),
    caption=("there is a {s} {g}", "see the {s} {g}"),
    target=("only the {s}", "find a {s}", "the one {s}"),
    target_act=("the one {s} that {v}", "only the {s} {g}", "find the {s} {g}"),
    target_acts=("each of the objects that {b}", "find everything that {v}"),
    questions={
        "yesno": ("can a {s} that {v} be seen?", "is a {s} {g}?"),
        "colour": ("the {s} that {v}: what colour is it?",),
        "shape": ("the {s} that {v}: what shape is it?",),
        "count_act": ("how many are the objects that {b}?",),
        "count_times": ("how many times is the {s} {g}?",),
        "order": ("the {s} or the {o}, what comes first?",),
        "act": ("what can the {s} be seen doing?",),
        "timed_look": ("tell me what the {s} is doing", "what can the {s} be seen doing?"),
        "timed_act": ("tell me which objects {b}", "which are the objects that {b}?"),
        "timed_all": ("tell me what the objects do", "tell me everything that happens"),
    },
)

_ALSO: Final = Dialect(
    acts={
        "stay": ("remain where it is", "remain still", "stand in one place", "rest in one place", "keep still"),
        "spin": ("turn", "turn in place", "spin around", "turn around and around", "keep rotating"),
        "sway": ("sway", "move to and fro", "swing to and fro", "swing from side to side", "keep swinging"),
        "circle": ("move in circles", "go round and round", "run in a circle", "travel in circles", "keep circling"),
        "bounce": ("bounce", "bounce about", "bounce from wall to wall", "jump off the walls", "keep bouncing"),
        "zigzag": ("run in a zigzag", "travel in zigzags", "move in zigzags", "keep zigzagging", "zigzag around"),
        "pulse": ("pulse", "get larger and smaller", "become large and small", "keep changing size"),
        "grow": ("get larger", "become larger", "increase in size", "turn bigger", "become large", "keep growing"),
        "shrink": ("get tiny", "become tiny", "decrease in size", "turn smaller", "become small", "keep shrinking"),
        "cross_0": ("move from left to right", "travel to the right", "pass from the left to the right"),
        "cross_2": ("move from bottom to top", "travel upwards", "pass from the bottom to the top"),
        "cross_4": ("move from right to left", "travel to the left", "pass from the right to the left"),
        "cross_6": ("move from top to bottom", "travel downwards", "pass from the top to the bottom"),
    },
    event=(
        "when a {s} {v}", "the part where the {s} {v}", "show me when the {s} {v}", "look for the {s} {g}",
        "the {s} {g}", "{s} that {v}", "a {s} {g}", "the {s} which {v}",
    ),
    act=(
        "when something {v}", "the part where something {v}", "show me when an object {v}", "look for something {g}",
        "anything that {v}", "a thing {g}",
    ),
    presence=(
        "the {s} is there", "when the {s} is in the picture", "the part where the {s} is there", "show me the {s}",
        "look for the {s}", "when a {s} can be seen",
    ),
    order=(
        "when the {s} {v} for the {n} time", "the {n} time the {s} {v}", "the {s} {g} for the {n} time",
        "show me the {n} time that the {s} {v}", "look for the {n} time that the {s} {v}",
    ),
    caption=(),
    target=("a {s}", "show me the {s}", "look for the {s}", "this {s}", "that {s}"),
    target_act=("a {s} that {v}", "the {s} which {v}", "show me the {s} {g}", "look for the {s} that {v}", "a {s} {g}"),
    target_acts=("the objects that {b}", "all things that {b}", "all that {v}", "every object that {v}", "things {g}"),
    questions={
        "yesno": ("is there a {s} {g}?", "is there any {s} that {v}?", "do you see a {s} that {v}?"),
        "colour": (
            "what is the colour of the {s} that {v}?", "tell me the colour of the {s} {g}",
            "what colour has the {s} {g}?",
        ),
        "shape": (
            "what is the shape of the {s} that {v}?", "tell me the shape of the {s} {g}",
            "what shape has the {s} {g}?",
        ),
        "count_act": ("how many things {b}?", "how many of the objects {b}?", "tell me how many objects {b}"),
        "count_times": (
            "tell me how often the {s} {v}", "how often is the {s} {g}?", "tell me how many times the {s} {v}",
        ),
        "order": (
            "which comes first, the {s} or the {o}?", "what is there first, the {s} or the {o}?",
            "which of the {s} and the {o} comes first?",
        ),
        "act": ("tell me what the {s} does", "say what the {s} is doing", "what is done by the {s}?"),
        "timed_look": ("say what the {s} does", "what is done by the {s}?", "show me what the {s} does"),
        "timed_act": ("which object {v}?", "say which objects {b}", "what are the objects that {b}?"),
        "timed_all": ("what is happening?", "say what happens", "tell me what happens", "what do all objects do?"),
    },
)  # fmt: skip


def _with(own: Any, others: Any) -> Any:
    """What is said by either, kind by kind."""
    if isinstance(own, dict):
        return {key: _with(value, others[key]) for key, value in own.items()}
    return own + others


WIDE: Final = Dialect(**{f.name: _with(getattr(TRAIN, f.name), getattr(_ALSO, f.name)) for f in fields(Dialect)})
"""The ordinary wordings and more, none of them a shifted one: who learns from them bears what nobody said before."""


ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
COUNTS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def dialect(shifted: bool, wide: bool = False) -> Dialect:
    """The words of ordinary or of shifted clips; of ordinary ones in more wordings where `wide`."""
    assert not (shifted and wide), "shifted clips have their own words alone"
    return SHIFTED if shifted else WIDE if wide else TRAIN


def fill(pattern: str, act: Forms | None = None, **words: str) -> str:
    """The sentence of a pattern; "a" becomes "an" before the only noun and adjective that begin with a vowel."""
    if act is not None:
        words |= {"b": act[0], "v": act[1], "g": act[2]}
    text = pattern.format(**words)
    return text.replace(" a o", " an o") if not text.startswith("a o") else "an o" + text[3:].replace(" a o", " an o")
