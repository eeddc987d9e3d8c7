"""Choosers that no words reach: what any selector has to beat.

Knows masks' sizes and boxes. Does not know expressions. Each names tracks, by index, among those that compete.
Axis letters: T frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core import rle
from core.types import TrackSet

Choice = Callable[[TrackSet, Sequence[int]], tuple[int, ...]]
"""From tracks and the indices of those that compete to the indices chosen; ties go to the lower index."""


def largest(track_set: TrackSet, competing: Sequence[int]) -> tuple[int, ...]:
    """The track with the most mask pixels over all frames."""
    return _best(
        competing, [float(rle.areas(track_set.tracks[i].masks, track_set.video.size).sum()) for i in competing]
    )


def most_moving(track_set: TrackSet, competing: Sequence[int]) -> tuple[int, ...]:
    """The track whose box centre travels furthest, frame by frame, in pixels."""
    return _best(competing, [travel(track_set.tracks[i].boxes) for i in competing])


def longest(track_set: TrackSet, competing: Sequence[int]) -> tuple[int, ...]:
    """The track that is present in the most frames."""
    return _best(competing, [float(track_set.tracks[i].present.sum()) for i in competing])


def everything(track_set: TrackSet, competing: Sequence[int]) -> tuple[int, ...]:
    """All tracks."""
    return tuple(competing)


def nothing(track_set: TrackSet, competing: Sequence[int]) -> tuple[int, ...]:
    """No track."""
    return ()


BLIND_CHOICES: dict[str, Choice] = {
    "largest track": largest,
    "most moving track": most_moving,
    "longest track": longest,
    "all tracks": everything,
    "no track": nothing,
}


def random_track(competing: Sequence[int], generator: np.random.Generator) -> tuple[int, ...]:
    """One competing track at random; none where none competes."""
    return (int(generator.choice(np.asarray(competing))),) if len(competing) else ()


def travel(boxes: NDArray[np.float32]) -> float:
    """Pixels that the centre of boxes [T, 4] moves between neighbouring frames that both have one."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    return float(np.nansum(np.linalg.norm(np.diff(centre, axis=0), axis=1)))


def _best(competing: Sequence[int], values: Sequence[float]) -> tuple[int, ...]:
    return (int(competing[int(np.argmax(values))]),) if len(competing) else ()
