"""What can be seen in a clip: looks, visible stretches of motion, sizes, speeds, sides and depth of every object.

Measured on paths and visible pixels, with margins so wide that a fact is YES or NO only where a person would not
argue. Knows no phrases and no names of acts (`acts` reads those off these facts).
"""

from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from miniature.world.paint import Picture
from miniature.world.shapes import DISTANCES
from miniature.world.spec import TEXTURES, ObjectSpec, Phase
from miniature.world.truth import NO, UNSURE, YES, Truth, all_of, truth_of

SEEN = 12  # visible pixels that count as seen
UNNOTICED = 3  # a stretch of fewer frames goes unnoticed
NOTICED = 6  # one of at least so many is noticed; between the two nobody can say
LEAST_WAY = 24.0  # pixels that count as moving
TRAVEL = frozenset({"move", "bounce", "circle", "sway", "zigzag"})


@cache
def unit_area(shape: str) -> float:
    """Area of a shape of radius 1."""
    step = 2.4 / 240
    y, x = np.mgrid[-1.2:1.2:240j, -1.2:1.2:240j].astype(np.float32)
    return float((DISTANCES[shape](x, y) < 0).sum() * step**2)


class Facts:
    """The facts of one drawn scene; objects are numbered 0..O-1 in the order of `objects`.

    visible: bool [O, T], seen in the frame.   inside: bool [O, T], in the frame, covered or not.
    """

    def __init__(self, objects: tuple[ObjectSpec, ...], picture: Picture) -> None:
        self.objects = objects
        self.picture = picture
        self.frames = len(picture.frames)
        self.visible: NDArray[np.bool_] = picture.masks.sum(axis=(2, 3), dtype=np.int64) >= SEEN
        self.inside: NDArray[np.bool_] = picture.area > 0
        self.memo: dict[object, Truth] = {}  # answers of `acts`, which drafts ask for again and again

    @property
    def count(self) -> int:
        """O."""
        return len(self.objects)

    def looks(self, size: str | None, colour: str | None, texture: str | None, shape: str | None) -> Truth:
        """Which objects fit the given words; None fits all."""
        return truth_of([_look(o, size, colour, texture, shape) for o in self.objects])

    @cached_property
    def patterns(self) -> tuple[tuple[Phase, ...] | None, ...]:
        """The phases of each object as far as they can be seen; None where what is seen is not clear."""
        return tuple(self._pattern(i) for i in range(self.count))

    def _pattern(self, i: int) -> tuple[Phase, ...] | None:
        at = np.flatnonzero(self.visible[i])
        if len(at) < NOTICED:
            return None
        kept: list[Phase] = []
        centre = self.objects[i].path.centre
        for phase in self.objects[i].path.phases:
            start, stop = max(phase.start, int(at[0])), min(phase.stop, int(at[-1]) + 1)
            if stop <= start:
                continue
            way = float(np.hypot(*(centre[stop - 1] - centre[start])))
            if stop - start < UNNOTICED and (phase.kind not in TRAVEL or way < 6):
                continue
            murky = stop - start < NOTICED or self.visible[i, start:stop].mean() < 0.6
            if murky or (phase.kind == "move" and way < LEAST_WAY):
                return None
            kept.append(Phase(phase.kind, start, stop, phase.heading, phase.clockwise))
        return tuple(kept) or None

    def sizes(self, i: int) -> tuple[float, float, float, float]:
        """Least and greatest radius while seen, pixels, and least and greatest area of the whole shape."""
        radius = self.objects[i].path.radius[self.visible[i]]
        low, high, area = float(radius.min()), float(radius.max()), unit_area(self.objects[i].shape)
        return low, high, area * low**2, area * high**2

    def speed(self, i: int) -> float | None:
        """Mean speed while seen in pixels a frame for objects that keep moving; None for others."""
        pattern = self.patterns[i]
        if pattern is None or any(p.kind not in TRAVEL for p in pattern):
            return None
        step = np.hypot(*np.diff(self.objects[i].path.centre, axis=0).T)
        seen = self.visible[i, 1:] & self.visible[i, :-1]
        return float(step[seen].mean()) if seen.any() else None

    def joint(self, i: int, j: int) -> NDArray[np.bool_]:
        """Frames in which both are seen, [T]."""
        together: NDArray[np.bool_] = self.visible[i] & self.visible[j]
        return together

    def beside(self, i: int, j: int, heading: int) -> int:
        """Whether `i` lies on the side `heading` (0 right, 2 up, 4 left, 6 down) of `j` as long as both are seen."""
        frames = self.joint(i, j)
        if frames.sum() < max(8, 0.3 * self.frames):
            return UNSURE
        apart = (self.objects[i].path.centre - self.objects[j].path.centre)[frames]
        value = apart[:, 0 if heading in (0, 4) else 1] * (1 if heading in (0, 6) else -1)
        return YES if value.min() > 14 else NO if value.max() < 0 else UNSURE

    def behind(self, i: int, j: int) -> int:
        """Whether `j` covers part of `i` for a while; NO when they never touch or `i` covers `j`."""
        covered, covering = self.picture.hidden[i, j], self.picture.hidden[j, i]
        if covered.any():
            share = covered / np.maximum(self.picture.area[i], 1)
            clear = (share > 0.08).sum() >= 4 and self.joint(i, j).sum() >= 4
            return YES if clear else UNSURE
        if covering.any():
            return NO
        a, b = self.objects[i].path, self.objects[j].path
        frames = self.joint(i, j)
        gap = np.hypot(*(a.centre - b.centre).T) - a.radius - b.radius
        return NO if not frames.any() or gap[frames].min() > 2 else UNSURE

    def has_gap(self, i: int) -> bool:
        """Whether the object is out of sight for a while between two sightings."""
        return bool((np.diff(np.flatnonzero(self.visible[i])) > UNNOTICED).any())


def _look(o: ObjectSpec, size: str | None, colour: str | None, texture: str | None, shape: str | None) -> int:
    resized = float(np.ptp(o.path.radius)) > 1
    size_fits = YES if size is None else UNSURE if resized else int(o.size == size)
    texture_fits = YES if texture is None else int(o.texture == texture)
    # An unseen texture has no agreed name; only that it is not plain can be said, and of shading not even that.
    if texture is not None and o.texture not in TEXTURES and (texture != "plain" or o.texture == "shaded"):
        texture_fits = UNSURE
    colour_fits = YES if colour is None else int(o.colour == colour)
    shape_fits = YES if shape is None else int(o.shape == shape)
    return all_of(size_fits, texture_fits, colour_fits, shape_fits)
