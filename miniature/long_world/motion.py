"""How an object moves during an event, at 2 frames a second: from a given place, inside the picture.

Knows kinematics; no step is longer than 12 pixels. Does not know looks, other objects or words. N frames of an event.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from miniature.world.motion import fold, margin
from miniature.world.spec import SIDE, heading_vector

Rng = np.random.Generator
Points = NDArray[np.float64]
STEP: Final = 12.0  # pixels a frame at most
GROWTH: Final = 1.9
PULSE_FRAMES: Final = 8


@dataclass(frozen=True)
class Stretch:
    """Centre [N, 2] and radius [N] in pixels and angle [N] in radians during an event."""

    centre: Points
    radius: Points
    angle: Points


@dataclass(frozen=True)
class Start:
    """Where an object is when an event begins: centre (None: anywhere), radius, angle, and a heading for `cross`."""

    centre: Points | None
    radius: float
    angle: float
    heading: int | None = None


def _place(rng: Rng, start: Start, reach_x: float, reach_y: float) -> Points:
    """The given place, or a random one from which a motion of this reach stays inside the picture."""
    if start.centre is not None:
        return start.centre
    room = np.minimum(np.array([reach_x, reach_y]) + margin(start.radius), SIDE / 2 - 1)
    return rng.uniform(room, SIDE - room)


def _still(start: Start, centre: Points, radius: Points | None = None, angle: Points | None = None) -> Stretch:
    count = len(centre)
    sizes = np.full(count, start.radius) if radius is None else radius
    return Stretch(centre, sizes, np.full(count, start.angle) if angle is None else angle)


def stay(rng: Rng, start: Start, frames: int) -> Stretch:
    """No motion."""
    return _still(start, np.tile(_place(rng, start, 0, 0), (frames, 1)))


def spin(rng: Rng, start: Start, frames: int) -> Stretch:
    """Turns in place by 22 to 32 degrees a frame."""
    step = math.radians(rng.uniform(22, 32)) * (1 if rng.integers(2) else -1)
    centre = np.tile(_place(rng, start, 0, 0), (frames, 1))
    turned: Points = start.angle + step * np.arange(frames, dtype=np.float64)
    return _still(start, centre, angle=turned)


def sway(rng: Rng, start: Start, frames: int) -> Stretch:
    """Back and forth, sideways or up and down; a whole swing takes 10 to 16 frames."""
    axis = int(rng.integers(2))
    width, period = rng.uniform(16, 26), rng.uniform(10, 16)
    width = min(width, STEP * period / (2 * math.pi))
    place = _place(rng, start, width * (axis == 0), width * (axis == 1))
    offset = np.zeros((frames, 2))
    offset[:, axis] = width * np.sin(np.arange(frames) * 2 * math.pi / period)
    return _still(start, place + offset)


def circle(rng: Rng, start: Start, frames: int) -> Stretch:
    """Around a point 22 to 32 pixels away; once takes 12 to 18 frames."""
    orbit, period = rng.uniform(22, 32), rng.uniform(12, 18)
    orbit = min(orbit, STEP * period / (2 * math.pi))
    place = _place(rng, start, 2 * orbit, 2 * orbit)
    inwards = np.full(2, SIDE / 2) - place  # the circle lies towards the middle
    first = math.atan2(-inwards[1], -inwards[0]) if np.any(inwards) else 0.0
    turn = first + (1 if rng.integers(2) else -1) * np.arange(frames) * 2 * math.pi / period
    round_about = np.stack([np.cos(turn) - math.cos(first), np.sin(turn) - math.sin(first)], axis=1)
    return _still(start, place + orbit * round_about)


def bounce(rng: Rng, start: Start, frames: int) -> Stretch:
    """Straight on between the walls, 10 to 12 pixels a frame."""
    place, low = _place(rng, start, 0, 0), margin(start.radius)
    turn = rng.uniform(0.35, 1.22) + int(rng.integers(4)) * math.pi / 2
    line = np.arange(frames)[:, None] * rng.uniform(10, STEP) * np.array([math.cos(turn), math.sin(turn)])
    return _still(start, fold(place + line, low, SIDE - low))


def zigzag(rng: Rng, start: Start, frames: int) -> Stretch:
    """Wanders along one axis, folded back at the walls, while swinging sharply across it."""
    axis = int(rng.integers(2))
    low, pace = margin(start.radius), rng.uniform(3, 5) * (1 if rng.integers(2) else -1)
    place = _place(rng, start, 20 * (axis == 1), 20 * (axis == 0))
    saw = 18 * (2 / math.pi) * np.arcsin(np.sin(np.arange(frames) * 2 * math.pi / 8))
    line = np.zeros((frames, 2))
    line[:, axis], line[:, 1 - axis] = pace * np.arange(frames), saw
    return _still(start, fold(place + line, low, SIDE - low))


def pulse(rng: Rng, start: Start, frames: int) -> Stretch:
    """Gets bigger and smaller again, once in 8 frames."""
    place = _place(rng, start, start.radius * 0.6, start.radius * 0.6)
    wave = 0.5 - 0.5 * np.cos(np.arange(frames) * 2 * math.pi / PULSE_FRAMES)
    return _still(start, np.tile(place, (frames, 1)), start.radius * (1 + 0.6 * wave))


def grow(rng: Rng, start: Start, frames: int) -> Stretch:
    """From its own size to 1.9 times that."""
    place = _place(rng, start, start.radius * 0.9, start.radius * 0.9)
    return _still(start, np.tile(place, (frames, 1)), start.radius * np.linspace(1, GROWTH, frames))


def shrink(rng: Rng, start: Start, frames: int) -> Stretch:
    """From 1.9 times its own size down to it."""
    place = _place(rng, start, start.radius * 0.9, start.radius * 0.9)
    return _still(start, np.tile(place, (frames, 1)), start.radius * np.linspace(GROWTH, 1, frames))


def cross(rng: Rng, start: Start, frames: int) -> Stretch:
    """From one border to the opposite one; a third of it is in the picture at first and at last."""
    along = heading_vector(0 if start.heading is None else start.heading)
    reach = SIDE + 0.6 * start.radius
    low = margin(start.radius)
    across = rng.uniform(low, SIDE - low) - SIDE / 2
    first = np.full(2, SIDE / 2) - along * reach / 2 + across * np.array([-along[1], along[0]])
    return _still(start, first + np.linspace(0, reach, frames)[:, None] * along)


@dataclass(frozen=True)
class Motion:
    """A motion, the numbers of frames [least, most] in which it can be seen for what it is, and who can do it.

    visits, stays: whether visitors and residents do it.   group: motions of one group could be taken for each other.
    """

    draw: Callable[[Rng, Start, int], Stretch]
    least: int
    most: int
    visits: bool
    stays: bool
    group: str


MOTIONS: Final[dict[str, Motion]] = {
    "stay": Motion(stay, 8, 200, True, False, "stay"),
    "spin": Motion(spin, 8, 200, True, True, "spin"),
    "sway": Motion(sway, 16, 200, True, True, "swing"),
    "circle": Motion(circle, 18, 200, True, True, "circle"),
    "bounce": Motion(bounce, 24, 200, True, True, "bounce"),
    "zigzag": Motion(zigzag, 24, 200, True, True, "swing"),
    "pulse": Motion(pulse, 8, 200, True, True, "size"),
    "grow": Motion(grow, 8, 64, True, False, "size"),
    "shrink": Motion(shrink, 8, 64, True, False, "size"),
    "cross": Motion(cross, 24, 64, True, False, "cross"),
}
