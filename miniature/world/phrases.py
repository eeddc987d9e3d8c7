"""The words: nouns, motion clauses and sentence patterns, for ordinary clips and, reworded, for shifted ones.

Knows English forms. Does not know scenes: which words are true is decided elsewhere. A pattern has {s} for a singular
noun phrase without article, {p} for the plural, {n} for a number word, {c} for a clause. Shifted wordings are mostly
made of words that the ordinary ones contain.
"""

from dataclasses import dataclass

NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}
SHAPE_NOUNS: dict[str, tuple[str, ...]] = {
    "disc": ("disc", "circle"),
    "square": ("square",),
    "triangle": ("triangle",),
    "star": ("star",),
    "ring": ("ring", "hoop"),
    "cross": ("cross", "plus"),
    "hexagon": ("hexagon",),
    "heart": ("heart",),
    "crescent": ("crescent", "moon"),
}
PLURALS = {"cross": "crosses", "plus": "pluses"}
ANY_NOUNS = ("object", "shape", "thing")
TEXTURE_WORDS: dict[str, tuple[str, ...]] = {
    "plain": ("plain", "solid"),
    "striped": ("striped",),
    "dotted": ("dotted", "spotted"),
    "checkered": ("checkered", "checked"),
}
TEXTURE_TAILS = {"striped": "with stripes", "dotted": "with dots", "checkered": "with checks"}
SIZE_WORDS: dict[str, tuple[str, ...]] = {"small": ("small", "little"), "large": ("large", "big")}
MAIN = {0: "right", 2: "up", 4: "left", 6: "down"}
DIAGONAL = {1: "up and right", 3: "up and left", 5: "down and left", 7: "down and right"}
SIDE_WORDS = {0: "right", 2: "top", 4: "left", 6: "bottom"}


@dataclass(frozen=True)
class Wording:
    """Sentence patterns and clauses of one dialect.

    one, many, any: for exactly one target, for several, for whatever number.   Clauses are (singular, plural) pairs.
    """

    one: tuple[str, ...]
    many: tuple[str, ...]
    any: tuple[str, ...]
    one_clause: tuple[str, ...]
    many_clause: tuple[str, ...]
    clauses: dict[str, tuple[tuple[str, str], ...]]
    relations: dict[str, tuple[str, ...]]


def _same(*texts: str) -> tuple[tuple[str, str], ...]:
    return tuple((t, t) for t in texts)


TRAIN = Wording(
    one=("the {s}", "the {s}", "{s}", "find the {s}", "the only {s}", "a {s}"),
    many=("the {p}", "all {p}", "all the {p}", "the {n} {p}", "every {s}", "each of the {p}"),
    any=("anything {a}", "everything {a}", "all that is {a}", "whatever is {a}"),
    one_clause=("the {s} {c}", "the {s} {c}", "{s} {c}", "find the {s} {c}", "a {s} {c}"),
    many_clause=("the {p} {c}", "all {p} {c}", "{p} {c}", "the {n} {p} {c}", "all the {p} {c}"),
    clauses={
        "still": (
            ("that stays still", "that stay still"),
            ("that does not move", "that do not move"),
            *_same("standing still", "staying in place"),
        ),
        "moving": (("that moves", "that move"), *_same("in motion", "moving around")),
        "move": (
            *_same("moving {d}", "moving {to}", "going {to}", "heading {to}"),
            ("that moves {d}", "that move {d}"),
            ("that goes {d} the whole time", "that go {d} the whole time"),
        ),
        "go_stop": (
            *_same("moving {d}, then stopping", "going {d} and then stopping", "moving {to} before standing still"),
            ("that moves {d}, then stops", "that move {d}, then stop"),
        ),
        "go_stop_any": (
            ("that moves, then stops", "that move, then stop"),
            *_same("moving first and then stopping", "coming to a stop"),
        ),
        "stop_go": (
            *_same("still, then moving {d}", "waiting, then going {d}", "standing still before moving {to}"),
            ("that stays still, then moves {d}", "that stay still, then move {d}"),
        ),
        "stop_go_any": (
            ("that waits, then moves", "that wait, then move"),
            *_same("still at first, then moving", "starting to move"),
        ),
        "turn": (
            *_same("moving {d}, then {e}", "going {d} and then {e}"),
            ("that moves {d}, then turns {e}", "that move {d}, then turn {e}"),
        ),
        "bounce": (
            *_same("bouncing around", "bouncing off the walls"),
            ("that bounces", "that bounce"),
        ),
        "zigzag": (*_same("moving in a zigzag", "zigzagging"), ("that zigzags", "that zigzag")),
        "sway": (*_same("moving back and forth", "swinging back and forth"), ("that swings", "that swing")),
        "sway_0": _same("moving from side to side", "swinging left and right"),
        "sway_2": _same("moving up and down", "swinging up and down"),
        "circle": (
            *_same("circling", "going around in circles", "moving in a circle"),
            ("that circles", "that circle"),
        ),
        "circle_turn": (
            *_same("circling {r}", "moving in a circle {r}"),
            ("that circles {r}", "that circle {r}"),
        ),
        "rotate": (
            *_same("spinning", "rotating", "spinning in place", "rotating in place"),
            ("that spins", "that spin"),
        ),
        "rotate_turn": (*_same("spinning {r}", "rotating {r}"), ("that rotates {r}", "that rotate {r}")),
        "grow": (
            ("that grows", "that grow"),
            ("getting bigger", "getting bigger"),
            ("growing", "growing"),
            ("that becomes large", "that become large"),
        ),
        "shrink": (
            ("that shrinks", "that shrink"),
            ("getting smaller", "getting smaller"),
            ("shrinking", "shrinking"),
            ("that becomes small", "that become small"),
        ),
        "enter": (("that enters", "that enter"), ("that comes in", "that come in"), *_same("entering", "coming in")),
        "enter_side": (
            ("that enters from the {e}", "that enter from the {e}"),
            ("that comes in from the {e}", "that come in from the {e}"),
            *_same("entering from the {e}"),
        ),
        "leave": (("that leaves", "that leave"), ("that goes out", "that go out"), *_same("leaving", "going out")),
        "leave_side": (
            ("that leaves at the {e}", "that leave at the {e}"),
            ("that goes out at the {e}", "that go out at the {e}"),
            *_same("leaving at the {e}"),
        ),
        "appear": (
            ("that appears", "that appear"),
            ("that suddenly appears", "that suddenly appear"),
            *_same("appearing", "not there at first"),
        ),
        "disappear": (
            ("that disappears", "that disappear"),
            ("that vanishes", "that vanish"),
            ("that suddenly disappears", "that suddenly disappear"),
            *_same("disappearing"),
        ),
        "return": (
            ("that disappears and comes back", "that disappear and come back"),
            ("that vanishes for a while", "that vanish for a while"),
        ),
    },
    relations={
        "behind": ("the {s} behind the {o}", "the {s} that is behind the {o}", "the {s} covered by the {o}"),
        "front": ("the {s} in front of the {o}", "the {s} that is in front of the {o}", "the {s} that covers the {o}"),
        "beside_0": ("the {s} to the right of the {o}", "the {s} right of the {o}"),
        "beside_2": ("the {s} above the {o}", "the {s} higher than the {o}"),
        "beside_4": ("the {s} to the left of the {o}", "the {s} left of the {o}"),
        "beside_6": ("the {s} below the {o}", "the {s} lower than the {o}"),
        "edge_0": ("the {s} on the far right", "the rightmost {s}"),
        "edge_2": ("the {s} at the top", "the highest {s}"),
        "edge_4": ("the {s} on the far left", "the leftmost {s}"),
        "edge_6": ("the {s} at the bottom", "the lowest {s}"),
        "largest": ("the largest {s}", "the biggest {s}", "the {s} that is larger than the others"),
        "smallest": ("the smallest {s}", "the {s} that is smaller than the others"),
        "fastest": ("the fastest {s}", "the {s} moving fastest", "the {s} that moves faster than the others"),
        "slowest": ("the slowest {s}", "the {s} moving slowest", "the {s} that moves slower than the others"),
        "faster_two": ("the {s} moving faster", "the faster {s}", "the {s} that is faster than the other"),
        "slower_two": ("the {s} moving slower", "the slower {s}", "the {s} that is slower than the other"),
        "first_leave": ("the first {s} to leave", "the {s} leaving first"),
        "last_leave": ("the last {s} to leave", "the {s} leaving last"),
        "first_enter": ("the first {s} to enter", "the {s} entering first"),
        "last_enter": ("the last {s} to enter", "the {s} entering last"),
        "first_gone": ("the first {s} to disappear", "the {s} disappearing first"),
        "last_come": ("the last {s} to appear", "the {s} appearing last"),
        "except": ("all {p} except the {o}", "all the {p} but the {o}", "every {s} except the {o}"),
        "same_colour": ("the {s} of the same colour as the {o}", "the {s} with the colour of the {o}"),
        "same_shape": ("the {a} thing of the same shape as the {o}", "the {a} thing with the shape of the {o}"),
        "same_way": ("the {s} moving in the same direction as the {o}", "the {s} going the same way as the {o}"),
        "group": ("all {p} {c}", "all the {p} {c}", "every {s} {v}", "the group of {p} {c}"),
    },
)

SHIFTED = Wording(
    one=("the one {s}", "only the {s}", "find a {s}", "that {s}"),
    many=("each {s}", "all of the {p}", "find the {n} {p}", "find all {p}"),
    any=("each thing that is {a}", "find everything {a}", "every {a} thing"),
    one_clause=("the one {s} {c}", "find a {s} {c}", "only the {s} {c}"),
    many_clause=("all of the {p} {c}", "find all {p} {c}", "find the {n} {p} {c}"),
    clauses={
        "still": (("that is standing in place", "that are standing in place"), *_same("staying still")),
        "moving": _same("not staying still", "moving"),
        "move": (("that is moving {to}", "that are moving {to}"), *_same("going {d}", "moving {d} the whole time")),
        "go_stop": (
            ("that goes {d} before stopping", "that go {d} before stopping"),
            *_same("heading {to}, then staying still"),
        ),
        "go_stop_any": _same("moving at first, then staying still", "moving before stopping"),
        "stop_go": (
            ("that waits before going {to}", "that wait before going {to}"),
            *_same("staying still and then heading {to}"),
        ),
        "stop_go_any": _same("waiting before moving", "standing still first, then going"),
        "turn": (
            ("that goes {d} before turning {e}", "that go {d} before turning {e}"),
            *_same("heading {d}, then {e}"),
        ),
        "bounce": (("that goes bouncing around", "that go bouncing around"), *_same("moving around, bouncing")),
        "zigzag": _same("going in a zigzag"),
        "sway": _same("going back and forth", "swinging"),
        "sway_0": _same("going from side to side"),
        "sway_2": _same("going up and down"),
        "circle": (("that moves around in circles", "that move around in circles"), *_same("going in a circle")),
        "circle_turn": _same("going in circles {r}", "going around {r}"),
        "rotate": (("that is spinning in place", "that are spinning in place"), *_same("staying in place, rotating")),
        "rotate_turn": _same("spinning in place {r}"),
        "grow": (("that gets bigger", "that get bigger"), *_same("becoming large")),
        "shrink": (("that gets smaller", "that get smaller"), *_same("becoming small")),
        "enter": _same("coming in from a side"),
        "enter_side": _same("coming in from the {e}", "coming from the {e}"),
        "leave": _same("leaving at a side"),
        "leave_side": _same("going out at the {e}", "going out on the {e}"),
        "appear": (("that is not there at first", "that are not there at first"), *_same("suddenly appearing")),
        "disappear": _same("suddenly disappearing", "vanishing"),
        "return": _same("vanishing and coming back", "disappearing for a while"),
    },
    relations={
        "behind": ("the {s} that the {o} covers", "the {s} that the {o} is in front of"),
        "front": ("the {s} that the {o} is behind", "the {s} covering the {o}"),
        "beside_0": ("the {s} that is right of the {o}", "the {s} on the right of the {o}"),
        "beside_2": ("the {s} that is above the {o}", "the {s} that is higher than the {o}"),
        "beside_4": ("the {s} that is left of the {o}", "the {s} on the left of the {o}"),
        "beside_6": ("the {s} that is below the {o}", "the {s} that is lower than the {o}"),
        "edge_0": ("find the rightmost {s}", "the far right {s}"),
        "edge_2": ("find the highest {s}", "the top {s}"),
        "edge_4": ("find the leftmost {s}", "the far left {s}"),
        "edge_6": ("find the lowest {s}", "the bottom {s}"),
        "largest": ("find the largest {s}", "the {s} bigger than the others"),
        "smallest": ("find the smallest {s}", "the {s} smaller than all the others"),
        "fastest": ("find the fastest {s}", "the {s} going fastest"),
        "slowest": ("find the slowest {s}", "the {s} going slowest"),
        "faster_two": ("the {s} going faster", "the {s} that moves faster than the other"),
        "slower_two": ("the {s} going slower", "the {s} that moves slower than the other"),
        "first_leave": ("the {s} that leaves first", "the {s} going out first"),
        "last_leave": ("the {s} that leaves last", "the {s} going out last"),
        "first_enter": ("the {s} that enters first", "the {s} coming in first"),
        "last_enter": ("the {s} that enters last", "the {s} coming in last"),
        "first_gone": ("the {s} that disappears first", "the {s} vanishing first"),
        "last_come": ("the {s} that appears last", "find the last {s} to appear"),
        "except": ("each {s} but the {o}", "all of the {p} except the {o}"),
        "same_colour": ("the {s} with the same colour as the {o}", "find the {s} in the colour of the {o}"),
        "same_shape": ("the {a} thing with the same shape as the {o}", "find the {a} thing in the shape of the {o}"),
        "same_way": ("the {s} heading the same way as the {o}", "the {s} going in the direction of the {o}"),
        "group": ("all of the {p} {c}", "each of the {p} {c}", "find every {s} {v}"),
    },
)


def plural(noun: str) -> str:
    """The plural of one of our nouns."""
    return PLURALS.get(noun, noun + "s")


def wording(shifted: bool) -> Wording:
    """The dialect of ordinary or of shifted clips."""
    return SHIFTED if shifted else TRAIN
