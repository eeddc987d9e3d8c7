"""Marks on objects: for each texture the weight 0..1 of the mark colour at local coordinates.

Knows patterns in units of the object's radius, so that they move, turn and grow with it. Does not know colours.
`chevron`, `halved`, `speckled` and `shaded` appear in shifted clips only.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
_STEP = np.float32(0.55)  # period of the patterns, in radii: 8 px on the smallest object


def _hard(wave: Plane, sharpness: float = 3.0) -> Plane:
    """A wave around zero as a weight with short soft edges."""
    out: Plane = np.clip(wave * np.float32(sharpness) + np.float32(0.5), 0, 1)
    return out


def _sine(value: NDArray[np.floating]) -> Plane:
    out: Plane = np.sin(value * np.float32(2 * np.pi))
    return out


def plain(x: Plane, y: Plane) -> Plane:
    """No marks."""
    return np.zeros_like(x)


def striped(x: Plane, y: Plane) -> Plane:
    """Slanted bars."""
    return _hard(_sine((x * np.float32(0.8) + y * np.float32(0.6)) / _STEP))


def dotted(x: Plane, y: Plane) -> Plane:
    """A grid of dots."""
    return _hard(_sine(x / _STEP + np.float32(0.25)) + _sine(y / _STEP + np.float32(0.25)) - np.float32(0.75), 1.5)


def checkered(x: Plane, y: Plane) -> Plane:
    """A chessboard."""
    return _hard(_sine(x / (_STEP * np.float32(1.4))) * _sine(y / (_STEP * np.float32(1.4))), 6.0)


def chevron(x: Plane, y: Plane) -> Plane:
    """Bars folded into arrow heads."""
    fold: Plane = np.abs((x / np.float32(0.8)) % np.float32(1) - np.float32(0.5))
    return _hard(_sine((y + fold * np.float32(0.7)) / _STEP))


def halved(x: Plane, y: Plane) -> Plane:
    """One half marked."""
    return _hard(x + y * np.float32(0.3), 12.0)


def speckled(x: Plane, y: Plane) -> Plane:
    """Irregular flecks."""
    wave = _sine(x * np.float32(1.7) + y * np.float32(0.9)) * _sine(y * np.float32(2.3) - x * np.float32(1.1))
    return _hard(wave + np.float32(0.5) * _sine(x * np.float32(2.9)) - np.float32(0.45), 4.0)


def shaded(x: Plane, y: Plane) -> Plane:
    """A slow change from one side to the other."""
    out: Plane = np.clip(np.float32(0.5) + y * np.float32(0.5), 0, 1)
    return out


MARKS: dict[str, Callable[[Plane, Plane], Plane]] = {
    "plain": plain,
    "striped": striped,
    "dotted": dotted,
    "checkered": checkered,
    "chevron": chevron,
    "halved": halved,
    "speckled": speckled,
    "shaded": shaded,
}
