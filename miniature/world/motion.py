"""Motions: each program draws a Path of exactly T frames for an object of a given radius.

Knows kinematics, the frame's borders and speed limits (at most 8 px a frame). Does not know looks, other objects
or words. A program that cannot be told from another in so few frames lists a least length in PROGRAMS.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from miniature.world.spec import SIDE, Path, Phase, heading_vector

Rng = np.random.Generator
Points = NDArray[np.float64]
TOP_SPEED = 7.5  # pixels a frame
SLOWEST = 0.9


def _margin(radius: float) -> float:
    return radius + 3.0


def _still_point(rng: Rng, radius: float) -> Points:
    m = _margin(radius)
    return rng.uniform(m, SIDE - m, 2)


def _start_inside(rng: Rng, shift: Points, radius: float) -> Points:
    """A start such that start and start + shift both lie inside the margins."""
    m = _margin(radius)
    return rng.uniform(np.maximum(m, m - shift), np.minimum(SIDE - m, SIDE - m - shift))


def _reach(rng: Rng, heading: int, radius: float, frames: int, least: float = 70, most: float = 170) -> float:
    """How far to move within `frames`: inside the frame, under the top speed."""
    room = (SIDE - 2 * _margin(radius)) / np.abs(heading_vector(heading)).max()
    return float(min(rng.uniform(least, most), 0.95 * room, TOP_SPEED * max(frames - 1, 1)))


def _heading(rng: Rng) -> int:
    """Mostly one of the four main headings."""
    return int(rng.choice(8, p=[0.19, 0.06, 0.19, 0.06, 0.19, 0.06, 0.19, 0.06]))


def _path(
    centre: Points, radius: float | Points, phases: tuple[Phase, ...], angle: float | Points, shown: bool = True
) -> Path:
    count = len(centre)
    return Path(
        np.asarray(centre, dtype=np.float64),
        np.broadcast_to(np.asarray(radius, dtype=np.float64), count).copy(),
        np.broadcast_to(np.asarray(angle, dtype=np.float64), count).copy(),
        np.full(count, shown),
        phases,
    )


def _tilt(rng: Rng) -> float:
    return float(rng.uniform(-0.15, 0.15))


def still(rng: Rng, frames: int, radius: float) -> Path:
    """No motion at all."""
    centre = np.tile(_still_point(rng, radius), (frames, 1))
    return _path(centre, radius, (Phase("still", 0, frames),), _tilt(rng))


def straight(rng: Rng, frames: int, radius: float) -> Path:
    """One heading at constant speed."""
    heading = _heading(rng)
    shift = heading_vector(heading) * _reach(rng, heading, radius, frames)
    part = np.linspace(0, 1, frames)[:, None]
    return _path(
        _start_inside(rng, shift, radius) + shift * part, radius, (Phase("move", 0, frames, heading),), _tilt(rng)
    )


def _cut(rng: Rng, frames: int) -> int:
    """Where a two-phase motion changes."""
    return min(max(int(round(frames * rng.uniform(0.38, 0.62))), 1), frames - 1)


def go_stop(rng: Rng, frames: int, radius: float) -> Path:
    """Moves, then stops."""
    heading, cut = _heading(rng), _cut(rng, frames)
    reach = _reach(rng, heading, radius, cut)
    cut = min(cut, max(int(reach / SLOWEST), 1))
    shift = heading_vector(heading) * reach
    part = np.minimum(np.arange(frames) / cut, 1)[:, None]
    phases = (Phase("move", 0, cut, heading), Phase("still", cut, frames))
    return _path(_start_inside(rng, shift, radius) + shift * part, radius, phases, _tilt(rng))


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
    m = _margin(radius)
    start = rng.uniform(m - corners.min(axis=0), SIDE - m - corners.max(axis=0))
    at = np.arange(frames, dtype=np.float64)
    knots = np.array([0, cut, max(frames - 1, cut + 1)], dtype=np.float64)
    centre = np.stack([np.interp(at, knots, corners[:, k] + start[k]) for k in range(2)], axis=1)
    phases = (Phase("move", 0, cut, first), Phase("move", cut, frames, second))
    return _path(centre, radius, phases, _tilt(rng))


def _fold(value: Points, low: float, high: float) -> Points:
    """Reflect a coordinate between two walls."""
    width = high - low
    folded: Points = width - np.abs((value - low) % (2 * width) - width) + low
    return folded


def bounce(rng: Rng, frames: int, radius: float) -> Path:
    """Straight between the frame's walls; the phase says `bounce` whatever the number of walls met."""
    m = _margin(radius)
    speed = min(max(rng.uniform(3.5, 6.5), 2.6 * (SIDE - 2 * m) / frames), TOP_SPEED)
    turned = rng.uniform(0.3, 1.27) + rng.integers(4) * np.pi / 2
    start = _still_point(rng, radius)
    line = start + np.arange(frames)[:, None] * speed * np.array([math.cos(turned), math.sin(turned)])
    return _path(_fold(line, m, SIDE - m), radius, (Phase("bounce", 0, frames),), _tilt(rng))


def circle(rng: Rng, frames: int, radius: float) -> Path:
    """At least one turn around a point where the frames allow it."""
    clockwise = bool(rng.integers(2))
    orbit = rng.uniform(24, max(26.0, min(46.0, SIDE / 2 - _margin(radius) - 2)))
    slowest = max(frames / 1.15, 16) if frames < 60 else 52.0  # frames a turn
    period = max(min(rng.uniform(20, 44), slowest), 2 * np.pi * orbit / TOP_SPEED)
    phase = rng.uniform(0, 2 * np.pi)
    turned = phase + (1 if clockwise else -1) * np.arange(frames) * 2 * np.pi / period
    centre = _still_point(rng, radius + orbit) + orbit * np.stack([np.cos(turned), np.sin(turned)], axis=1)
    return _path(centre, radius, (Phase("circle", 0, frames, clockwise=clockwise),), _tilt(rng))


def sway(rng: Rng, frames: int, radius: float) -> Path:
    """Back and forth on one axis."""
    heading = int(rng.choice([0, 2]))
    width = rng.uniform(26, min(60.0, SIDE / 2 - _margin(radius) - 4))
    period = max(min(rng.uniform(18, 40), frames / 1.3), 2 * np.pi * width / TOP_SPEED)
    swing = width * np.sin(rng.uniform(0, 2 * np.pi) + np.arange(frames) * 2 * np.pi / period)
    axis = np.abs(np.round(heading_vector(heading)))
    m = _margin(radius) + width * axis
    centre = rng.uniform(m, SIDE - m) + swing[:, None] * axis
    return _path(centre, radius, (Phase("sway", 0, frames, heading),), _tilt(rng))


def zigzag(rng: Rng, frames: int, radius: float) -> Path:
    """Drifts one way while swinging across it."""
    heading = int(rng.choice([0, 2, 4, 6]))
    along = heading_vector(heading)
    width, period = rng.uniform(14, 22), rng.uniform(11, 15)
    reach = min(_reach(rng, heading, radius + width, frames, 80, 160), 4.5 * frames)
    swing = width * (2 / np.pi) * np.arcsin(np.sin(np.arange(frames) * 2 * np.pi / period))
    start = _start_inside(rng, along * reach, radius + width)
    centre = start + np.linspace(0, reach, frames)[:, None] * along + swing[:, None] * np.array([-along[1], along[0]])
    return _path(centre, radius, (Phase("zigzag", 0, frames, heading),), _tilt(rng))


def rotate(rng: Rng, frames: int, radius: float) -> Path:
    """Turns in place."""
    clockwise = bool(rng.integers(2))
    step = math.radians(rng.uniform(10, 17)) * (1 if clockwise else -1)
    centre = np.tile(_still_point(rng, radius), (frames, 1))
    return _path(
        centre, radius, (Phase("rotate", 0, frames, clockwise=clockwise),), _tilt(rng) + step * np.arange(frames)
    )


def grow(rng: Rng, frames: int, radius: float) -> Path:
    """Doubles its size in place over a stretch of at most 80 frames."""
    low = radius / 2.1 if radius > 24 else radius
    high = low * 2.1
    long = min(max(int(frames * rng.uniform(0.55, 0.95)), 1), 80)
    start = int(rng.integers(0, max(frames - long, 1)))
    size = low + (high - low) * np.clip((np.arange(frames) - start) / long, 0, 1)
    centre = np.tile(_still_point(rng, high), (frames, 1))
    return _path(centre, size, (Phase("grow", start, start + long),), _tilt(rng))


def shrink(rng: Rng, frames: int, radius: float) -> Path:
    """Halves its size in place."""
    return reverse(grow(rng, frames, radius))


def enter(rng: Rng, frames: int, radius: float) -> Path:
    """Comes in from outside one side, then stops."""
    heading = int(rng.choice([0, 2, 4, 6]))
    along = heading_vector(heading)
    wait = int(rng.integers(2, max(3, int(frames * 0.3))))
    outside = 1.2 * radius + 3
    reach = outside + _margin(radius) + rng.uniform(25, SIDE - 2 * _margin(radius) - 10)
    reach = min(reach, TOP_SPEED * (frames - wait - 2))
    long = max(int(math.ceil(reach / TOP_SPEED)), int((frames - wait) * rng.uniform(0.4, 0.8)))
    long = min(long, int(reach / SLOWEST))
    across = rng.uniform(_margin(radius), SIDE - _margin(radius))
    middle = np.full(2, SIDE / 2)
    start = middle - along * (SIDE / 2 + outside) + (across - SIDE / 2) * np.array([-along[1], along[0]])
    part = np.clip((np.arange(frames) - wait) / long, 0, 1)[:, None]
    phases = (Phase("move", wait, wait + long, heading), Phase("still", wait + long, frames))
    return _path(start + along * reach * part, radius, phases, _tilt(rng))


def leave(rng: Rng, frames: int, radius: float) -> Path:
    """Stays for a while, then goes out at one side."""
    return reverse(enter(rng, frames, radius))


def cross_over(rng: Rng, frames: int, radius: float) -> Path:
    """Comes in at one side and goes out at the opposite one."""
    heading = int(rng.choice([0, 2, 4, 6]))
    along = heading_vector(heading)
    outside = 1.2 * radius + 3
    reach = SIDE + 2 * outside
    shortest = int(math.ceil(reach / TOP_SPEED))
    long = max(shortest, int(min(frames * rng.uniform(0.75, 0.92), reach / SLOWEST)))
    wait = int(rng.integers(1, max(2, frames - long - 1)))
    across = rng.uniform(_margin(radius), SIDE - _margin(radius))
    start = np.full(2, SIDE / 2) - along * reach / 2 + (across - SIDE / 2) * np.array([-along[1], along[0]])
    part = np.clip((np.arange(frames) - wait) / long, 0, 1)[:, None]
    return _path(start + along * reach * part, radius, (Phase("move", wait, wait + long, heading),), _tilt(rng))


_BASES: tuple[Callable[[Rng, int, float], Path], ...] = (still, straight, circle, rotate, sway)


def appear(rng: Rng, frames: int, radius: float) -> Path:
    """Is not shown at first; then there at once, in one of the plain motions."""
    absent = int(round(frames * rng.uniform(0.2, 0.55)))
    left = frames - absent
    feasible = _BASES if 16 <= left <= 100 else (still,)
    path = feasible[int(rng.integers(len(feasible)))](rng, left, radius)
    return Path(
        np.concatenate([np.repeat(path.centre[:1], absent, axis=0), path.centre]),
        np.concatenate([np.repeat(path.radius[:1], absent), path.radius]),
        np.concatenate([np.repeat(path.angle[:1], absent), path.angle]),
        np.arange(frames) >= absent,
        tuple(replace(p, start=p.start + absent, stop=p.stop + absent) for p in path.phases),
    )


def disappear(rng: Rng, frames: int, radius: float) -> Path:
    """Is gone at once after a while."""
    return reverse(appear(rng, frames, radius))


def blink(rng: Rng, frames: int, radius: float) -> Path:
    """Still; gone for a while, and back at the same place."""
    path = still(rng, frames, radius)
    gone = int(frames * rng.uniform(0.2, 0.35))
    start = int(rng.integers(int(frames * 0.2), int(frames * 0.45)))
    at = np.arange(frames)
    return replace(path, shown=(at < start) | (at >= start + gone))


@dataclass(frozen=True)
class Program:
    """A motion with its weight in the draw and the clip lengths that suit it."""

    name: str
    draw: Callable[[Rng, int, float], Path]
    weight: float
    least: int = 1
    most: int = 10_000


PROGRAMS: tuple[Program, ...] = (
    Program("still", still, 2.0),
    Program("straight", straight, 3.0, 6, 110),
    Program("go_stop", go_stop, 1.6, 12),
    Program("stop_go", stop_go, 1.6, 12),
    Program("turn", turn, 1.0, 16, 160),
    Program("bounce", bounce, 1.4, 20),
    Program("circle", circle, 1.7, 20),
    Program("sway", sway, 1.2, 20),
    Program("zigzag", zigzag, 0.8, 24, 120),
    Program("rotate", rotate, 1.4, 12),
    Program("grow", grow, 1.2, 12),
    Program("shrink", shrink, 1.2, 12),
    Program("enter", enter, 1.3, 22),
    Program("leave", leave, 1.3, 22),
    Program("cross_over", cross_over, 0.6, 60),
    Program("appear", appear, 1.1, 16),
    Program("disappear", disappear, 1.1, 16),
    Program("blink", blink, 0.4, 24),
)
