"""Draws a scene: frames, visible masks, and the exact overlaps that the words about depth need.

Knows pixels. Does not know words. Everything is drawn inside bounding boxes, from the deepest object to the nearest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from miniature.world.backdrop import make_backdrop
from miniature.world.shapes import DISTANCES
from miniature.world.spec import SIDE, ObjectSpec
from miniature.world.texture import MARKS

_REACH = 1.12  # the widest shape, in radii
_RIM = 1.6  # pixels of the rim


@dataclass(frozen=True)
class Picture:
    """What drawing gives.

    frames: uint8 [T, 256, 256, 3].   masks: bool [O, T, 256, 256] visible pixels.   area: int64 [O, T], pixels inside
    the frame before occlusion.   hidden: int64 [O, O, T], pixels of the first that the second covers.
    """

    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    area: NDArray[np.int64]
    hidden: NDArray[np.int64]


@dataclass(frozen=True)
class Stamp:
    """One object in one frame: where, alpha [h, w] in 0..1, colour [h, w, 3] in 0..255."""

    box: tuple[slice, slice]
    alpha: NDArray[np.float32]
    colour: NDArray[np.float32]


def stamp(thing: ObjectSpec, frame: int) -> Stamp | None:
    """One object in one frame, cut at the frame's border; None where nothing of it is inside."""
    path = thing.path
    if not path.shown[frame]:
        return None
    (cx, cy), radius = path.centre[frame], float(path.radius[frame])
    reach = radius * _REACH + 1
    x0, y0 = max(int(np.floor(cx - reach)), 0), max(int(np.floor(cy - reach)), 0)
    x1, y1 = min(int(np.ceil(cx + reach)) + 1, SIDE), min(int(np.ceil(cy + reach)) + 1, SIDE)
    if x0 >= x1 or y0 >= y1:
        return None
    dx = ((np.arange(x0, x1) + 0.5 - cx) / radius).astype(np.float32)[None, :]
    dy = ((np.arange(y0, y1) + 0.5 - cy) / radius).astype(np.float32)[:, None]
    cos, sin = np.float32(np.cos(path.angle[frame])), np.float32(np.sin(path.angle[frame]))
    u, v = dx * cos + dy * sin, dy * cos - dx * sin  # [h, w] in the object's own frame
    inner = -DISTANCES[thing.shape](u, v) * np.float32(radius)  # pixels from the edge inwards
    alpha = np.clip(inner + np.float32(0.5), 0, 1)
    base, mark = np.array(thing.rgb, dtype=np.float32), np.array(thing.mark, dtype=np.float32)
    colour = base + MARKS[thing.texture](u, v)[..., None] * (mark - base)
    rim = np.float32(0.6) * np.clip(np.float32(_RIM + 0.5) - inner, 0, 1)[..., None]
    edge = mark * np.float32(0.6 if mark.sum() < base.sum() else 0.95)  # never back towards the middle grey
    return Stamp((slice(y0, y1), slice(x0, x1)), alpha, colour * (1 - rim) + edge * rim)


@dataclass(frozen=True)
class Film:
    """What the light [T] and the noise do to a picture; the noise lies elsewhere (jumps [T, 2]) in each frame."""

    light: NDArray[np.float64]
    grain: NDArray[np.float32]
    jumps: NDArray[np.int64]

    def expose(self, canvas: NDArray[np.float32], frame: int) -> NDArray[np.float32]:
        """A canvas [256, 256, 3], which it changes, as seen in a frame, 0..255."""
        y, x = self.jumps[frame]
        canvas *= np.float32(self.light[frame])
        canvas += self.grain[y : y + SIDE, x : x + SIDE]
        return np.clip(canvas, 0, 255)


def draw_film(rng: np.random.Generator, frames: int) -> Film:
    """Light that drifts slowly, and noise."""
    light = 1 + rng.uniform(0.02, 0.06) * np.sin(rng.uniform(0, 2 * np.pi) + np.arange(frames) * rng.uniform(0.05, 0.2))
    grain = (rng.standard_normal((SIDE + 32, SIDE + 32, 3)) * rng.uniform(1.5, 4.0)).astype(np.float32)
    jumps = rng.integers(0, 33, (frames, 2))
    return Film(light, grain, jumps)


def paint(rng: np.random.Generator, objects: tuple[ObjectSpec, ...], frames: int, shifted: bool) -> Picture:
    """Draw every frame; light drifts slowly and noise changes each frame."""
    backdrop = make_backdrop(rng, shifted)
    film = draw_film(rng, frames)
    count = len(objects)
    masks = np.zeros((count, frames, SIDE, SIDE), dtype=bool)
    area = np.zeros((count, frames), dtype=np.int64)
    hidden = np.zeros((count, count, frames), dtype=np.int64)
    out = np.empty((frames, SIDE, SIDE, 3), dtype=np.uint8)
    order = sorted(range(count), key=lambda i: -objects[i].depth)
    for t in range(frames):
        canvas = backdrop.copy()
        drawn: list[tuple[int, tuple[slice, slice], NDArray[np.bool_]]] = []
        for i in order:
            placed = stamp(objects[i], t)
            if placed is None:
                continue
            patch = canvas[placed.box]
            patch += placed.alpha[..., None] * (placed.colour - patch)
            solid = placed.alpha >= 0.5
            area[i, t] = int(solid.sum())
            for j, box, full in drawn:
                hidden[j, i, t] = _cover(full, box, solid, placed.box)
            masks[:, t, placed.box[0], placed.box[1]] &= ~solid
            masks[i, t, placed.box[0], placed.box[1]] = solid
            drawn.append((i, placed.box, solid))
        out[t] = film.expose(canvas, t)
    return Picture(out, masks, area, hidden)


def _cover(
    back: NDArray[np.bool_], back_box: tuple[slice, slice], front: NDArray[np.bool_], front_box: tuple[slice, slice]
) -> int:
    """Pixels that two boxed masks share."""
    spans = []
    for b, f in zip(back_box, front_box, strict=True):
        low, high = max(b.start, f.start), min(b.stop, f.stop)
        if low >= high:
            return 0
        spans.append((slice(low - b.start, high - b.start), slice(low - f.start, high - f.start)))
    (by, fy), (bx, fx) = spans
    return int((back[by, bx] & front[fy, fx]).sum())


def whole_areas(objects: Sequence[ObjectSpec], frames: int) -> NDArray[np.int64]:
    """Pixels of each object inside the picture, covered or not, int64 [O, T]."""
    out = np.zeros((len(objects), frames), dtype=np.int64)
    for i, thing in enumerate(objects):
        for t in range(frames):
            placed = stamp(thing, t)
            out[i, t] = 0 if placed is None else int((placed.alpha >= 0.5).sum())
    return out
