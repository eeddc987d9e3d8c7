"""Motions inside the frame: each draws a Path of exactly T frames for an object of a given radius.

Knows kinematics, the frame's borders and the top speed (8 px a frame). Does not know looks, other objects or words.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from miniature.world.spec import SIDE, Path, Phase, heading_vector

Rng = np.random.Generator
Points = NDArray[np.float64]
TOP_SPEED = 7.5  # pixels a frame
SLOWEST = 0.9


def margin(radius: float) -> float:
    """How far from the border a centre stays."""
    return radius + 3.0


def _still_point(rng: Rng, radius: float) -> Points:
    m = margin(radius)
    return rng.uniform(m, SIDE - m, 2)


def _start_inside(rng: Rng, shift: Points, radius: float) -> Points:
    """A start such that start and start + shift both lie inside the margins."""
    m = margin(radius)
    return rng.uniform(np.maximum(m, m - shift), np.minimum(SIDE - m, SIDE - m - shift))


def _reach(rng: Rng, heading: int, radius: float, frames: int, least: float = 70, most: float = 170) -> float:
    """How far to move within `frames`: inside the frame, under the top speed."""
    room = (SIDE - 2 * margin(radius)) / np.abs(heading_vector(heading)).max()
    return float(min(rng.uniform(least, most), 0.95 * room, TOP_SPEED * max(frames - 1, 1)))


def _heading(rng: Rng) -> int:
    """Mostly one of the four main headings."""
    return int(rng.choice(8, p=[0.19, 0.06, 0.19, 0.06, 0.19, 0.06, 0.19, 0.06]))


def make_path(centre: Points, radius: float | Points, phases: tuple[Phase, ...], angle: float | Points) -> Path:
    """A path that is always shown; radius and angle may be single numbers."""
    count = len(centre)
    return Path(
        np.asarray(centre, dtype=np.float64),
        np.broadcast_to(np.asarray(radius, dtype=np.float64), count).copy(),
        np.broadcast_to(np.asarray(angle, dtype=np.float64), count).copy(),
        np.full(count, True),
        phases,
    )


def tilt(rng: Rng) -> float:
    """A slight turn of the whole object, radians."""
    return float(rng.uniform(-0.15, 0.15))


def still(rng: Rng, frames: int, radius: float) -> Path:
    """No motion at all."""
    centre = np.tile(_still_point(rng, radius), (frames, 1))
    return make_path(centre, radius, (Phase("still", 0, frames),), tilt(rng))


def straight(rng: Rng, frames: int, radius: float) -> Path:
    """One heading at constant speed."""
    heading = _heading(rng)
    shift = heading_vector(heading) * _reach(rng, heading, radius, frames)
    part = np.linspace(0, 1, frames)[:, None]
    return make_path(
        _start_inside(rng, shift, radius) + shift * part, radius, (Phase("move", 0, frames, heading),), tilt(rng)
    )


def _cut(rng: Rng, frames: int) -> int:
    """Where a two-phase motion changes."""
    return min(max(round(frames * rng.uniform(0.38, 0.62)), 1), frames - 1)


def go_stop(rng: Rng, frames: int, radius: float) -> Path:
    """Moves, then stops."""
    heading, cut = _heading(rng), _cut(rng, frames)
    reach = _reach(rng, heading, radius, cut)
    cut = min(cut, max(int(reach / SLOWEST), 1))
    shift = heading_vector(heading) * reach
    part = np.minimum(np.arange(frames) / cut, 1)[:, None]
    phases = (Phase("move", 0, cut, heading), Phase("still", cut, frames))
    return make_path(_start_inside(rng, shift, radius) + shift * part, radius, phases, tilt(rng))


def reverse(path: Path) -> Path:
    """The path run backwards in time."""
    count = len(path.centre)
    turned = {"grow": "shrink", "shrink": "grow"}
    phases = tuple(
        replace(
            p,
            kind=turned.get(p.kind, p.kind),
            start=count - p.stop,
            stop=count - p.start,
            heading=None if p.heading is None else p.heading if p.kind == "sway" else (p.heading + 4) % 8,
            clockwise=None if p.clockwise is None else not p.clockwise,
        )
        for p in reversed(path.phases)
    )
    return Path(path.centre[::-1].copy(), path.radius[::-1].copy(), path.angle[::-1].copy(), path.shown[::-1], phases)


def stop_go(rng: Rng, frames: int, radius: float) -> Path:
    """Stays still, then moves."""
    return reverse(go_stop(rng, frames, radius))


def turn(rng: Rng, frames: int, radius: float) -> Path:
    """Moves, then moves in another main heading."""
    cut = _cut(rng, frames)
    first = int(rng.choice([0, 2, 4, 6]))
    second = (first + int(rng.choice([2, 4, 6], p=[0.4, 0.2, 0.4]))) % 8
    a = heading_vector(first) * _reach(rng, first, radius, cut, 50, 130)
    b = heading_vector(second) * _reach(rng, second, radius, frames - cut, 50, 130)
    corners = np.stack([np.zeros(2), a, a + b])
    m = margin(radius)
    start = rng.uniform(m - corners.min(axis=0), SIDE - m - corners.max(axis=0))
    at = np.arange(frames, dtype=np.float64)
    knots = np.array([0, cut, max(frames - 1, cut + 1)], dtype=np.float64)
    centre = np.stack([np.interp(at, knots, corners[:, k] + start[k]) for k in range(2)], axis=1)
    phases = (Phase("move", 0, cut, first), Phase("move", cut, frames, second))
    return make_path(centre, radius, phases, tilt(rng))


def fold(value: Points, low: float, high: float) -> Points:
    """Reflect a coordinate between two walls."""
    width = high - low
    folded: Points = width - np.abs((value - low) % (2 * width) - width) + low
    return folded


def bounce(rng: Rng, frames: int, radius: float) -> Path:
    """Straight between the frame's walls; the phase says `bounce` whatever the number of walls met."""
    m = margin(radius)
    speed = min(max(rng.uniform(3.5, 6.5), 2.6 * (SIDE - 2 * m) / frames), TOP_SPEED)
    turned = rng.uniform(0.3, 1.27) + rng.integers(4) * np.pi / 2
    start = _still_point(rng, radius)
    line = start + np.arange(frames)[:, None] * speed * np.array([math.cos(turned), math.sin(turned)])
    return make_path(fold(line, m, SIDE - m), radius, (Phase("bounce", 0, frames),), tilt(rng))


def circle(rng: Rng, frames: int, radius: float) -> Path:
    """At least one turn around a point where the frames allow it."""
    clockwise = bool(rng.integers(2))
    orbit = rng.uniform(24, max(26.0, min(46.0, SIDE / 2 - margin(radius) - 2)))
    slowest = max(frames / 1.15, 16) if frames < 60 else 52.0  # frames a turn
    period = max(min(rng.uniform(20, 44), slowest), 2 * np.pi * orbit / TOP_SPEED)
    phase = rng.uniform(0, 2 * np.pi)
    turned = phase + (1 if clockwise else -1) * np.arange(frames) * 2 * np.pi / period
    centre = _still_point(rng, radius + orbit) + orbit * np.stack([np.cos(turned), np.sin(turned)], axis=1)
    return make_path(centre, radius, (Phase("circle", 0, frames, clockwise=clockwise),), tilt(rng))


def sway(rng: Rng, frames: int, radius: float) -> Path:
    """Back and forth on one axis."""
    heading = int(rng.choice([0, 2]))
    width = rng.uniform(26, min(60.0, SIDE / 2 - margin(radius) - 4))
    period = max(min(rng.uniform(18, 40), frames / 1.3), 2 * np.pi * width / TOP_SPEED)
    swing = width * np.sin(rng.uniform(0, 2 * np.pi) + np.arange(frames) * 2 * np.pi / period)
    axis = np.abs(np.round(heading_vector(heading)))
    m = margin(radius) + width * axis
    centre = rng.uniform(m, SIDE - m) + swing[:, None] * axis
    return make_path(centre, radius, (Phase("sway", 0, frames, heading),), tilt(rng))


def zigzag(rng: Rng, frames: int, radius: float) -> Path:
    """Drifts one way while swinging across it."""
    heading = int(rng.choice([0, 2, 4, 6]))
    along = heading_vector(heading)
    width, period = rng.uniform(14, 18), rng.uniform(12, 16)
    reach = min(_reach(rng, heading, radius + width, frames, 80, 160), 4.5 * frames)
    swing = width * (2 / np.pi) * np.arcsin(np.sin(np.arange(frames) * 2 * np.pi / period))
    start = _start_inside(rng, along * reach, radius + width)
    centre = start + np.linspace(0, reach, frames)[:, None] * along + swing[:, None] * np.array([-along[1], along[0]])
    return make_path(centre, radius, (Phase("zigzag", 0, frames, heading),), tilt(rng))


def rotate(rng: Rng, frames: int, radius: float) -> Path:
    """Turns in place."""
    clockwise = bool(rng.integers(2))
    step = math.radians(rng.uniform(10, 17)) * (1 if clockwise else -1)
    centre = np.tile(_still_point(rng, radius), (frames, 1))
    turned: Points = tilt(rng) + step * np.arange(frames, dtype=np.float64)
    return make_path(centre, radius, (Phase("rotate", 0, frames, clockwise=clockwise),), turned)


def grow(rng: Rng, frames: int, radius: float) -> Path:
    """Doubles its size in place over a stretch of at most 80 frames."""
    low = radius / 2.1 if radius > 24 else radius
    high = low * 2.1
    long = min(max(int(frames * rng.uniform(0.55, 0.95)), 1), 80)
    start = int(rng.integers(0, max(frames - long, 1)))
    size = low + (high - low) * np.clip((np.arange(frames) - start) / long, 0, 1)
    centre = np.tile(_still_point(rng, high), (frames, 1))
    return make_path(centre, size, (Phase("grow", start, start + long),), tilt(rng))


def shrink(rng: Rng, frames: int, radius: float) -> Path:
    """Halves its size in place."""
    return reverse(grow(rng, frames, radius))
