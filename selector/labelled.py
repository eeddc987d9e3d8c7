"""A video with what is known of its tracks: what a selector learns from, and what evaluation may see of it.

Knows tracks, labels and expressions. Does not know batches. Axis letters: N tracks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.types import Expression, Labels, Source
from selector.inputs import VideoTracks


@dataclass(frozen=True)
class LabelledVideo:
    """What is learnt from one cache."""

    tracks: VideoTracks
    labels: Labels
    expressions: tuple[Expression, ...]


def without_ground_truth(video: LabelledVideo) -> LabelledVideo:
    """The video as evaluation sees it: ground-truth tracks removed from tracks and labels."""
    keep = np.array([source is not Source.GROUND_TRUTH for source in video.tracks.sources], dtype=bool)
    chosen = np.flatnonzero(keep)
    tracks = replace(
        video.tracks,
        parts=video.tracks.parts.of(keep),
        sources=tuple(video.tracks.sources[i] for i in chosen),
        prompted_for=tuple(video.tracks.prompted_for[i] for i in chosen),
    )
    return replace(video, tracks=tracks, labels=select_rows(video.labels, keep))


def select_rows(labels: Labels, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Labels:
    """The labels of some of the tracks."""
    return Labels(labels.object_ids, labels.iou[rows], labels.precision[rows], labels.recall[rows])
