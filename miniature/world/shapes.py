"""Signed distances of the nine shapes, in units of the object's radius: negative inside, zero on the edge.

Knows geometry on local coordinates (x right, y down). Does not know colours, textures or paths. The combined shapes
(star, cross, heart, crescent) give a bound instead of the exact distance away from the edge, which drawing never sees.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]


def disc(x: Plane, y: Plane) -> Plane:
    """Round, radius 0.95."""
    return np.hypot(x, y) - np.float32(0.95)


def square(x: Plane, y: Plane) -> Plane:
    """Half side 0.82."""
    return np.maximum(np.abs(x), np.abs(y)) - np.float32(0.82)


def triangle(x: Plane, y: Plane) -> Plane:
    """Equilateral, apex up, shifted down a little so that its box is centred."""
    y = y - np.float32(0.22)
    return np.maximum(y, np.float32(0.866) * np.abs(x) - np.float32(0.5) * y) - np.float32(0.6)


def hexagon(x: Plane, y: Plane) -> Plane:
    """Regular, flat top and bottom, apothem 0.85."""
    x, y = np.abs(x), np.abs(y)
    return np.maximum(np.float32(0.866) * x + np.float32(0.5) * y, y) - np.float32(0.85)


def star(x: Plane, y: Plane) -> Plane:
    """Five points up to radius 1.05, notches at 0.46."""
    fifth = np.float32(2 * np.pi / 5)
    turn = np.arctan2(x, -y)  # 0 at the upper point
    turn = np.abs(turn - fifth * np.round(turn / fifth))  # 0 at a point, pi/5 at a notch
    reach = np.hypot(x, y)
    px, py = reach * np.cos(turn), reach * np.sin(turn)
    point, notch = np.array([1.05, 0.0]), 0.46 * np.array([np.cos(np.pi / 5), np.sin(np.pi / 5)])
    along = (notch - point) / np.hypot(*(notch - point))
    return (np.float32(along[0]) * py - np.float32(along[1]) * (px - np.float32(point[0]))) * np.float32(-1)


def ring(x: Plane, y: Plane) -> Plane:
    """Outer radius 0.98, inner 0.48."""
    return np.abs(np.hypot(x, y) - np.float32(0.73)) - np.float32(0.25)


def cross(x: Plane, y: Plane) -> Plane:
    """Two bars, half length 0.95, half width 0.32."""
    x, y = np.abs(x), np.abs(y)
    long, wide = np.float32(0.95), np.float32(0.32)
    out: Plane = np.minimum(np.maximum(x - long, y - wide), np.maximum(x - wide, y - long))
    return out


def heart(x: Plane, y: Plane) -> Plane:
    """A square on its corner with a disc on each upper side."""
    y = y + np.float32(0.08)
    half = np.float32(0.55)
    at = half * np.float32(np.sqrt(0.5))
    corner = np.maximum(np.abs(x + y), np.abs(x - y)) * np.float32(np.sqrt(0.5)) - half
    lobe = np.hypot(np.abs(x) - at, y + at) - half
    out: Plane = np.minimum(corner, lobe)
    return out


def crescent(x: Plane, y: Plane) -> Plane:
    """A disc without a smaller one at its right."""
    x = x - np.float32(0.15)
    out: Plane = np.maximum(np.hypot(x, y) - np.float32(0.98), np.float32(0.76) - np.hypot(x - np.float32(0.48), y))
    return out


DISTANCES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "disc": disc,
    "square": square,
    "triangle": triangle,
    "star": star,
    "ring": ring,
    "cross": cross,
    "hexagon": hexagon,
    "heart": heart,
    "crescent": crescent,
}
