"""Coming and going, and the list of all motions with their weights.

Knows how an object enters, leaves, appears and disappears, and which clip lengths suit a motion. Does not know looks,
other objects or words.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from miniature.world.motion import (
    SLOWEST,
    TOP_SPEED,
    bounce,
    circle,
    go_stop,
    grow,
    make_path,
    margin,
    reverse,
    rotate,
    shrink,
    still,
    stop_go,
    straight,
    sway,
    tilt,
    turn,
    zigzag,
)
from miniature.world.spec import SIDE, Path, Phase, heading_vector

Rng = np.random.Generator


def enter(rng: Rng, frames: int, radius: float) -> Path:
    """Comes in from outside one side, then stops."""
    heading = int(rng.choice([0, 2, 4, 6]))
    along = heading_vector(heading)
    wait = int(rng.integers(2, max(3, int(frames * 0.3))))
    outside = 1.2 * radius + 3
    reach = outside + margin(radius) + rng.uniform(25, SIDE - 2 * margin(radius) - 10)
    reach = min(reach, TOP_SPEED * (frames - wait - 2))
    long = max(math.ceil(reach / TOP_SPEED), int((frames - wait) * rng.uniform(0.4, 0.8)))
    long = min(long, int(reach / SLOWEST))
    across = rng.uniform(margin(radius), SIDE - margin(radius))
    middle = np.full(2, SIDE / 2)
    start = middle - along * (SIDE / 2 + outside) + (across - SIDE / 2) * np.array([-along[1], along[0]])
    part = np.clip((np.arange(frames) - wait) / long, 0, 1)[:, None]
    phases = (Phase("move", wait, wait + long, heading), Phase("still", wait + long, frames))
    return make_path(start + along * reach * part, radius, phases, tilt(rng))


def leave(rng: Rng, frames: int, radius: float) -> Path:
    """Stays for a while, then goes out at one side."""
    return reverse(enter(rng, frames, radius))


def cross_over(rng: Rng, frames: int, radius: float) -> Path:
    """Comes in at one side and goes out at the opposite one."""
    heading = int(rng.choice([0, 2, 4, 6]))
    along = heading_vector(heading)
    outside = 1.2 * radius + 3
    reach = SIDE + 2 * outside
    shortest = math.ceil(reach / TOP_SPEED)
    long = max(shortest, int(min(frames * rng.uniform(0.75, 0.92), reach / SLOWEST)))
    wait = int(rng.integers(1, max(2, frames - long - 1)))
    across = rng.uniform(margin(radius), SIDE - margin(radius))
    start = np.full(2, SIDE / 2) - along * reach / 2 + (across - SIDE / 2) * np.array([-along[1], along[0]])
    part = np.clip((np.arange(frames) - wait) / long, 0, 1)[:, None]
    return make_path(start + along * reach * part, radius, (Phase("move", wait, wait + long, heading),), tilt(rng))


_BASES: tuple[Callable[[Rng, int, float], Path], ...] = (still, straight, circle, rotate, sway)


def appear(rng: Rng, frames: int, radius: float) -> Path:
    """Is not shown at first; then there at once, in one of the plain motions."""
    absent = round(frames * rng.uniform(0.2, 0.55))
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
    Program("rotate", rotate, 1.4, 6),
    Program("grow", grow, 1.2, 6),
    Program("shrink", shrink, 1.2, 6),
    Program("enter", enter, 1.3, 22),
    Program("leave", leave, 1.3, 22),
    Program("cross_over", cross_over, 0.9, 56),
    Program("appear", appear, 1.1, 8),
    Program("disappear", disappear, 1.1, 8),
    Program("blink", blink, 0.4, 24),
)
