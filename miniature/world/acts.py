"""Acts - motions and events with names - and whether and when each object does them.

Knows the visible phases of motion that the facts hold, and first and last sightings. Does not know phrases.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.types import TimeSpan
from miniature.world.facts import TRAVEL, Facts
from miniature.world.spec import FPS, Phase
from miniature.world.truth import NO, UNSURE, YES, Truth, all_of, truth_of

EVENTS = ("enter", "leave", "appear", "disappear", "return")
TWO_PHASES = {"go_stop": ("move", "still"), "stop_go": ("still", "move"), "turn": ("move", "move")}
TIMED = frozenset({*EVENTS, *TWO_PHASES, "grow", "shrink"})
MAIN_HEADINGS = (0, 2, 4, 6)
_SWINGS = frozenset({"bounce", "zigzag", "sway"})
_HALF_SECOND = 4  # frames


@dataclass(frozen=True)
class Act:
    """Something an object does; None leaves a detail open.

    name: still, moving, move, go_stop, stop_go, turn, bounce, zigzag, sway, circle, rotate, grow, shrink, enter,
    leave, appear, disappear, return.   heading: of the (first) motion, 0..7; of sway 0 or 2; the side of entering
    and leaving.   then: the second heading of turn.   clockwise: of circle and rotate.
    """

    name: str
    heading: int | None = None
    then: int | None = None
    clockwise: bool | None = None


def _all_acts() -> tuple[Act, ...]:
    plain = ["still", "moving", "bounce", "zigzag", "sway", "circle", "rotate", "grow", "shrink", "go_stop", "stop_go"]
    acts = [Act(n) for n in (*plain, *EVENTS)]
    acts += [Act(n, h) for n in ("move", "go_stop", "stop_go") for h in range(8)]
    acts += [Act("sway", 0), Act("sway", 2)]
    acts += [Act(n, clockwise=c) for n in ("circle", "rotate") for c in (True, False)]
    acts += [Act("turn", a, b) for a in MAIN_HEADINGS for b in MAIN_HEADINGS if a != b]
    acts += [Act(n, h) for n in ("enter", "leave") for h in MAIN_HEADINGS]
    return tuple(acts)


ACTS = _all_acts()


def does(facts: Facts, act: Act) -> Truth:
    """Which objects do an act, [O]."""
    if act not in facts.memo:
        facts.memo[act] = truth_of([does_one(facts, i, act) for i in range(facts.count)])
    return facts.memo[act]


def acts_of(facts: Facts, i: int) -> list[Act]:
    """Every act that object `i` surely does."""
    return [a for a in ACTS if does(facts, a)[i] == YES]


def does_one(facts: Facts, i: int, act: Act) -> int:
    """Whether object `i` does an act."""
    return _passes(facts, i, act) if act.name in EVENTS else _moves(facts, i, act)


def _same_heading(have: int | None, want: int | None) -> int:
    """Neighbouring headings can be argued about."""
    if want is None:
        return YES
    if have is None:
        return NO
    apart = min((have - want) % 8, (want - have) % 8)
    return YES if apart == 0 else UNSURE if apart == 1 else NO


def _moves(facts: Facts, i: int, act: Act) -> int:
    pattern = facts.patterns[i]
    if pattern is None:
        return UNSURE
    kinds = tuple(p.kind for p in pattern)
    travels = bool(TRAVEL.intersection(kinds))
    if act.name == "still":
        return YES if kinds == ("still",) else NO if travels else UNSURE
    if act.name == "moving":
        return YES if travels else NO if kinds == ("still",) else UNSURE
    if act.name == "move":
        return _heads(pattern, act.heading)
    if act.name in TWO_PHASES:
        if kinds != TWO_PHASES[act.name]:
            return NO
        have = [p.heading for p in pattern if p.kind == "move"]
        return all_of(*(_same_heading(h, w) for h, w in zip(have, (act.heading, act.then), strict=False)))
    if act.name not in kinds:
        swings = _SWINGS | {"circle"} if act.name == "sway" else _SWINGS
        return UNSURE if act.name in _SWINGS and swings.intersection(kinds) else NO
    return _clear(facts, i, pattern[0], act) if len(pattern) == 1 else UNSURE


def _heads(pattern: tuple[Phase, ...], heading: int | None) -> int:
    kinds = tuple(p.kind for p in pattern)
    if kinds == ("move",):
        return _same_heading(pattern[0].heading, heading)
    if _SWINGS.intersection(kinds):
        return UNSURE
    return NO if all(_same_heading(p.heading, heading) == NO for p in pattern if p.kind == "move") else UNSURE


def _clear(facts: Facts, i: int, phase: Phase, act: Act) -> int:
    """Whether the one phase of an object, of the asked kind, shows enough of it and in the asked sense."""
    path, part = facts.objects[i].path, slice(phase.start, phase.stop)
    step = np.diff(path.centre[part], axis=0)
    if phase.kind in ("circle", "rotate"):
        turned = np.unwrap(np.arctan2(step[:, 1], step[:, 0])) if phase.kind == "circle" else path.angle[part]
        if abs(turned[-1] - turned[0]) < (4.7 if phase.kind == "circle" else 1.6):
            return UNSURE
        return YES if act.clockwise is None or phase.clockwise == act.clockwise else NO
    if phase.kind in ("grow", "shrink"):
        size = path.radius[part]
        return YES if size.max() / size.min() > 1.4 else UNSURE
    if int((np.diff(np.sign(step), axis=0) != 0).sum()) < 2:
        return UNSURE
    return YES if act.heading is None or phase.heading == act.heading else NO


def _passes(facts: Facts, i: int, act: Act) -> int:
    shown, inside, seen = facts.objects[i].path.shown, facts.inside[i], facts.visible[i]
    if act.name in ("leave", "disappear"):  # entering and appearing, backwards in time
        shown, inside, seen = shown[::-1], inside[::-1], seen[::-1]
    if not seen.any() or facts.has_gap(i):
        return _returns(shown, seen) if act.name == "return" else UNSURE
    if act.name == "return":
        return NO if seen[0] and seen[-1] else UNSURE
    if inside[0]:
        return NO if seen[0] else UNSURE
    late = int(np.argmax(seen)) - int(np.argmax(inside)) > 3  # came in behind another object
    crosses = act.name in ("enter", "leave")
    if late or bool(shown[0]) != crosses:
        return UNSURE
    return _by_side(facts, i, act) if crosses else YES


def _returns(shown: NDArray[np.bool_], seen: NDArray[np.bool_]) -> int:
    """YES only where the gap is the one in which the object is not shown."""
    return YES if shown[0] and shown[-1] and not shown.all() and bool((seen == shown).all()) else UNSURE


def _by_side(facts: Facts, i: int, act: Act) -> int:
    if _whole(facts, i, act.name) is None:
        return UNSURE
    moves = [p.heading for p in facts.objects[i].path.phases if p.kind == "move" and p.heading is not None]
    side = moves[-1] if act.name == "leave" else (moves[0] + 4) % 8
    return YES if act.heading is None else int(side == act.heading)


def _whole(facts: Facts, i: int, name: str) -> int | None:
    """The first frame (last for leave) at which the object is wholly inside; None for never."""
    area = facts.picture.area[i]
    full = np.flatnonzero(area >= 0.93 * area.max()) if area.max() >= 300 else np.zeros(0, dtype=np.int64)
    return None if not len(full) else int(full[-1] if name == "leave" else full[0])


def moment(facts: Facts, i: int, name: str) -> int:
    """The frame at which object `i` is first seen (enter, appear), again (return), or no longer (leave, disappear)."""
    at = np.flatnonzero(facts.visible[i])
    if name == "return":
        return int(at[int(np.argmax(np.diff(at))) + 1])
    return int(at[-1]) + 1 if name in ("leave", "disappear") else int(at[0])


def span(facts: Facts, i: int, act: Act) -> TimeSpan:
    """When object `i`, which surely does a timed act, does it: seconds, at least half a second.

    Entering lasts from the first sight to the first frame that shows all of it, leaving likewise; appearing,
    disappearing and returning are the half second before and the one after; growing and shrinking as long as they
    go on; an act of two phases is its second one, which the word "then" names.
    """
    if act.name in ("enter", "leave"):
        whole, edge = _whole(facts, i, act.name), moment(facts, i, act.name)
        assert whole is not None  # true by _by_side
        start, stop = (edge, whole + 1) if act.name == "enter" else (whole, edge)
    elif act.name in EVENTS:
        at = moment(facts, i, act.name)
        start, stop = at - _HALF_SECOND, at + _HALF_SECOND
    else:
        pattern = facts.patterns[i]
        assert pattern is not None  # true by _moves
        start, stop = pattern[-1].start, pattern[-1].stop
    start = max(min(start, stop - _HALF_SECOND), 0)
    return TimeSpan(start / FPS, min(max(stop, start + _HALF_SECOND), facts.frames) / FPS)
