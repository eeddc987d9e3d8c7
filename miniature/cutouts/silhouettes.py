"""Outlines that no photograph gave: blobs, polygons, bodies with limbs, as masks on a square.

Knows shapes. Does not know photographs or motion.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Mask = NDArray[np.bool_]
_CORNERS = 72
_FINE = 2  # drawn this much larger, then reduced


def blob(rng: np.random.Generator, side: int) -> Mask:
    """A smooth closed curve: a circle with a few random waves."""
    turn = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    radius = np.ones(_CORNERS)
    for wave in range(2, 7):
        radius += rng.normal(0, 0.32 / wave) * np.cos(wave * turn + rng.uniform(0, 2 * np.pi))
    radius = np.maximum(radius, 0.25)
    squeeze = rng.uniform(0.5, 1.0)
    return _fill(np.stack([np.cos(turn), squeeze * np.sin(turn)], axis=1) * radius[:, None], side)


def polygon(rng: np.random.Generator, side: int) -> Mask:
    """A star-shaped polygon of 3 to 9 corners."""
    count = int(rng.integers(3, 10))
    turn = np.sort(rng.uniform(0, 2 * np.pi, count))
    radius = rng.uniform(0.4, 1.0, count)
    return _fill(np.stack([np.cos(turn), np.sin(turn)], axis=1) * radius[:, None], side)


def limbed(rng: np.random.Generator, side: int) -> Mask:
    """A body with a head and two to five tapering limbs, all blobs and strokes joined."""
    canvas = Image.new("L", (side * _FINE, side * _FINE))
    pen = ImageDraw.Draw(canvas)
    middle, unit = side * _FINE / 2, side * _FINE / 2
    long, thick = rng.uniform(0.3, 0.5), rng.uniform(0.14, 0.28)
    pen.ellipse([middle - long * unit, middle - thick * unit, middle + long * unit, middle + thick * unit], fill=255)
    for _ in range(int(rng.integers(2, 6))):
        along, turn = rng.uniform(-0.85, 0.85) * long, rng.choice([-1, 1]) * rng.uniform(0.2, 0.8) * np.pi
        reach, width = rng.uniform(0.3, 0.75), rng.uniform(0.05, 0.13)
        bow = rng.uniform(-0.7, 0.7)
        for step in np.linspace(0, 1, 24):  # a row of discs that gets thinner and bends
            x = middle + unit * (along + reach * step * np.cos(turn + bow * step))
            y = middle + unit * reach * step * np.sin(turn + bow * step)
            r = unit * width * (1 - 0.5 * step)
            pen.ellipse([x - r, y - r, x + r, y + r], fill=255)
    return np.asarray(canvas.resize((side, side), Image.Resampling.BOX)) > 127


SILHOUETTES: tuple[Callable[[np.random.Generator, int], Mask], ...] = (blob, polygon, limbed)


def _fill(outline: NDArray[np.float64], side: int) -> Mask:
    """The inside of an outline [K, 2], centred and scaled to fill a square of `side` pixels."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    placed = (outline - (low + high) / 2) / (high - low).max() * 0.98 + 0.5
    canvas = Image.new("L", (side * _FINE, side * _FINE))
    ImageDraw.Draw(canvas).polygon([(x, y) for x, y in placed * side * _FINE], fill=255)
    return np.asarray(canvas.resize((side, side), Image.Resampling.BOX)) > 127
