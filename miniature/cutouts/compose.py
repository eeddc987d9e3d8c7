"""A cut-out clip: a photograph as background under a moving view, cut-outs that move over it, and exact labels.

Knows how the parts go together. Does not know the pool, prompts or models.

Objects are of two kinds. Things are pasted: their outline is what is drawn, and they hide each other from the last to
the first. Regions are parts of the background itself that look like one thing; they move with the view and its bending,
and have the soft, true outlines of photographs that nothing pasted has. A clip is fixed by its seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from miniature.cutouts.motion import Array, wander
from miniature.cutouts.pieces import choose, scene_regions
from miniature.cutouts.things import Part, View, make_things, make_view
from miniature.cutouts.warp import around, lattice, sample, through, whole

MOST_REGIONS = 3
SHUTTER = (-0.3, 0.0, 0.3)  # of the time between two frames, where motion is blurred
_STREAMS = (71, 72)  # of random numbers: training, held out


@dataclass(frozen=True)
class Cutout:
    """frames: uint8 [T, S, S, 3].   labels: uint8 [T, S, S], 0 where nothing is asked for, else an object's number from
    1.   things: objects 1..things are pasted; the rest, up to `objects`, are regions of the background.
    """

    frames: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    things: int
    objects: int


def make_cutout(seed: int, *, held_out: bool = False, frames: int = 24, side: int = 256) -> Cutout:
    """The clip of a seed, of T = `frames` frames of `side` pixels square (a multiple of 8).

    held_out: made of the held-out photographs, with other random numbers.

    Raises:
        InputError: where the photographs are missing or damaged.
    """
    rng = np.random.default_rng([seed, _STREAMS[held_out]])
    ground = choose(rng, held_out)
    view = make_view(rng, ground, held_out)
    step = 1 / max(frames - 1, 1)
    time: Array = np.arange(frames) * np.float64(step)
    shutter = [part * step for part in SHUTTER] if rng.random() < 0.35 else [0.0]
    marked = scene_regions(rng, ground, held_out, int(rng.integers(0, MOST_REGIONS + 1)))
    canvas, labels = _backdrop(view, marked, time, shutter, side)
    things = make_things(rng, ground, held_out, view, side)
    labels = torch.where(labels > 0, labels + len(things), 0)
    for number, (parts, attached) in enumerate(things, start=1):
        for part in parts:
            _paste(canvas, labels, part, view if attached else None, number, time, shutter)
    finished = _finished(rng, canvas, time)
    objects = len(things) + int(marked.max())
    return Cutout(finished, labels.to(torch.uint8).numpy(), len(things), objects)


def _backdrop(
    view: View, marked: NDArray[np.uint8], time: Array, shutter: Sequence[float], side: int
) -> tuple[Tensor, Tensor]:
    """The background's frames float [T, 3, S, S] and the regions' labels float [T, S, S]."""
    nodes = lattice(whole(len(time), side))

    def grid(at: Array) -> Tensor:
        return through(nodes, view.matrices(at, side), at, view.bend, (1.0, 1.0))

    exact = grid(time)
    grids = [exact if not late else grid(time + late) for late in shutter]
    canvas = torch.stack([sample(view.picture, one, mirror=True) for one in grids]).mean(dim=0)
    labels = sample(torch.from_numpy(marked)[None].float(), exact, nearest=True)[:, 0]
    return canvas, labels


def _paste(
    canvas: Tensor,
    labels: Tensor,
    part: Part,
    view: View | None,
    number: int,
    time: Array,
    shutter: Sequence[float],
) -> None:
    """Draw a part into all frames and its number into the labels where it covers more than half."""
    side = canvas.shape[-1]
    half = part.piece.half
    slack = 0.3 if part.bend is not None else 0.05
    windows = around(part.matrices(view, time, side), (half[0] + slack, half[1] + slack), side)
    nodes = lattice(windows)
    seen = []
    for late in shutter:
        inverse = np.linalg.inv(part.matrices(view, time + late, side)).astype(np.float64, copy=False)
        seen.append(sample(part.piece.picture, through(nodes, inverse, time + late, part.bend, half)))
    light = torch.from_numpy(part.light.at(time).copy()).float()[:, None, None, None]
    weights = torch.stack([one[:, 3:] for one in seen]).mean(dim=0)  # [T, 1, w, w]
    # Premultiplied, so that motion blur averages light, and not the photograph beyond the outline.
    colours = light * torch.stack([one[:, :3] * one[:, 3:] for one in seen]).mean(dim=0)
    for frame, (left, top) in enumerate(zip(windows.left.tolist(), windows.top.tolist(), strict=True)):
        x0, x1 = max(left, 0), min(left + windows.side, side)
        y0, y1 = max(top, 0), min(top + windows.side, side)
        if x0 >= x1 or y0 >= y1:
            continue
        inside = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        weight = weights[frame, 0][inside]
        canvas[frame, :, y0:y1, x0:x1].mul_(1 - weight).add_(colours[frame, :, *inside])
        labels[frame, y0:y1, x0:x1].masked_fill_(weight > 0.5, number)


def _finished(rng: np.random.Generator, canvas: Tensor, time: Array) -> NDArray[np.uint8]:
    """Light that drifts, and grain; uint8 [T, S, S, 3]."""
    light = wander(rng, 1.0, 0.12, 0.04).at(time)
    canvas = canvas * torch.from_numpy(light.copy()).float()[:, None, None, None]
    side = canvas.shape[-1]
    grain = torch.from_numpy((rng.standard_normal((3, side + 32, side + 32)) * rng.uniform(0.5, 5)).astype(np.float32))
    for frame, (y, x) in enumerate(rng.integers(0, 33, (len(time), 2)).tolist()):
        canvas[frame] += grain[:, y : y + side, x : x + side]
    return canvas.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
