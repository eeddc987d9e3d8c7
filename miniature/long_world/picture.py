"""Draws a story: frames, and which object is seen at each pixel.

Knows pixels. Does not know events or words. T frames, O objects.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from miniature.world.backdrop import make_backdrop
from miniature.world.paint import draw_film, stamp
from miniature.world.spec import SIDE, ObjectSpec

Painted = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]


def paint_story(rng: np.random.Generator, objects: Sequence[ObjectSpec], frames: int, shifted: bool) -> Painted:
    """Frames [T, 256, 256, 3], labels [T, 256, 256] and each object's pixels before covering [O, T]."""
    backdrop = make_backdrop(rng, shifted)
    film = draw_film(rng, frames)
    order = sorted(range(len(objects)), key=lambda i: -objects[i].depth)
    out = np.empty((frames, SIDE, SIDE, 3), dtype=np.uint8)
    labels = np.zeros((frames, SIDE, SIDE), dtype=np.uint8)
    whole = np.zeros((len(objects), frames), dtype=np.int64)
    for t in range(frames):
        canvas = backdrop.copy()
        for i in order:
            drawn = stamp(objects[i], t)
            if drawn is None:
                continue
            patch = canvas[drawn.box]
            patch += drawn.alpha[..., None] * (drawn.colour - patch)
            solid = drawn.alpha >= 0.5
            whole[i, t] = int(solid.sum())
            labels[t][drawn.box][solid] = i + 1
        out[t] = film.expose(canvas, t)
    return out, labels, whole
