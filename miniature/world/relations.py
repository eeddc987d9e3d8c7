"""Drafts about relations: depth, sides, superlatives, order of events, exceptions, likeness.

Knows meanings between objects; every truth comes from the facts. Does not know which drafts a clip keeps.
"""

from collections.abc import Callable

import numpy as np

from core.types import TimeSpan
from miniature.world.drafts import Draft, _any_object, _choose, _fill, motion, no_objects, only
from miniature.world.facts import NO, UNSURE, YES, Facts, Truth, both, opposite, sure
from miniature.world.nouns import Look, full_look, name, near_miss, some_look
from miniature.world.phrases import Wording
from miniature.world.spec import ObjectSpec

Rng = np.random.Generator


def _group_look(rng: Rng, thing: ObjectSpec) -> Look:
    """A look that often fits a twin too."""
    chance = rng.random()
    if chance < 0.55:
        return full_look(thing)
    return Look() if chance < 0.62 else Look(shape=thing.shape) if chance < 0.85 else Look(colour=thing.colour)


def _reference(rng: Rng, facts: Facts) -> tuple[int, Look] | None:
    """An object that a few words name beyond doubt."""
    thing = _any_object(rng, facts)
    look = some_look(rng, thing, 1.0)
    index = only(look.fits(facts))
    return None if index is None else (index, look)


def pair(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """Behind, in front of, or beside a reference."""
    found = _reference(rng, facts)
    if found is None:
        return None
    at, reference = found
    look = _group_look(rng, _any_object(rng, facts))
    if absent and look.said and rng.random() < 0.3:
        look = near_miss(rng, look)
    relation = str(rng.choice(["behind", "front", "beside_0", "beside_2", "beside_4", "beside_6"]))
    others = [NO if i == at else _related(facts, relation, i, at) for i in range(len(facts))]
    truth = both(look.fits(facts), np.array(others, dtype=np.int8))
    if (truth == YES).sum() > 1:
        return None  # the patterns are singular
    pattern = _choose(rng, words.relations[relation])
    if not look.said and relation.startswith("beside"):
        return None
    return Draft("relation", truth, _fill(pattern, name(rng, look), 1, o=name(rng, reference).singular))


def _related(facts: Facts, relation: str, i: int, at: int) -> int:
    if relation == "behind":
        return facts.behind(i, at)
    if relation == "front":
        return facts.behind(at, i)
    return facts.beside(i, at, int(relation[-1]))


def _one_of(facts: Facts, domain: Truth, winner: int | None) -> Truth | None:
    """Truth of a superlative: the winner alone; None where the domain or the winner is not clear."""
    if winner is None or not sure(domain):
        return None
    truth = no_objects(facts)
    truth[winner] = YES
    return truth


def _domain(rng: Rng, facts: Facts) -> tuple[Look, Truth, np.ndarray] | None:
    look = _group_look(rng, _any_object(rng, facts))
    truth = look.fits(facts)
    among = truth == YES
    return (look, truth, among) if among.sum() >= 2 and sure(truth) else None


def superlative(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """The largest, the smallest, the fastest, the slowest, the one at an edge."""
    found = _domain(rng, facts)
    if absent or found is None:
        return None
    look, domain, among = found
    relation = str(rng.choice(["largest", "smallest", "fastest", "slowest", "edge_0", "edge_2", "edge_4", "edge_6"]))
    pattern = relation
    if relation in ("largest", "smallest"):
        winner = _by_size(facts, among, relation == "largest")
    elif relation in ("fastest", "slowest"):
        winner = _by_speed(facts, among, relation == "fastest")
        if among.sum() == 2:
            pattern = "faster_two" if relation == "fastest" else "slower_two"
    else:
        winner = _by_place(facts, among, int(relation[-1]))
    truth = _one_of(facts, domain, winner)
    if truth is None:
        return None
    return Draft("relation", truth, _fill(_choose(rng, words.relations[pattern]), name(rng, look), 1))


def _by_size(facts: Facts, among: np.ndarray, largest: bool) -> int | None:
    ranges = {int(i): facts.sizes(int(i)) for i in np.flatnonzero(among)}
    for i, (low, high) in ranges.items():
        rest = [r for j, r in ranges.items() if j != i]
        if all(low > 1.25 * h for _, h in rest) if largest else all(high * 1.25 < w for w, _ in rest):
            return i
    return None


def _by_speed(facts: Facts, among: np.ndarray, fastest: bool) -> int | None:
    speeds = {int(i): facts.speed(int(i)) for i in np.flatnonzero(among)}
    if any(v is None for v in speeds.values()):
        return None
    ranked = sorted(((v or 0.0, i) for i, v in speeds.items()), reverse=fastest)
    first, second = ranked[0][0], ranked[1][0]
    return ranked[0][1] if max(first, second) > 1.5 * min(first, second) else None


def _by_place(facts: Facts, among: np.ndarray, heading: int) -> int | None:
    indices = [int(i) for i in np.flatnonzero(among)]
    for i in indices:
        if all(facts.beside(i, j, heading) == YES for j in indices if j != i):
            return i
    return None


_ORDERS: dict[str, tuple[str, bool]] = {
    "first_leave": ("leave", True),
    "last_leave": ("leave", False),
    "first_enter": ("enter", True),
    "last_enter": ("enter", False),
    "first_gone": ("disappear", True),
    "last_come": ("appear", False),
}


def order(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """The first or last to leave, enter, appear or disappear, of two or more that do."""
    relation = str(rng.choice(list(_ORDERS)))
    event, first = _ORDERS[relation]
    look = _group_look(rng, _any_object(rng, facts)) if rng.random() < 0.5 else Look()
    truth = both(look.fits(facts), facts.passage(event))
    does = np.flatnonzero(truth == YES)
    if absent or len(does) < 2 or not sure(truth):
        return None
    times = sorted(((facts.moment(int(i), event), int(i)) for i in does), reverse=not first)
    if abs(times[0][0] - times[1][0]) < 5:
        return None
    winner = times[0][1]
    one = no_objects(facts)
    one[winner] = YES
    spans: dict[int, TimeSpan] = {winner: facts.span(winner, event)}
    return Draft("relation", one, _fill(_choose(rng, words.relations[relation]), name(rng, look), 1), spans)


def exception(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """All of a group except one."""
    thing = _any_object(rng, facts)
    group = Look() if rng.random() < 0.4 else some_look(rng, thing, 0.5)
    found = _reference(rng, facts)
    if absent or found is None:
        return None
    at, reference = found
    domain = group.fits(facts)
    if domain[at] != YES:
        return None
    truth = both(domain, opposite(reference.fits(facts)))
    if (truth == YES).sum() < 2:
        return None
    pattern = _choose(rng, words.relations["except"])
    return Draft("relation", truth, _fill(pattern, name(rng, group), 2, o=name(rng, reference).singular))


def likeness(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """The one of the same colour, shape or direction as a reference."""
    found = _reference(rng, facts)
    if found is None:
        return None
    at, reference = found
    other = facts.objects[at]
    relation = str(rng.choice(["same_colour", "same_shape", "same_way"]))
    thing = _any_object(rng, facts)
    if relation == "same_colour":
        look, alike = Look(shape=thing.shape), Look(colour=other.colour).fits(facts)
        reference = Look(shape=other.shape, texture=reference.texture, size=reference.size)
    elif relation == "same_shape":
        look, alike = Look(colour=thing.colour), Look(shape=other.shape).fits(facts)
    else:
        look = full_look(thing)
        heading = _heading_of(facts, at)
        if heading is None:
            return None
        alike = facts.motion(("move", heading))
    if only(reference.fits(facts)) != at:
        return None
    alike = alike.copy()
    alike[at] = NO
    truth = both(look.fits(facts), alike)
    count = int((truth == YES).sum())
    if count > 1 or (count == 0 and not absent):
        return None
    pattern = _choose(rng, words.relations[relation])
    return Draft("relation", truth, _fill(pattern, name(rng, look), 1, o=name(rng, reference).singular))


def _heading_of(facts: Facts, i: int) -> int | None:
    pattern = facts.patterns[i]
    if pattern is None or len(pattern) != 1 or pattern[0].kind != "move":
        return None
    return pattern[0].heading


def group(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """All of a kind that share a motion."""
    return motion(rng, facts, words, absent, group=True)


Maker = Callable[[Rng, Facts, Wording, bool], Draft | None]
MAKERS: tuple[tuple[Maker, float], ...] = (
    (pair, 0.34),
    (superlative, 0.24),
    (order, 0.1),
    (exception, 0.08),
    (likeness, 0.12),
    (group, 0.12),
)


def relation(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """One draft about a relation of any sort."""
    weights = np.array([w for _, w in MAKERS])
    draft = MAKERS[int(rng.choice(len(MAKERS), p=weights / weights.sum()))][0](rng, facts, words, absent)
    return None if draft is None or (draft.truth == UNSURE).any() else draft
