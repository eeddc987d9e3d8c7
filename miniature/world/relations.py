"""Drafts about relations: depth, sides, superlatives, order of events, exceptions, likeness, groups.

Knows meanings between objects; every truth comes from the facts. Does not know which drafts a clip keeps.
"""

from collections.abc import Callable

import numpy as np

from miniature.world.acts import Act, does, moment, span
from miniature.world.drafts import Draft, any_object, fill, motion, pick
from miniature.world.facts import Facts
from miniature.world.nouns import Look, full_look, name_look, near_miss, some_look
from miniature.world.phrases import Wording
from miniature.world.spec import ObjectSpec
from miniature.world.truth import NO, YES, both, chosen, just, only, opposite, sure, truth_of

Rng = np.random.Generator


def _group_look(rng: Rng, thing: ObjectSpec) -> Look:
    """A look that often fits a twin too."""
    chance = rng.random()
    if chance < 0.55:
        return full_look(thing)
    return Look() if chance < 0.62 else Look(shape=thing.shape) if chance < 0.85 else Look(colour=thing.colour)


def _reference(rng: Rng, facts: Facts) -> tuple[int, Look] | None:
    """An object that a few words name beyond doubt."""
    thing = any_object(rng, facts)
    look = some_look(rng, thing, 1.0)
    index = only(look.fits(facts))
    if index is None:
        look = full_look(thing)
        index = only(look.fits(facts))
    return None if index is None else (index, look)


def _pair(rng: Rng, facts: Facts, words: Wording, absent: bool, relations: tuple[str, ...]) -> Draft | None:
    """One object that stands in one of the relations to a reference."""
    found = _reference(rng, facts)
    look = _group_look(rng, any_object(rng, facts))
    if found is None:
        return None
    at, reference = found
    if absent and look.said and rng.random() < 0.3:
        look = near_miss(rng, look)
    relation = pick(rng, relations)
    related = truth_of([NO if i == at else _related(facts, relation, i, at) for i in range(facts.count)])
    truth = both(look.fits(facts), related)
    if len(chosen(truth)) > 1:
        return None  # the patterns are singular
    text = fill(pick(rng, words.relations[relation]), name_look(rng, look), o=name_look(rng, reference).singular)
    return Draft("relation", truth, text, f"{relation} {at}")


def _related(facts: Facts, relation: str, i: int, at: int) -> int:
    if relation == "behind":
        return facts.behind(i, at)
    return facts.behind(at, i) if relation == "front" else facts.beside(i, at, int(relation[-1]))


def depth(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """Behind or in front of a reference."""
    return _pair(rng, facts, words, absent, ("behind", "front"))


def side(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """To the left or right of a reference, above or below it."""
    return _pair(rng, facts, words, absent, ("beside_0", "beside_2", "beside_4", "beside_6"))


Judge = Callable[[Facts, list[int], str], int | None]


def _superlative(rng: Rng, facts: Facts, words: Wording, relations: tuple[str, ...], judge: Judge) -> Draft | None:
    """The one of at least two that a judge picks."""
    look = _group_look(rng, any_object(rng, facts))
    domain = look.fits(facts)
    among, relation = chosen(domain), pick(rng, relations)
    winner = judge(facts, among, relation) if len(among) >= 2 and sure(domain) else None
    if winner is None:
        return None
    two = {"fastest": "faster_two", "slowest": "slower_two"} if len(among) == 2 else {}
    text = fill(pick(rng, words.relations[two.get(relation, relation)]), name_look(rng, look))
    return Draft("relation", just(winner, facts.count), text, relation)


def size(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """The largest or the smallest."""
    return _superlative(rng, facts, words, ("largest", "smallest"), _by_size)


def speed(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """The fastest or the slowest."""
    return _superlative(rng, facts, words, ("fastest", "slowest"), _by_speed)


def edge(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """The leftmost, rightmost, highest or lowest."""
    return _superlative(rng, facts, words, ("edge_0", "edge_2", "edge_4", "edge_6"), _at_edge)


def _by_size(facts: Facts, among: list[int], relation: str) -> int | None:
    """The one clearly larger (smaller) than each other one, in radius and in area, all the time."""
    if not all(facts.visible[i].any() for i in among):
        return None
    sizes = {i: facts.sizes(i) for i in among}
    for i in among:
        rest = [sizes[j] for j in among if j != i]
        low, high, least, most = sizes[i]
        if relation == "largest" and all(low > 1.25 * s[1] and least > 1.4 * s[3] for s in rest):
            return i
        if relation == "smallest" and all(high * 1.25 < s[0] and most * 1.4 < s[2] for s in rest):
            return i
    return None


def _by_speed(facts: Facts, among: list[int], relation: str) -> int | None:
    """The one half again as fast (slow) as the next; None unless all keep moving."""
    speeds = [(v, i) for i in among if (v := facts.speed(i)) is not None]
    if len(speeds) < len(among):
        return None
    (first, winner), (second, _) = sorted(speeds, reverse=relation == "fastest")[:2]
    return winner if max(first, second) > 1.5 * min(first, second) else None


def _at_edge(facts: Facts, among: list[int], relation: str) -> int | None:
    """The one beside each other one on the same side."""
    heading = int(relation[-1])
    for i in among:
        if all(facts.beside(i, j, heading) == YES for j in among if j != i):
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
    look = _group_look(rng, any_object(rng, facts)) if rng.random() < 0.5 else Look()
    truth = both(look.fits(facts), does(facts, Act(event)))
    if len(chosen(truth)) < 2 or not sure(truth):
        return None
    times = sorted(((moment(facts, i, event), i) for i in chosen(truth)), reverse=not first)
    if abs(times[0][0] - times[1][0]) < 5:
        return None
    winner = times[0][1]
    text = fill(pick(rng, words.relations[relation]), name_look(rng, look))
    return Draft("relation", just(winner, facts.count), text, relation, {winner: span(facts, winner, Act(event))})


def exception(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """All of a group except one."""
    found = _reference(rng, facts)
    group = Look() if rng.random() < 0.4 else some_look(rng, any_object(rng, facts), 0.5)
    if found is None:
        return None
    at, reference = found
    domain = group.fits(facts)
    truth = both(domain, opposite(reference.fits(facts)))
    if domain[at] != YES or len(chosen(truth)) < 2:
        return None
    pattern = pick(rng, words.relations["except"])
    text = fill(pattern, name_look(rng, group), 2, o=name_look(rng, reference).singular)
    return Draft("relation", truth, text, "except")


def likeness(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """The one of the same colour, shape or direction as a reference."""
    found = _reference(rng, facts)
    if found is None:
        return None
    at, reference = found
    other, thing = facts.objects[at], any_object(rng, facts)
    relation = str(rng.choice(["same_colour", "same_shape", "same_way"]))
    if relation == "same_colour":
        look, alike = Look(shape=thing.shape), Look(colour=other.colour).fits(facts)
        reference = Look(shape=other.shape, texture=reference.texture, size=reference.size)
    elif relation == "same_shape":
        look, alike = Look(colour=thing.colour), Look(shape=other.shape).fits(facts)
    else:
        heading = _heading_of(facts, at)
        if heading is None:
            return None
        look, alike = full_look(thing), does(facts, Act("move", heading))
    truth = both(both(look.fits(facts), alike), opposite(just(at, facts.count)))
    count = len(chosen(truth))
    if only(reference.fits(facts)) != at or count > 1 or (count == 0 and not absent):
        return None
    text = fill(pick(rng, words.relations[relation]), name_look(rng, look), o=name_look(rng, reference).singular)
    return Draft("relation", truth, text, f"{relation} {at} {look}")


def _heading_of(facts: Facts, i: int) -> int | None:
    """The heading of an object that moves one way all the time."""
    pattern = facts.patterns[i]
    return pattern[0].heading if pattern is not None and [p.kind for p in pattern] == ["move"] else None


def group(rng: Rng, facts: Facts, words: Wording, absent: bool) -> Draft | None:
    """All of a kind that share an act."""
    return motion(rng, facts, words, absent, group=True)


Maker = Callable[[Rng, Facts, Wording, bool], Draft | None]
# Topics with the weight of each, and of each where there is to be no target.
TOPICS: tuple[tuple[Maker, float, float], ...] = (
    (depth, 0.17, 0.35),
    (side, 0.17, 0.35),
    (edge, 0.13, 0.0),
    (size, 0.09, 0.0),
    (speed, 0.1, 0.0),
    (order, 0.12, 0.0),
    (exception, 0.07, 0.0),
    (likeness, 0.07, 0.1),
    (group, 0.08, 0.2),
)


def draw_topic(rng: Rng, absent: bool) -> Maker:
    """A sort of relation; one that can miss its target where `absent`."""
    weights = [missing if absent else there for _, there, missing in TOPICS]
    return TOPICS[int(rng.choice(len(TOPICS), p=weights))][0]
