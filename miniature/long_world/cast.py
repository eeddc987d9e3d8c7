"""Who is in a long clip and where: residents that are always there, visitors that come for an event, and their paths.

Knows looks and places. Does not know pixels or words. Every object has a pair of colour and shape of its own, and
shares its colour or its shape with others more often than chance would have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from miniature.long_world.motion import MOTIONS, Start, Stretch
from miniature.long_world.spec import Event
from miniature.long_world.timeline import Actor
from miniature.world.motion import margin
from miniature.world.scene import SceneLook, draw_look, draw_radius
from miniature.world.spec import SIDE, TEXTURES, UNSEEN_TEXTURES, ObjectSpec, Path

Rng = np.random.Generator
CANDIDATES: Final = 24
HOME_MARGIN: Final = 30  # pixels more than its radius between a resident's home and the border
ROUND: Final = ("disc", "ring")


@dataclass
class _Track:
    """A path while it is written."""

    centre: NDArray[np.float64]
    radius: NDArray[np.float64]
    angle: NDArray[np.float64]
    shown: NDArray[np.bool_]


def draw_cast(rng: Rng, shifted: bool) -> tuple[tuple[ObjectSpec, ...], tuple[Actor, ...]]:
    """Objects without paths, ids "1", "2", ..., and the same as actors; visitors lie in front of residents."""
    residents = int(rng.integers(4, 7) if shifted else rng.integers(2, 5))
    visitors = int(rng.integers(5, 8) if shifted else rng.integers(3, 7))
    textures = TEXTURES + UNSEEN_TEXTURES if shifted else TEXTURES
    looks: list[SceneLook] = []
    for _ in range(residents + visitors):
        looks.append(draw_look(rng, looks, textures, 0.4, distinct=2))
    comes = rng.permutation(np.arange(len(looks)) >= residents)
    depth = np.lexsort((rng.random(len(looks)), ~comes)).argsort()  # visitors first, each lot in random order
    nowhere = Path(np.zeros((0, 2)), np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool), ())
    objects = []
    for i, look in enumerate(looks):
        words = (look.shape, look.colour, look.texture, look.size, "visitor" if comes[i] else "resident")
        objects.append(ObjectSpec(str(i + 1), *words, int(depth[i]), i, look.rgb, look.mark, nowhere))
    return tuple(objects), tuple(Actor(int(o.id), o.motion == "visitor", _turns(o)) for o in objects)


def _turns(thing: ObjectSpec) -> bool:
    """Whether turning can be seen: not on a round shape without clear marks."""
    return thing.shape not in ROUND or thing.texture in ("striped", "checkered", "halved")


def lay_paths(rng: Rng, objects: Sequence[ObjectSpec], events: Sequence[Event], frames: int) -> tuple[ObjectSpec, ...]:
    """The objects with their paths of `frames` frames: of several draws of each motion the one that collides least.

    Visitors that never come are left out.
    """
    there = [o for o in objects if o.motion == "resident" or any(e.object_id == o.id for e in events)]
    tracks: dict[str, _Track] = {}
    for thing in there:
        radius = draw_radius(rng, thing.size)
        tracks[thing.id] = _begin(rng, thing.motion == "resident", radius, frames, list(tracks.values()))
    for event in events:
        _act(rng, event, tracks)
    return tuple(replace(o, path=_path(tracks[o.id])) for o in there)


def _begin(rng: Rng, resident: bool, radius: float, frames: int, others: Sequence[_Track]) -> _Track:
    """An object at home, as far from the others' homes as a few draws find; a visitor is nowhere yet."""
    home = np.full(2, SIDE / 2)
    if resident:
        room = margin(radius) + HOME_MARGIN
        draws = rng.uniform(room, SIDE - room, (CANDIDATES, 2))
        near = [
            sum(max(0.0, radius + o.radius[0] - float(np.hypot(*(d - o.centre[0])))) for o in others if o.shown[0])
            for d in draws
        ]
        home = draws[int(np.argmin(near))]
    tilt = float(rng.uniform(-0.15, 0.15))
    return _Track(np.tile(home, (frames, 1)), np.full(frames, radius), np.full(frames, tilt), np.full(frames, resident))


def _act(rng: Rng, event: Event, tracks: dict[str, _Track]) -> None:
    """Write an event into its object's path, and for a resident where it leaves it."""
    own, at = tracks[event.object_id], event.frames
    others = [t for name, t in tracks.items() if name != event.object_id]
    place = None if event.visit else own.centre[at.start]
    start = Start(place, float(own.radius[at.start]), float(own.angle[at.start]), event.heading)
    draws = [MOTIONS[event.act].draw(rng, start, at.stop - at.start) for _ in range(CANDIDATES)]
    best = min(draws, key=lambda d: _cost(d, at, others, event))
    own.centre[at], own.radius[at], own.angle[at], own.shown[at] = best.centre, best.radius, best.angle, True
    if not event.visit:
        own.centre[at.stop :], own.angle[at.stop :] = best.centre[-1], best.angle[-1]


def _cost(draw: Stretch, at: slice, others: Sequence[_Track], event: Event) -> float:
    """Mean overlap with the others as a share of the radius, and how far out of the picture it gets."""
    cost = 0.0
    for other in others:
        gap = np.hypot(*(draw.centre - other.centre[at]).T) - 0.85 * (draw.radius + other.radius[at])
        cost += float((np.maximum(-gap, 0) / draw.radius * other.shown[at]).mean())
    if event.act != "cross":
        low = draw.radius[:, None]
        out = np.maximum(low - draw.centre, 0) + np.maximum(draw.centre - (SIDE - low), 0)
        cost += float((out.sum(axis=1) / draw.radius).mean())
    return cost


def _path(track: _Track) -> Path:
    return Path(track.centre, track.radius, track.angle, track.shown, ())
