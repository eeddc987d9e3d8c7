"""When things happen in a long clip and who does them: 3 to 10 events on a grid of 2 seconds.

Knows lengths, repeats and gaps. Does not know looks, places or words. Every clip of 120 seconds or more has an event
in each of QVHighlights' length ranges: short (4 to 8 s), middle (12 to 28 s), long (32 to 56 s).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from miniature.long_world.motion import MOTIONS
from miniature.long_world.spec import CLIP, FPS, Event

Rng = np.random.Generator
LENGTHS: Final[dict[str, tuple[int, int]]] = {"short": (4, 8), "middle": (12, 28), "long": (32, 56)}  # seconds
EVENTS: Final = (3, 10)
SHIFTED_EVENTS: Final = (5, 10)
AT_ONCE: Final = 3  # events that may overlap
GAP: Final = 4  # seconds between two events of one object
TRIES: Final = 60
REPEAT, OTHER_ACT = 0.25, 0.4  # shares of events: what was done before again; a known object does something else
# Those that suit few lengths and actors come more often when they can, so that all occur about equally often.
WEIGHTS: Final = {"cross": 7.0, "grow": 3.0, "shrink": 2.5, "stay": 1.2, "pulse": 0.7, "spin": 0.8}
VISITOR: Final = 0.6  # share of new actors that are visitors


@dataclass(frozen=True)
class Actor:
    """Who acts: a number, whether it is a visitor, and whether its look lets turning be seen."""

    number: int
    visitor: bool
    turns: bool


def draw_events(rng: Rng, duration: int, actors: tuple[Actor, ...], shifted: bool) -> tuple[Event, ...]:
    """The events of a clip of `duration` seconds, by start; object ids are the actors' numbers.

    Clips too short for a length class leave it out; there may then be fewer than three events.
    """
    low, high = SHIFTED_EVENTS if shifted else EVENTS
    count = int(rng.integers(low, high + 1))
    kinds = [k for k, (least, _) in LENGTHS.items() if least + 2 * CLIP <= duration]
    wanted = [*kinds[::-1], *(str(k) for k in rng.choice(kinds, size=count, p=_shares(len(kinds))))][:count]
    events: list[Event] = []
    for kind in wanted:
        for _ in range(TRIES):
            event = _propose(rng, duration, kind, actors, events)
            if event is not None and _fits(event, events):
                events.append(event)
                break
    return tuple(sorted(events, key=lambda e: (e.start, e.end, e.object_id)))


def _shares(kinds: int) -> list[float]:
    shares = [0.45, 0.4, 0.15][:kinds]
    return [s / sum(shares) for s in shares]


def _propose(rng: Rng, duration: int, kind: str, actors: tuple[Actor, ...], events: list[Event]) -> Event | None:
    """An event of a length class at a random time; None where nobody can do anything for that long."""
    low, high = LENGTHS[kind]
    length = CLIP * int(rng.integers(low // CLIP, min(high, duration - CLIP) // CLIP + 1))
    start = CLIP * int(rng.integers(0, (duration - length) // CLIP + 1))
    chance = rng.random()
    known = [e for e in events if _able(e.act, length)]
    if known and chance < REPEAT:
        old = known[int(rng.integers(len(known)))]
        return Event(old.object_id, old.act, start, start + length, old.visit, old.heading)
    used = {int(e.object_id) for e in events}
    pool = [a for a in actors if (a.number in used) == (chance < REPEAT + OTHER_ACT)] or list(actors)
    visitors = [a for a in pool if a.visitor]
    residents = [a for a in pool if not a.visitor]
    pool = (visitors or residents) if rng.random() < VISITOR else (residents or visitors)
    actor = pool[int(rng.integers(len(pool)))]
    done = {MOTIONS[e.act].group for e in events if e.object_id == str(actor.number)}
    able = [act for act in MOTIONS if _able(act, length) and _does(actor, act) and MOTIONS[act].group not in done]
    if not able:
        return None
    # What others did already comes a little more often, so that several objects do the same at different times.
    weights = np.array([WEIGHTS.get(act, 1.0) * (1.5 if any(e.act == act for e in events) else 1.0) for act in able])
    act = able[int(rng.choice(len(able), p=weights / weights.sum()))]
    heading = int(rng.choice([0, 2, 4, 6])) if act == "cross" else None
    return Event(str(actor.number), act, start, start + length, actor.visitor, heading)


def _able(act: str, seconds: int) -> bool:
    return MOTIONS[act].least <= seconds * FPS <= MOTIONS[act].most


def _does(actor: Actor, act: str) -> bool:
    if act == "spin" and not actor.turns:
        return False
    return MOTIONS[act].visits if actor.visitor else MOTIONS[act].stays


def _fits(event: Event, events: list[Event]) -> bool:
    """Whether an object has time between its events, and not too much happens at once."""
    if any(e.object_id == event.object_id and _near(e, event) for e in events):
        return False
    busy = np.zeros(1000, dtype=np.int64)
    for e in (*events, event):
        busy[e.start // CLIP : e.end // CLIP] += 1
    return bool(busy.max() <= AT_ONCE)


def _near(a: Event, b: Event) -> bool:
    return a.start < b.end + GAP and b.start < a.end + GAP
