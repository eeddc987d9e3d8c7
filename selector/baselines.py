"""Choosers that no words reach: what any selector has to beat.

Knows masks' sizes and boxes. Does not know expressions. Each gives a probability of 0 or 1 for each competing track, so
that it goes the same way as a selector's scores. Axis letters: N tracks, T frames.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core import rle
from core.types import Expression, TrackScores, TrackSet

Chooser = Callable[[TrackSet, NDArray[np.intp]], NDArray[np.intp]]
"""From tracks and the indices of those that compete to the indices chosen."""


def largest(track_set: TrackSet, competing: NDArray[np.intp]) -> NDArray[np.intp]:
    """The track with the most mask pixels over all frames."""
    areas = [rle.areas(track_set.tracks[i].masks, track_set.video.size).sum() for i in competing]
    return _best(competing, np.array(areas, dtype=np.float64))


def most_moving(track_set: TrackSet, competing: NDArray[np.intp]) -> NDArray[np.intp]:
    """The track whose box centre travels furthest, frame by frame, in pixels."""
    return _best(competing, np.array([travel(track_set.tracks[i].boxes) for i in competing]))


def longest(track_set: TrackSet, competing: NDArray[np.intp]) -> NDArray[np.intp]:
    """The track that is present in the most frames."""
    return _best(competing, np.array([track_set.tracks[i].present.sum() for i in competing], dtype=np.float64))


def everything(track_set: TrackSet, competing: NDArray[np.intp]) -> NDArray[np.intp]:
    """All tracks."""
    return competing


def nothing(track_set: TrackSet, competing: NDArray[np.intp]) -> NDArray[np.intp]:
    """No track."""
    return competing[:0]


BLIND: dict[str, Chooser] = {
    "largest": largest,
    "most_moving": most_moving,
    "longest": longest,
    "everything": everything,
    "nothing": nothing,
}


def random_track(seed: int) -> Chooser:
    """One competing track at random, the next draw of a generator at every call."""
    generator = np.random.default_rng(seed)

    def choose(track_set: TrackSet, competing: NDArray[np.intp]) -> NDArray[np.intp]:
        return generator.choice(competing, 1) if len(competing) else competing

    return choose


def travel(boxes: NDArray[np.float32]) -> float:
    """Pixels that the centre of boxes [T, 4] moves between frames that both have one."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    steps = np.linalg.norm(np.diff(centre, axis=0), axis=1)
    return float(np.nansum(steps))


def choose_blindly(
    name: str, chooser: Chooser, track_set: TrackSet, expression: Expression, competing: NDArray[np.intp],
    cache: str = "",
) -> TrackScores:  # fmt: skip
    """A chooser's word as scores: probability 1 for what it chooses, presence 1 where it chooses anything."""
    chosen = chooser(track_set, competing)
    probability = np.zeros(len(track_set.tracks))
    probability[chosen] = 1.0
    scorer = f"baseline:{name}"
    return TrackScores(track_set.video.id, expression.id, probability, float(len(chosen) > 0), scorer, cache)


def _best(competing: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.intp]:
    return competing[[int(np.argmax(values))]] if len(competing) else competing
