"""How well a choice of one video's tracks answers an expression, many times over: J&F and vIoU, from masks alone.

Knows masks, choices and metrics. Does not know files or how choices are made. T frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.boundary import region_and_boundary
from benchmarks.metrics.boxes import Boxes, from_corners
from benchmarks.metrics.spatio_temporal import score_tube
from core import rle
from core.types import TimeSpan, TrackSet, VideoMeta
from fusion.modes import Choice
from fusion.moments import inside


class FrameScores:
    """J&F of choices of one video's tracks against one target, a frame at a time; choices are remembered.

    As MeViS has it, an empty frame that should be empty scores 1. Masks are kept as run lengths: a split's expressions
    are held together while weights are fitted.
    """

    def __init__(self, tracks: TrackSet, target: Sequence[bytes]) -> None:
        self._tracks, self._target = tracks, tuple(target)
        seen = rle.areas(target, tracks.video.size) > 0
        self._none = 1.0 - seen.astype(np.float64)  # what nothing scores in each frame
        self._known: dict[frozenset[int], NDArray[np.float64]] = {frozenset(): self._none}

    def __call__(self, choice: Choice) -> float:
        """Mean over all frames, 0..1."""
        chosen = frozenset(choice.chosen)
        if chosen not in self._known:
            self._known[chosen] = self._score(sorted(chosen))
        return float(np.where(choice.frames, self._known[chosen], self._none).mean())

    def _score(self, chosen: Sequence[int]) -> NDArray[np.float64]:
        size = self._tracks.video.size
        held = [self._tracks.tracks[i] for i in chosen]
        masks = [
            rle.union([track.masks[t] for track in held if track.present[t]], size) for t in range(len(self._target))
        ]
        predicted = rle.decode(masks, size)
        j, f = region_and_boundary(predicted, rle.decode(self._target, size))
        f = np.where(self._none > 0, ~predicted.any(axis=(1, 2)), f)
        return np.asarray((j + f) / 2)


class TubeScores:
    """vIoU of choices of one video's tracks: boxes around their masks within the moments that the answer names, against
    boxes around the target within `spans`, all frames for None; choices are remembered.
    """

    def __init__(self, tracks: TrackSet, target: Sequence[bytes], spans: Sequence[TimeSpan] | None) -> None:
        self._tracks = tracks
        self._truth = tube(target, spans, tracks.video)
        self._known: dict[frozenset[int], Boxes] = {}

    def __call__(self, choice: Choice) -> float:
        """0..1."""
        chosen, video = frozenset(choice.chosen), self._tracks.video
        if chosen not in self._known:
            held = [self._tracks.tracks[i] for i in chosen]
            masks = [rle.union([t.masks[k] for t in held if t.present[k]], video.size) for k in range(video.frames)]
            self._known[chosen] = tube(masks, None, video)
        frames = choice.frames & inside(video, choice.moments) if choice.moments else choice.frames
        return score_tube(np.where(frames[:, None], self._known[chosen], np.nan), self._truth).viou


def tube(masks: Sequence[bytes], spans: Sequence[TimeSpan] | None, video: VideoMeta) -> Boxes:
    """Boxes x y w h around masks, [T, 4], NaN where they are empty and outside spans where there are some."""
    boxes = from_corners(rle.boxes(masks, video.size)).astype(np.float64)
    if spans is not None:
        boxes[~inside(video, spans)] = np.nan
    return boxes
