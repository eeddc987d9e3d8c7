"""What is true in a clip: three-valued facts about every object, measured on its path and its visible pixels.

YES, NO or UNSURE for each object [O] int8: whoever asks must leave out an expression when any object is UNSURE.
Margins are wide, so that a fact is YES or NO only where a person would not argue. Knows paths, masks and overlaps;
does not know phrases, nor which motion an object was drawn to have beyond its path's phases.
"""

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.types import TimeSpan
from miniature.world.paint import Picture
from miniature.world.spec import FPS, TEXTURES, ObjectSpec, Phase

YES, NO, UNSURE = 1, 0, -1
Truth = NDArray[np.int8]
Key = tuple[str, int | bool | None] | tuple[str, int | None, int | None]

SEEN = 12  # visible pixels that count as seen
LEAST_FRAMES = 4  # a phase or a gap shorter than this goes unnoticed
LEAST_WAY = 24.0  # pixels that count as moving
_TRAVEL = {"move", "bounce", "circle", "sway", "zigzag"}


def both(a: Truth, b: Truth) -> Truth:
    """Three-valued and."""
    return np.where((a == NO) | (b == NO), NO, np.where((a == YES) & (b == YES), YES, UNSURE)).astype(np.int8)


def opposite(a: Truth) -> Truth:
    """Three-valued not."""
    return np.where(a == UNSURE, UNSURE, 1 - a).astype(np.int8)


def sure(a: Truth) -> bool:
    """Whether no object is UNSURE."""
    return bool((a != UNSURE).all())


def _heading_match(have: int | None, want: int | None) -> int:
    if want is None:
        return YES
    if have is None:
        return NO
    apart = min((have - want) % 8, (want - have) % 8)
    return YES if apart == 0 else UNSURE if apart == 1 else NO


def _worst(*truths: int) -> int:
    return NO if NO in truths else UNSURE if UNSURE in truths else YES


class Facts:
    """The facts of one drawn scene."""

    def __init__(self, objects: tuple[ObjectSpec, ...], picture: Picture) -> None:
        self.objects = objects
        self.picture = picture
        self.frames = len(picture.frames)
        self.visible = picture.masks.sum(axis=(2, 3), dtype=np.int64) >= SEEN  # [O, T]
        self.inside = picture.area > 0  # [O, T] in the frame, hidden or not

    def __len__(self) -> int:
        return len(self.objects)

    def _each(self, values: list[int]) -> Truth:
        return np.array(values, dtype=np.int8)

    # Looks ----------------------------------------------------------------------------------------------------------

    def looks(self, size: str | None, colour: str | None, texture: str | None, shape: str | None) -> Truth:
        """Which objects fit the given words; None fits all."""
        return self._each([_worst(*self._look(o, size, colour, texture, shape)) for o in self.objects])

    def _look(
        self, o: ObjectSpec, size: str | None, colour: str | None, texture: str | None, shape: str | None
    ) -> tuple[int, ...]:
        resized = float(np.ptp(o.path.radius)) > 1
        size_fits = YES if size is None else UNSURE if resized else int(o.size == size)
        texture_fits = YES if texture is None else int(o.texture == texture)
        if texture not in (None, "plain") and o.texture not in TEXTURES:
            texture_fits = UNSURE  # an unseen texture has no agreed name
        colour_fits = YES if colour is None else int(o.colour == colour)
        shape_fits = YES if shape is None else int(o.shape == shape)
        return size_fits, texture_fits, colour_fits, shape_fits

    # Motions --------------------------------------------------------------------------------------------------------

    @cached_property
    def patterns(self) -> tuple[tuple[Phase, ...] | None, ...]:
        """The phases of each object as far as they can be seen; None where what is seen is not clear."""
        return tuple(self._pattern(i) for i in range(len(self)))

    def _pattern(self, i: int) -> tuple[Phase, ...] | None:
        at = np.flatnonzero(self.visible[i])
        if len(at) < LEAST_FRAMES:
            return None
        kept: list[Phase] = []
        path = self.objects[i].path
        for phase in path.phases:
            start, stop = max(phase.start, int(at[0])), min(phase.stop, int(at[-1]) + 1)
            if stop <= start:
                continue
            way = float(np.hypot(*(path.centre[stop - 1] - path.centre[start])))
            if stop - start < LEAST_FRAMES:
                if phase.kind in _TRAVEL and way >= 6:
                    return None
                continue
            if self.visible[i, start:stop].mean() < 0.6 or (phase.kind == "move" and way < LEAST_WAY):
                return None
            kept.append(Phase(phase.kind, start, stop, phase.heading, phase.clockwise))
        return tuple(kept) or None

    def motion(self, key: Key) -> Truth:
        """Which objects move as `key` says.

        Keys: ("still", None) ("moving", None) ("move", heading) ("go_stop", heading or None) ("stop_go", ...)
        ("turn", first, second) ("bounce", None) ("zigzag", None) ("sway", 0, 2 or None) ("circle", clockwise or None)
        ("rotate", ...) ("grow", None) ("shrink", None).
        """
        return self._each([self._moves(i, key) for i in range(len(self))])

    def _moves(self, i: int, key: Key) -> int:
        pattern = self.patterns[i]
        if pattern is None:
            return UNSURE
        kinds = tuple(p.kind for p in pattern)
        name = key[0]
        if name == "still":
            return YES if kinds == ("still",) else NO if _TRAVEL & set(kinds) else UNSURE
        if name == "moving":
            return YES if _TRAVEL & set(kinds) else NO if kinds == ("still",) else UNSURE
        if name == "move":
            return self._heads(pattern, key[1])
        if name in ("go_stop", "stop_go", "turn"):
            return self._two_phases(pattern, key)
        if name not in kinds:
            return UNSURE if self._alike(name, kinds) else NO
        if len(pattern) > 1:
            return UNSURE
        return self._clear(i, pattern[0], key[1])

    @staticmethod
    def _heads(pattern: tuple[Phase, ...], heading: int | None) -> int:
        kinds = tuple(p.kind for p in pattern)
        if kinds == ("move",):
            return _heading_match(pattern[0].heading, heading)
        if {"bounce", "zigzag", "sway"} & set(kinds):
            return UNSURE
        part = [_heading_match(p.heading, heading) for p in pattern if p.kind == "move"]
        return NO if all(m == NO for m in part) else UNSURE

    @staticmethod
    def _two_phases(pattern: tuple[Phase, ...], key: Key) -> int:
        wanted = {"go_stop": ("move", "still"), "stop_go": ("still", "move"), "turn": ("move", "move")}[key[0]]
        if tuple(p.kind for p in pattern) != wanted:
            return NO
        moves = [p.heading for p in pattern if p.kind == "move"]
        return _worst(*(_heading_match(have, want) for have, want in zip(moves, key[1:], strict=True)))

    @staticmethod
    def _alike(name: str, kinds: tuple[str, ...]) -> bool:
        """Whether a motion could pass for another one."""
        swings = {"bounce", "zigzag", "sway"}
        return name in swings and bool((swings | {"circle"} if name == "sway" else swings) & set(kinds))

    def _clear(self, i: int, phase: Phase, wanted: int | bool | None) -> int:
        """Whether the one phase of an object, of the asked kind, shows enough of it and in the asked sense."""
        path, part = self.objects[i].path, slice(phase.start, phase.stop)
        step = np.diff(path.centre[part], axis=0)
        if phase.kind in ("circle", "rotate"):
            turned = np.unwrap(np.arctan2(step[:, 1], step[:, 0])) if phase.kind == "circle" else path.angle[part]
            if abs(turned[-1] - turned[0]) < (4.7 if phase.kind == "circle" else 1.6):
                return UNSURE
            return YES if wanted is None or phase.clockwise == wanted else NO
        if phase.kind in ("grow", "shrink"):
            size = path.radius[part]
            return YES if size.max() / size.min() > 1.4 else UNSURE
        flips = int((np.diff(np.sign(step), axis=0) != 0).sum())
        if flips < 2:
            return UNSURE
        return YES if wanted is None or phase.heading == wanted else NO

    # Coming and going -----------------------------------------------------------------------------------------------

    def passage(self, event: str, side: int | None = None) -> Truth:
        """Which objects do `event`: enter, leave (by the side of a heading, or any), appear, disappear or return."""
        return self._each([self._passes(i, event, side) for i in range(len(self))])

    def _gap(self, i: int) -> bool:
        """Whether the object is out of sight for a while between two sightings."""
        at = np.flatnonzero(self.visible[i])
        return bool(len(at)) and bool((np.diff(at) > LEAST_FRAMES).any())

    def _passes(self, i: int, event: str, side: int | None) -> int:
        shown, inside, seen = self.objects[i].path.shown, self.inside[i], self.visible[i]
        if event in ("leave", "disappear"):
            shown, inside, seen = shown[::-1], inside[::-1], seen[::-1]
        if not seen.any() or self._gap(i):
            blinks = event == "return" and not shown.all() and bool(shown[0] and shown[-1])
            return YES if blinks and self._blinks(i) else UNSURE
        if event == "return":
            return NO if seen[0] and seen[-1] else UNSURE
        if inside[0]:
            return NO if seen[0] else UNSURE
        first = int(np.argmax(inside))
        if int(np.argmax(seen)) - first > 3 or not bool(shown[0]) == (event in ("enter", "leave")):
            return UNSURE
        return self._by_side(i, event, side) if event in ("enter", "leave") else YES

    def _blinks(self, i: int) -> bool:
        """Whether the only gap is the one in which the object is not shown."""
        return bool((self.visible[i] == self.objects[i].path.shown).all())

    def _by_side(self, i: int, event: str, side: int | None) -> int:
        if self.full_frame(i, event) is None:
            return UNSURE
        if side is None:
            return YES
        moves = [p.heading for p in self.objects[i].path.phases if p.kind == "move" and p.heading is not None]
        heading = moves[-1] if event == "leave" else (moves[0] + 4) % 8
        return int(heading == side)

    def full_frame(self, i: int, event: str) -> int | None:
        """The first frame (last for leave) at which the object is wholly inside; None for never."""
        area = self.picture.area[i]
        full = np.flatnonzero(area >= 0.93 * area.max()) if area.max() else np.array([], dtype=np.int64)
        if not len(full) or area.max() < 300:
            return None
        return int(full[-1] if event == "leave" else full[0])

    def moment(self, i: int, event: str) -> int:
        """The frame at which object `i` first (enter, appear, return) or no longer (leave, disappear) is seen."""
        at = np.flatnonzero(self.visible[i])
        if event == "return":
            return int(at[int(np.argmax(np.diff(at))) + 1])
        return int(at[-1]) + 1 if event in ("leave", "disappear") else int(at[0])

    # Times ----------------------------------------------------------------------------------------------------------

    def span(self, i: int, name: str) -> TimeSpan:
        """When object `i` does what `name` says, in seconds; for two-phase motions the second phase.

        Entering lasts from the first pixel to the last, leaving likewise; appearing, disappearing and returning are
        the half second before and the one after; each lasts half a second or more.
        """
        if name in ("enter", "leave"):
            full = self.full_frame(i, name)
            edge = self.moment(i, name)
            assert full is not None  # a fact that is not YES is never asked for its time
            start, stop = (edge, full + 1) if name == "enter" else (full, edge)
        elif name in ("appear", "disappear", "return"):
            at = self.moment(i, name)
            start, stop = at - 4, at + 4
        else:
            pattern = self.patterns[i]
            assert pattern is not None
            start, stop = pattern[-1].start, pattern[-1].stop
        start = max(min(start, stop - 4), 0)
        return TimeSpan(start / FPS, min(max(stop, start + 4), self.frames) / FPS)

    # Sizes, speeds and places ---------------------------------------------------------------------------------------

    def sizes(self, i: int) -> tuple[float, float]:
        """Least and greatest radius while seen, pixels."""
        radius = self.objects[i].path.radius[self.visible[i]]
        return float(radius.min()), float(radius.max())

    def speed(self, i: int) -> float | None:
        """Mean speed while seen in pixels a frame for objects that keep moving; None for others."""
        pattern = self.patterns[i]
        if pattern is None or any(p.kind not in _TRAVEL for p in pattern):
            return None
        step = np.hypot(*np.diff(self.objects[i].path.centre, axis=0).T)
        seen = self.visible[i, 1:] & self.visible[i, :-1]
        return float(step[seen].mean()) if seen.any() else None

    def joint(self, i: int, j: int) -> NDArray[np.bool_]:
        """Frames in which both are seen, [T]."""
        return self.visible[i] & self.visible[j]

    def beside(self, i: int, j: int, heading: int) -> int:
        """Whether `i` lies on the side `heading` (0 right, 2 up, 4 left, 6 down) of `j` as long as both are seen."""
        frames = self.joint(i, j)
        if frames.sum() < max(8, 0.3 * self.frames):
            return UNSURE
        apart = (self.objects[i].path.centre - self.objects[j].path.centre)[frames]
        sign = 1 if heading in (0, 6) else -1
        value = sign * apart[:, 0 if heading in (0, 4) else 1]
        return YES if value.min() > 14 else NO if value.max() < 0 else UNSURE

    def behind(self, i: int, j: int) -> int:
        """Whether `j` covers part of `i` for a while; NO when they never touch or `i` covers `j`."""
        covered, covering = self.picture.hidden[i, j], self.picture.hidden[j, i]
        if covered.any():
            share = covered / np.maximum(self.picture.area[i], 1)
            return YES if (share > 0.08).sum() >= LEAST_FRAMES and self.joint(i, j).sum() >= LEAST_FRAMES else UNSURE
        if covering.any():
            return NO
        near = np.hypot(*(self.objects[i].path.centre - self.objects[j].path.centre).T)
        gap = near - self.objects[i].path.radius - self.objects[j].path.radius
        frames = self.joint(i, j)
        return NO if not frames.any() or gap[frames].min() > 2 else UNSURE

    def lowest(self, values: NDArray[np.float64], among: NDArray[np.bool_], gap: float) -> int | None:
        """The one of `among` whose value is below every other's by `gap`; None where there is no such one."""
        ranked = np.flatnonzero(among)[np.argsort(values[among])]
        if len(ranked) < 2 or not math.isfinite(values[ranked[1]]) or values[ranked[1]] - values[ranked[0]] < gap:
            return None
        return int(ranked[0])
