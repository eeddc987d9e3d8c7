"""Backgrounds: muted, still pictures of 256x256 that no object's colour can be mistaken for.

Knows patterns and greyish colours. Does not know objects. Shifted clips use kinds that the others never show.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from miniature.world.spec import SIDE

Plane = NDArray[np.float32]
_Y, _X = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / np.float32(SIDE)


def smooth_noise(rng: np.random.Generator, cells: int) -> Plane:
    """Bilinear noise in 0..1 from cells x cells random values, [256, 256]."""
    knots = rng.random((cells + 1, cells + 1)).astype(np.float32)
    at = np.arange(SIDE, dtype=np.float32) * np.float32(cells / SIDE)
    low = at.astype(np.int64)
    part = at - low
    rows = knots[low] * (1 - part)[:, None] + knots[low + 1] * part[:, None]
    mixed: Plane = rows[:, low] * (1 - part) + rows[:, low + 1] * part
    return mixed


def _slope(rng: np.random.Generator) -> Plane:
    turn = rng.uniform(0, 2 * np.pi)
    out: Plane = _X * np.float32(np.cos(turn)) + _Y * np.float32(np.sin(turn))
    return out


def gradient(rng: np.random.Generator) -> Plane:
    """A slope in any direction."""
    slope = _slope(rng)
    out: Plane = (slope - slope.min()) / (slope.max() - slope.min())
    return out


def noise(rng: np.random.Generator) -> Plane:
    """Two octaves of smooth noise."""
    return np.float32(0.7) * smooth_noise(rng, 6) + np.float32(0.3) * smooth_noise(rng, 24)


def tiles(rng: np.random.Generator) -> Plane:
    """Square tiles of random grey."""
    cells = int(rng.integers(4, 9))
    values = rng.random((cells, cells)).astype(np.float32)
    at = (np.arange(SIDE) * cells) // SIDE
    return values[at[:, None], at[None, :]]


def stripes(rng: np.random.Generator) -> Plane:
    """Broad soft bars."""
    out: Plane = np.float32(0.5) + np.float32(0.5) * np.sin(_slope(rng) * np.float32(2 * np.pi * rng.uniform(3, 9)))
    return out


def blobs(rng: np.random.Generator) -> Plane:
    """Blurred spots."""
    plane = np.zeros_like(_X)
    for _ in range(int(rng.integers(5, 10))):
        cx, cy, width = rng.random(), rng.random(), rng.uniform(0.07, 0.2)
        plane += np.exp(-((_X - np.float32(cx)) ** 2 + (_Y - np.float32(cy)) ** 2) / np.float32(2 * width**2))
    out: Plane = np.clip(plane, 0, 1)
    return out


def ripples(rng: np.random.Generator) -> Plane:
    """Rings around a point."""
    cx, cy = rng.uniform(-0.2, 1.2, 2).astype(np.float32)
    out: Plane = np.float32(0.5) + np.float32(0.5) * np.sin(
        np.hypot(_X - cx, _Y - cy) * np.float32(rng.uniform(35, 70))
    )
    return out


def patches(rng: np.random.Generator) -> Plane:
    """Cells around random points, each of one grey."""
    count = int(rng.integers(10, 20))
    points, values = rng.random((count, 2)).astype(np.float32), rng.random(count).astype(np.float32)
    distance = (_X[..., None] - points[:, 0]) ** 2 + (_Y[..., None] - points[:, 1]) ** 2
    out: Plane = values[distance.argmin(axis=-1)]
    return out


def weave(rng: np.random.Generator) -> Plane:
    """Crossing fine threads."""
    count = np.float32(2 * np.pi * rng.uniform(9, 16))
    bend = np.float32(0.04) * np.sin(_Y * np.float32(12))
    out: Plane = np.float32(0.5) + np.float32(0.25) * (np.sin((_X + bend) * count) + np.sin(_Y * count))
    return out


Draw = Callable[[np.random.Generator], Plane]
KINDS: tuple[Draw, ...] = (gradient, noise, tiles, stripes, blobs)
UNSEEN_KINDS: tuple[Draw, ...] = (ripples, patches, weave)


def _muted(rng: np.random.Generator, light: float) -> NDArray[np.float32]:
    """A greyish colour of about the given lightness."""
    tint = rng.uniform(-14, 14, 3)
    out: Plane = (light + tint - tint.mean()).astype(np.float32)
    return out


def make_backdrop(rng: np.random.Generator, shifted: bool) -> NDArray[np.float32]:
    """A background [256, 256, 3], values about 75..180, contrast and tint low."""
    kinds = UNSEEN_KINDS if shifted else KINDS
    plane = kinds[int(rng.integers(len(kinds)))](rng)[..., None]  # [256, 256, 1]
    middle, spread = rng.uniform(100, 155), rng.uniform(10, 24)
    low, high = _muted(rng, middle - spread), _muted(rng, middle + spread)
    out: Plane = low + (high - low) * plane + (smooth_noise(rng, 40)[..., None] - np.float32(0.5)) * np.float32(10)
    return out
