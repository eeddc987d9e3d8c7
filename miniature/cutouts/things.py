"""What a cut-out clip is made of: the view of its background, and things of one or more parts that move over it.

Knows pieces and how they move. Does not know frames or labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from miniature.cutouts.motion import Array, Bend, Pose, Wave, bend, camera_pose, object_pose, swing, wander
from miniature.cutouts.photos import read_photos
from miniature.cutouts.pieces import Piece, camouflaged, choose, cut, recoloured, shaded, softened

MOST_THINGS = 4
SMALLEST, LARGEST = 18.0, 150.0  # pixels, root of a thing's area on a screen of 256


@dataclass(frozen=True)
class View:
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


@dataclass(frozen=True)
class Part:
    """A piece with its motion: matrices at a time are the product of those of `poses`, the outermost first."""

    piece: Piece
    poses: tuple[Pose, ...]
    bend: Bend | None
    light: Wave

    def matrices(self, view: View | None, time: Array, side: int) -> Array:
        """[K, 3, 3] from the part's units to screen pixels; with a `view`, the part moves as its background does."""
        out = self.poses[0].at(time)
        for pose in self.poses[1:]:
            out = out @ pose.at(time)
        return out if view is None else view.carried(time, side) @ out


def make_view(rng: np.random.Generator, ground: int, held_out: bool) -> View:
    """A photograph as a background, sometimes out of focus or bending."""
    picture = recoloured(rng, read_photos(held_out)[ground])
    lens = float(rng.uniform(0.4, 1.2)) if rng.random() < 0.2 else 0.0
    focus = float(rng.uniform(0.8, 2.5)) if rng.random() < 0.25 else 0.0
    if lens + focus:
        picture = softened(picture, lens + focus)
    bends = bend(rng, float(rng.uniform(0.005, 0.035))) if rng.random() < 0.5 else None
    return View(picture, camera_pose(rng, 0.8), bends, lens)


def make_things(
    rng: np.random.Generator, ground: int, held_out: bool, view: View, side: int
) -> list[tuple[list[Part], bool]]:
    """Things from back to front: their parts, and whether they move with the background."""
    things: list[tuple[list[Part], bool]] = []
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


def _piece(rng: np.random.Generator, index: int, held_out: bool, view: View) -> Piece:
    piece = shaded(rng, cut(rng, index, held_out))
    if rng.random() < 0.3:
        piece = camouflaged(rng, piece, view.picture, float(rng.uniform(0.4, 1.0)))
    return piece.mirrored() if rng.random() < 0.5 else piece


def _part(rng: np.random.Generator, piece: Piece, poses: tuple[Pose, ...], size: float, lens: float) -> Part:
    bends = bend(rng, float(rng.uniform(0.02, 0.11))) if rng.random() < 0.7 else None
    light = wander(rng, 1.0, 0.15, 0.06) if rng.random() < 0.5 else Wave(1.0)
    piece = piece.reduced(1.2 * size)
    if lens:
        piece = Piece(softened(piece.picture, lens * piece.scale / size), piece.scale)
    return Part(piece, poses, bends, light)


def _limb(rng: np.random.Generator, body: Part, size: float, index: int, held_out: bool, view: View) -> Part:
    """A longish piece of the same photograph that swings about a joint near the body's outline."""
    turn, share = rng.uniform(0, 2 * np.pi), float(rng.uniform(0.35, 0.7))
    joint = 0.38 * np.array([np.cos(turn), np.sin(turn)])
    still = Wave()
    # The limb lies along its own x axis, from the joint outwards.
    outwards = Pose(still, still, still, still, Wave(float(turn + rng.normal(0, 0.4))))
    along = Pose(Wave(0.5 * share), still, Wave(float(np.log(share))), Wave(float(rng.uniform(0.3, 1.4))), still)
    poses = (*body.poses, swing(rng, joint), outwards, along)
    return _part(rng, _piece(rng, index, held_out, view), poses, share * size, view.lens)


def _cast(rng: np.random.Generator, body: Part) -> Part:
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
    return Part(Piece(picture, body.piece.scale), (*body.poses, pose), body.bend, Wave(1.0))
