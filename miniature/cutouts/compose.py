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

from miniature.cutouts.motion import (
    Array,
    Bend,
    Pose,
    Wave,
    bend,
    camera_pose,
    object_pose,
    swing,
    wander,
)
from miniature.cutouts.photos import read_photos
from miniature.cutouts.pieces import Piece, camouflaged, choose, cut, recoloured, scene_regions, shaded, softened
from miniature.cutouts.warp import around, lattice, sample, through, whole

MOST_THINGS, MOST_REGIONS = 4, 3
SMALLEST, LARGEST = 18.0, 150.0  # pixels, root of a thing's area on a screen of 256
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


@dataclass(frozen=True)
class _Part:
    """A piece with its motion: matrices at a time are the product of those of `poses`, the outermost first."""

    piece: Piece
    poses: tuple[Pose, ...]
    bend: Bend | None
    light: Wave


@dataclass(frozen=True)
class _View:
    """Background float [3, H, W], the view of it, how it bends, and how soft the lens is, in pixels."""

    picture: Tensor
    camera: Pose
    bend: Bend | None
    lens: float

    def matrices(self, time: Array, side: int) -> Array:
        """[K, 3, 3] from screen pixels to background coordinates in -1..1."""
        scale = np.array([[2 / side, 0, -1], [0, 2 / side, -1], [0, 0, 1]])
        out: Array = self.camera.at(time) @ scale
        return out

    def carried(self, time: Array, side: int) -> Array:
        """[K, 3, 3] from where a spot of the background was on the first frame's screen to where it is."""
        first = self.matrices(np.zeros(1), side)
        out: Array = np.linalg.inv(self.matrices(time, side)) @ first
        return out


def make_cutout(seed: int, *, held_out: bool = False, frames: int = 24, side: int = 256) -> Cutout:
    """The clip of a seed, of T = `frames` frames of `side` pixels square (a multiple of 8).

    held_out: made of the held-out photographs, with other random numbers.

    Raises:
        InputError: where the photographs are missing or damaged.
    """
    rng = np.random.default_rng([seed, _STREAMS[held_out]])
    ground = choose(rng, held_out)
    view = _view(rng, ground, held_out)
    step = 1 / max(frames - 1, 1)
    time: Array = np.arange(frames) * np.float64(step)
    shutter = [part * step for part in SHUTTER] if rng.random() < 0.35 else [0.0]
    marked = scene_regions(rng, ground, held_out, int(rng.integers(0, MOST_REGIONS + 1)))
    canvas, labels = _backdrop(view, marked, time, shutter, side)
    things = _things(rng, ground, held_out, view, side)
    labels = torch.where(labels > 0, labels + len(things), 0)
    for number, (parts, attached) in enumerate(things, start=1):
        for part in parts:
            _paste(canvas, labels, part, view if attached else None, number, time, shutter)
    finished = _finished(rng, canvas, time)
    objects = len(things) + int(marked.max())
    return Cutout(finished, labels.to(torch.uint8).numpy(), len(things), objects)


def _view(rng: np.random.Generator, ground: int, held_out: bool) -> _View:
    picture = recoloured(rng, read_photos(held_out)[ground])
    lens = float(rng.uniform(0.4, 1.2)) if rng.random() < 0.2 else 0.0
    focus = float(rng.uniform(0.8, 2.5)) if rng.random() < 0.25 else 0.0
    if lens + focus:
        picture = softened(picture, lens + focus)
    bends = bend(rng, float(rng.uniform(0.005, 0.035))) if rng.random() < 0.5 else None
    return _View(picture, camera_pose(rng, 0.8), bends, lens)


def _backdrop(
    view: _View, marked: NDArray[np.uint8], time: Array, shutter: Sequence[float], side: int
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


def _things(
    rng: np.random.Generator, ground: int, held_out: bool, view: _View, side: int
) -> list[tuple[list[_Part], bool]]:
    """Things from back to front: their parts, and whether they move with the background."""
    things: list[tuple[list[_Part], bool]] = []
    used, before = [ground], None
    for _ in range(int(rng.integers(1, MOST_THINGS + 1))):
        index = choose(rng, held_out, used)
        twin = before is not None and rng.random() < 0.25
        piece = before.mirrored() if before is not None and twin else _piece(rng, index, held_out, view)
        most = LARGEST if rng.random() < 0.3 else 0.5 * LARGEST
        size = float(np.exp(rng.uniform(np.log(SMALLEST), np.log(most)))) * side / 256
        body = _part(rng, piece, (object_pose(rng, side, size),), size, view.lens)
        limbs = int(rng.integers(1, 4)) if rng.random() < 0.3 else 0
        parts = [body, *(_limb(rng, body, size, index, held_out, view) for _ in range(limbs))]
        # Some limbs are behind the body, some before it; what a thing casts lies behind all of it.
        behind = [_cast(rng, body)] if rng.random() < 0.35 else []
        things.append(([*behind, *(parts[i] for i in rng.permutation(len(parts)))], rng.random() < 0.4))
        used.append(index)
        before = piece
    return things


def _piece(rng: np.random.Generator, index: int, held_out: bool, view: _View) -> Piece:
    piece = shaded(rng, cut(rng, index, held_out))
    if rng.random() < 0.3:
        piece = camouflaged(rng, piece, view.picture, float(rng.uniform(0.4, 1.0)))
    return piece.mirrored() if rng.random() < 0.5 else piece


def _part(rng: np.random.Generator, piece: Piece, poses: tuple[Pose, ...], size: float, lens: float) -> _Part:
    bends = bend(rng, float(rng.uniform(0.02, 0.11))) if rng.random() < 0.7 else None
    light = wander(rng, 1.0, 0.15, 0.06) if rng.random() < 0.5 else Wave(1.0)
    piece = piece.reduced(1.2 * size)
    if lens:
        piece = Piece(softened(piece.picture, lens * piece.scale / size), piece.scale)
    return _Part(piece, poses, bends, light)


def _limb(rng: np.random.Generator, body: _Part, size: float, index: int, held_out: bool, view: _View) -> _Part:
    """A longish piece of the same photograph that swings about a joint near the body's outline."""
    turn, share = rng.uniform(0, 2 * np.pi), float(rng.uniform(0.35, 0.7))
    joint = 0.38 * np.array([np.cos(turn), np.sin(turn)])
    still = Wave()
    # The limb lies along its own x axis, from the joint outwards.
    outwards = Pose(still, still, still, still, Wave(float(turn + rng.normal(0, 0.4))))
    along = Pose(Wave(0.5 * share), still, Wave(float(np.log(share))), Wave(float(rng.uniform(0.3, 1.4))), still)
    poses = (*body.poses, swing(rng, joint), outwards, along)
    return _part(rng, _piece(rng, index, held_out, view), poses, share * size, view.lens)


def _cast(rng: np.random.Generator, body: _Part) -> _Part:
    """A body's shadow, or now and then its reflection, below it: no part of the thing, so that its weight stays below
    the half from which labels are drawn."""
    colour, weight = body.piece.picture[:3], body.piece.picture[3:] * float(rng.uniform(0.2, 0.45))
    still, depth = Wave(), body.piece.half[1] * float(rng.uniform(0.3, 1.2))
    sideways = Wave(float(rng.normal(0, 0.3)))
    if rng.random() < 0.3:
        picture = torch.cat([colour, weight]).flip(1)
        pose = Pose(still, Wave(2 * depth), still, still, still)
    else:
        dark = colour.new_zeros(colour.shape) + float(rng.uniform(0, 40))
        picture = torch.cat([dark, softened(weight, float(rng.uniform(0.5, 4)))])
        pose = Pose(sideways, Wave(depth), still, Wave(float(rng.uniform(0, 1.2))), Wave(float(rng.normal(0, 0.3))))
    return _Part(Piece(picture, body.piece.scale), (*body.poses, pose), body.bend, Wave(1.0))


def _matrices(part: _Part, view: _View | None, time: Array, side: int) -> Array:
    """[K, 3, 3] from a part's units to screen pixels."""
    out = part.poses[0].at(time)
    for pose in part.poses[1:]:
        out = out @ pose.at(time)
    return out if view is None else view.carried(time, side) @ out


def _paste(
    canvas: Tensor,
    labels: Tensor,
    part: _Part,
    view: _View | None,
    number: int,
    time: Array,
    shutter: Sequence[float],
) -> None:
    """Draw a part into all frames and its number into the labels where it covers more than half."""
    side = canvas.shape[-1]
    half = part.piece.half
    slack = 0.3 if part.bend is not None else 0.05
    windows = around(_matrices(part, view, time, side), (half[0] + slack, half[1] + slack), side)
    nodes = lattice(windows)
    seen = []
    for late in shutter:
        inverse = np.linalg.inv(_matrices(part, view, time + late, side))
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
