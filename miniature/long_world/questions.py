"""Questions about a long clip: of the whole video with one short answer, and timed ones with several answers.

Knows events and what is true of them. Does not know pixels. Answers are the one name of a thing: "red star", "spin",
"two", "yes".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from miniature.long_world.moments import clear_acts
from miniature.long_world.motion import MOTIONS
from miniature.long_world.spec import Caption, Event, Question, TimedQuestion
from miniature.long_world.tell import Teller, act_key, act_name, plain_name
from miniature.long_world.words import ACTS, COUNTS, fill, forms
from miniature.world.nouns import Look, name_look, near_miss
from miniature.world.spec import COLOURS, SHAPES

Rng = np.random.Generator
Asked = tuple[str, str, tuple[str, ...]]
"""Text, answer, all answers there could be (() for none to choose from)."""

ONCE: Final = 0.85  # share of counting questions that are not asked because the answer is "one", as it mostly is
NOW: Final = 0.7  # share of timed questions that are asked at the start


def _event(rng: Rng, teller: Teller) -> Event:
    return teller.events[int(rng.integers(len(teller.events)))]


def _ask(rng: Rng, teller: Teller, kind: str) -> str:
    return teller.pick(rng, teller.words.questions[kind])


def _yesno(rng: Rng, teller: Teller) -> Asked | None:
    """Yes for an event; no for another look, or for an act that this object never does."""
    event = _event(rng, teller)
    thing, key = teller.thing(event.object_id), act_key(event)
    if event.act == "stay":
        return None  # residents stay still as well, whenever they do nothing else
    look, answer = Look(None, thing.colour, None, thing.shape), "yes"
    if rng.random() < 0.5:
        answer = "no"
        done = {MOTIONS[e.act].group for e in teller.of(thing.id)} | {"stay"}
        others = [k for k in ACTS if MOTIONS[k.split("_")[0]].group not in done]
        if rng.random() < 0.4:
            look = near_miss(rng, look)
        else:
            seen = [k for k in others if any(act_key(e) == k for e in teller.events)]
            key = teller.pick(rng, seen or others)
        if look != Look(None, thing.colour, None, thing.shape) and teller.fits(look):
            return None
    text = fill(_ask(rng, teller, "yesno"), teller.phrase(rng, key), s=name_look(rng, look).singular)
    return text, answer, ()


def _attribute(rng: Rng, teller: Teller, kind: str) -> Asked | None:
    """The colour of the only star that spins, or the shape of the only red object that does."""
    event = _event(rng, teller)
    thing, group = teller.thing(event.object_id), MOTIONS[event.act].group
    look = Look(shape=thing.shape) if kind == "colour" else Look(colour=thing.colour)
    rivals = [o for o in teller.fits(look) if o.id != thing.id]
    if group == "stay" or any(MOTIONS[e.act].group == group for o in rivals for e in teller.of(o.id)):
        return None
    text = fill(_ask(rng, teller, kind), teller.act(rng, event), s=name_look(rng, look).singular)
    return (text, thing.colour, tuple(COLOURS)) if kind == "colour" else (text, thing.shape, SHAPES)


def _colour(rng: Rng, teller: Teller) -> Asked | None:
    return _attribute(rng, teller, "colour")


def _shape(rng: Rng, teller: Teller) -> Asked | None:
    return _attribute(rng, teller, "shape")


def _count_act(rng: Rng, teller: Teller) -> Asked | None:
    keys = clear_acts(teller.events)
    if not keys:
        return None
    key = teller.pick(rng, keys)
    number = len({e.object_id for e in teller.events if act_key(e) == key})
    if number == 1 and rng.random() < ONCE:
        return None
    return fill(_ask(rng, teller, "count_act"), teller.phrase(rng, key)), COUNTS[number], COUNTS[1:6]


def _count_times(rng: Rng, teller: Teller) -> Asked | None:
    event = _event(rng, teller)
    number = sum(act_key(e) == act_key(event) for e in teller.of(event.object_id))
    if event.act == "stay" or (number == 1 and rng.random() < ONCE):
        return None
    noun = teller.noun(rng, teller.thing(event.object_id))
    return fill(_ask(rng, teller, "count_times"), teller.act(rng, event), s=noun), COUNTS[number], COUNTS[1:6]


def _order(rng: Rng, teller: Teller) -> Asked | None:
    """Which of two visitors comes first."""
    first = {e.object_id: e.start for e in reversed(teller.events) if e.visit}
    if len(first) < 2:
        return None
    a, b = (str(v) for v in rng.choice(list(first), size=2, replace=False))
    if abs(first[a] - first[b]) < 4:
        return None
    names = plain_name(teller.thing(a)), plain_name(teller.thing(b))
    text = fill(_ask(rng, teller, "order"), s=names[0], o=names[1])
    return text, names[0] if first[a] < first[b] else names[1], ()


def _act(rng: Rng, teller: Teller) -> Asked | None:
    event = _event(rng, teller)
    if len({act_key(e) for e in teller.of(event.object_id)}) > 1:
        return None
    noun = teller.noun(rng, teller.thing(event.object_id))
    return fill(_ask(rng, teller, "act"), s=noun), act_name(event), tuple(ACTS.values())


KINDS: Final[dict[str, Callable[[Rng, Teller], Asked | None]]] = {
    "yesno": _yesno,
    "colour": _colour,
    "shape": _shape,
    "count": lambda rng, teller: (_count_act if rng.random() < 0.5 else _count_times)(rng, teller),
    "order": _order,
    "act": _act,
}


def draw_questions(rng: Rng, teller: Teller, most: int | None) -> tuple[Question, ...]:
    """`most` questions, or else 6 to 10, the kinds in turn; fewer where the clip has no more."""
    count = int(rng.integers(6, 11)) if most is None else most
    out: dict[str, Question] = {}
    kinds = list(rng.permutation(list(KINDS)))
    for turn in range(8 * count):
        kind = str(kinds[turn % len(kinds)])
        asked = next((a for a in (KINDS[kind](rng, teller) for _ in range(12)) if a and a[0] not in out), None)
        if asked is not None:
            text, answer, among = asked
            out[text] = Question(str(len(out)), text, answer, kind, _options(rng, answer, among))
        if len(out) == count:
            break
    return tuple(out.values())


def _options(rng: Rng, answer: str, among: tuple[str, ...]) -> tuple[str, ...]:
    """The answer among four wrong ones, in random order."""
    if not among:
        return ()
    wrong = rng.permutation([a for a in among if a != answer])[:4]
    return tuple(str(o) for o in rng.permutation([answer, *wrong]))


def draw_timed(rng: Rng, teller: Teller, most: int | None) -> tuple[TimedQuestion, ...]:
    """`most` timed questions, or else 2 to 4, those with several answers first; no two answers of one are the same.

    Fewer where the clip has no more; who says the same twice has said it once too often.
    """
    sets: list[tuple[str, str, list[Event]]] = [("timed_look", o.id, teller.of(o.id)) for o in teller.objects]
    sets.append(("timed_all", "", list(teller.events)))
    sets += [("timed_act", k, [e for e in teller.events if act_key(e) == k]) for k in clear_acts(teller.events)]
    order = rng.permutation(len(sets))
    ranked = sorted((sets[int(i)] for i in order if _distinct(sets[int(i)][2])), key=lambda s: len(s[2]) == 1)
    several = sum(len(s[2]) > 1 for s in ranked)
    count = min(max(several, 2), int(rng.integers(2, 5))) if most is None else most
    return tuple(_timed(rng, teller, str(i), *chosen) for i, chosen in enumerate(ranked[:count]))


def _distinct(events: list[Event]) -> bool:
    """Whether there are answers, and all different: no act of the object, no object of the act, or no pair twice."""
    said = [(e.object_id, act_key(e)) for e in events]
    return 0 < len(set(said)) == len(said)


def _timed(rng: Rng, teller: Teller, identifier: str, kind: str, key: str, events: list[Event]) -> TimedQuestion:
    if kind == "timed_look":
        text = fill(_ask(rng, teller, kind), s=teller.noun(rng, teller.thing(key)))
        said = [act_name(e) for e in events]
    elif kind == "timed_all":
        text = _ask(rng, teller, kind)
        said = [f"the {plain_name(teller.thing(e.object_id))} {forms(act_name(e))[1]}" for e in events]
    else:
        text = fill(_ask(rng, teller, kind), teller.phrase(rng, key))
        said = [plain_name(teller.thing(e.object_id)) for e in events]
    asked = 0
    if rng.random() > NOW:
        # Between two of the answers' spans, or before the first: never while one of them is going on.
        times = [t for t in range(0, events[-1].start + 1, 2) if not any(e.start < t < e.end for e in events)]
        asked = times[int(rng.integers(len(times)))]
    due = [Caption(s, float(e.start), float(e.end)) for s, e in zip(said, events, strict=True) if e.start >= asked]
    return TimedQuestion(identifier, text, float(asked), tuple(due))
