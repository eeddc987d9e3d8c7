"""Views of rendered clips: crops of single objects and whole frames, small, with the facts of what they show.

Knows the rendered world. Does not know models. A view's facts are the (shape, colour, texture) of the objects that it
shows.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from core.images import crop_square, resize
from core.types import Expression
from miniature.world import Clip, make_clip

Facts = tuple[str, str, str]  # shape, colour, texture

MIN_AREA = 150  # pixels of 256 x 256: less shows no shape


@dataclass(frozen=True)
class ClipViews:
    """Views of one clip.

    facts: of each object.   crops: [K, S, S, 3] uint8, one object each; `crop_objects` its index, `crop_areas` [K] its
    visible pixels.
    frames: [F, S, S, 3] uint8 whole frames, `visible` the object indices that each shows.
    expressions: all of the clip; `targets` their object indices.
    """

    facts: tuple[Facts, ...]
    crops: NDArray[np.uint8]
    crop_objects: tuple[int, ...]
    crop_areas: NDArray[np.int64]
    frames: NDArray[np.uint8]
    visible: tuple[tuple[int, ...], ...]
    expressions: tuple[Expression, ...]
    targets: tuple[tuple[int, ...], ...]


def render_views(seed: int, size: int, times: int, *, shifted: bool = False) -> ClipViews:
    """Views of a clip at `times` evenly spaced frames, resized to `size` x `size`."""
    clip = make_clip(seed, shifted=shifted)
    areas = clip.masks.sum(axis=(2, 3))  # [O, T]
    crops: list[NDArray[np.uint8]] = []
    frames: list[NDArray[np.uint8]] = []
    owners: list[tuple[int, int]] = []  # object, visible pixels
    visible: list[tuple[int, ...]] = []
    for t in np.linspace(0, areas.shape[1] - 1, times).round().astype(int):
        shown = tuple(int(o) for o in np.flatnonzero(areas[:, t] >= MIN_AREA))
        frames.append(resize(clip.frames[t], size))
        visible.append(shown)
        crops += [crop_object(clip, o, int(t), size) for o in shown]
        owners += [(o, int(areas[o, t])) for o in shown]
    index = {spec.id: i for i, spec in enumerate(clip.objects)}
    return ClipViews(
        facts=tuple((str(spec.shape), str(spec.colour), str(spec.texture)) for spec in clip.objects),
        crops=np.stack(crops) if crops else np.zeros((0, size, size, 3), np.uint8),
        crop_objects=tuple(o for o, _ in owners),
        crop_areas=np.array([area for _, area in owners], dtype=np.int64),
        frames=np.stack(frames),
        visible=tuple(visible),
        expressions=clip.expressions,
        targets=tuple(tuple(index[name] for name in e.target_ids or ()) for e in clip.expressions),
    )


def render_all(
    seeds: Iterable[int], size: int, times: int, workers: int, *, shifted: bool = False
) -> Iterator[ClipViews]:
    """Views of many clips in the order of the seeds, rendered by `workers` processes (0: in this one)."""
    job = partial(render_views, size=size, times=times, shifted=shifted)
    if workers == 0:
        yield from map(job, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(job, seeds, chunksize=4)


def crop_object(clip: Clip, index: int, frame: int, size: int) -> NDArray[np.uint8]:
    """A square of the frame around the visible part of an object."""
    ys, xs = np.nonzero(clip.masks[index, frame])
    box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
    return crop_square(clip.frames[frame], box, size)


def best_crops(views: Sequence[ClipViews]) -> tuple[NDArray[np.uint8], list[Facts]]:
    """Each object's most visible crop over many clips: [G, S, S, 3] and its facts."""
    crops: list[NDArray[np.uint8]] = []
    facts: list[Facts] = []
    for view in views:
        owners = np.array(view.crop_objects)
        for o in sorted(set(view.crop_objects)):
            mine = np.flatnonzero(owners == o)
            crops.append(view.crops[mine[np.argmax(view.crop_areas[mine])]])
            facts.append(view.facts[o])
    return np.stack(crops), facts
