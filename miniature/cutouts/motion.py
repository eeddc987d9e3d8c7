"""How things move in a cut-out clip: smooth paths of place, size, shape and angle, and bending.

Knows numbers over time. Does not know pixels of photographs or masks. Time runs from 0 (first frame) to 1 (last), and
may be asked for between frames, which motion blur needs. Matrices [K, 3, 3] act on columns (x, y, 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Wave:
    """base + drift * time + sines, and an excursion by `leave` around the time `when`, `width` long either way."""

    base: float = 0.0
    drift: float = 0.0
    sines: tuple[tuple[float, float, float], ...] = ()
    """(amplitude, cycles in the clip, phase) each."""
    leave: float = 0.0
    when: float = 0.5
    width: float = 0.2

    def at(self, time: Array) -> Array:
        """Values at times [K]."""
        value: Array = self.base + self.drift * (time - 0.5)
        for amplitude, cycles, phase in self.sines:
            value = value + amplitude * np.sin(2 * np.pi * cycles * time + phase)
        if self.leave:
            value = value + self.leave * np.exp(-(((time - self.when) / self.width) ** 4))
        return np.broadcast_to(value, time.shape)


def wander(rng: np.random.Generator, base: float, drift: float, swing: float, fastest: float = 3.0) -> Wave:
    """A random wave: straight motion up to `drift` either way, and one or two sines that share `swing`."""
    parts = int(rng.integers(1, 3))
    sines = tuple(
        (float(rng.normal(0, swing / parts)), float(rng.uniform(0.3, fastest)), float(rng.uniform(0, 2 * np.pi)))
        for _ in range(parts)
    )
    return Wave(base, float(rng.uniform(-drift, drift)), sines)


@dataclass(frozen=True)
class Pose:
    """Where a thing is: x and y, logarithms of its size and of its width over its height, angle in radians."""

    x: Wave
    y: Wave
    size: Wave
    aspect: Wave
    angle: Wave

    def at(self, time: Array) -> Array:
        """Matrices [K, 3, 3] from the thing's own coordinates to the place where it is."""
        size, half = np.exp(self.size.at(time)), 0.5 * self.aspect.at(time)
        cos, sin = np.cos(self.angle.at(time)), np.sin(self.angle.at(time))
        wide, high = size * np.exp(half), size * np.exp(-half)
        out = np.zeros((*time.shape, 3, 3))
        # First turned, then stretched along the picture's axes: frames are squeezed, and so are things that turn.
        out[:, 0, 0], out[:, 0, 1], out[:, 0, 2] = wide * cos, -wide * sin, self.x.at(time)
        out[:, 1, 0], out[:, 1, 1], out[:, 1, 2] = high * sin, high * cos, self.y.at(time)
        out[:, 2, 2] = 1
        return out


@dataclass(frozen=True)
class Bend:
    """A smooth displacement field: a few plane waves in a thing's own coordinates, whose phases run with time."""

    vectors: Array
    """[M, 2] radians a unit of length."""
    shifts: Array
    """[M, 2] displacement of each wave, in units of length."""
    phases: Array
    rates: Array
    """[M] radians at time 0, and radians from time 0 to 1."""

    def at(self, time: Array, places: Array) -> Array:
        """Displacements [K, ..., 2] at times [K] and places [K, ..., 2]."""
        turn = places @ self.vectors.T  # [K, ..., M]
        moving = self.phases + self.rates * time[:, None]  # [K, M]
        return np.sin(turn + moving.reshape(len(time), *(1,) * (turn.ndim - 2), -1)) @ self.shifts


def bend(rng: np.random.Generator, strength: float, waves: int = 3) -> Bend:
    """A random field that displaces by about `strength` units; waves are 1 to 4 units long."""
    turn = rng.uniform(0, 2 * np.pi, waves)
    length = rng.uniform(1.0, 4.0, waves)
    vectors = np.stack([np.cos(turn), np.sin(turn)], axis=1) * (2 * np.pi / length)[:, None]
    # Longer waves may displace farther without folding.
    shifts = rng.normal(0, strength / waves**0.5, (waves, 2)) * (length / 2.5)[:, None]
    return Bend(vectors, shifts, rng.uniform(0, 2 * np.pi, waves), rng.normal(0, 2 * np.pi * 0.8, waves))


def object_pose(rng: np.random.Generator, side: int, size: float) -> Pose:
    """A random pose over time of a thing about `size` pixels across, on a screen of `side` pixels.

    A quarter leaves the screen for a while and comes back.
    """
    lively = float(rng.choice([0.3, 1.0, 2.0]))
    x = wander(rng, rng.uniform(0.15, 0.85) * side, 0.25 * side * lively, 0.05 * side * lively)
    y = wander(rng, rng.uniform(0.2, 0.8) * side, 0.15 * side * lively, 0.05 * side * lively)
    if rng.random() < 0.25:
        away = float(rng.choice([-1, 1]) * (0.55 * side + size))
        when, width = float(rng.uniform(0.3, 0.8)), float(rng.uniform(0.1, 0.22))
        x, y = (Wave(w.base, w.drift, w.sines, away * along, when, width) for w, along in ((x, 1.0), (y, 0.2)))
    return Pose(
        x,
        y,
        wander(rng, np.log(size), 0.45, 0.06),
        wander(rng, rng.normal(0, 0.15), 0.2, 0.07),
        wander(rng, rng.normal(0, 0.4), 0.9 if rng.random() < 0.4 else 0.25, 0.1),
    )


def camera_pose(rng: np.random.Generator, reach: float) -> Pose:
    """A random view: from screen coordinates -1..1 to those of the background, which ends at -1 and 1 as well.

    reach: how far the view pans, in halves of a picture.
    """
    quick = float(rng.choice([0.15, 0.6, 1.2]))
    return Pose(
        wander(rng, rng.uniform(-0.25, 0.25), reach * quick, 0.02 * quick),
        wander(rng, rng.uniform(-0.25, 0.25), 0.4 * reach * quick, 0.02 * quick),
        wander(rng, rng.uniform(np.log(0.65), np.log(1.1)), 0.3, 0.01),
        wander(rng, 0.0, 0.0, 0.0),
        wander(rng, rng.normal(0, 0.03), 0.1, 0.01),
    )


def swing(rng: np.random.Generator, joint: Array) -> Pose:
    """How a limb moves on its body: it turns about `joint` (x, y), given in the body's coordinates."""
    still = Wave()
    angle = wander(rng, 0.0, 0.5, 0.35, fastest=2.5)
    return Pose(Wave(float(joint[0])), Wave(float(joint[1])), still, still, angle)
