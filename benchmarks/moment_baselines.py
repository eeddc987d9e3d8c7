"""Answers that look at nothing, to print beside every figure: an evaluator under which they do well is broken.

Knows queries. Does not know metrics.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.moment_protocol import CaptionedVideo, MomentQuery
from core.errors import InputError


def whole_video(query: MomentQuery) -> NDArray[np.float64]:
    """The whole video as the one window, [1, 2]; InputError where the duration is unknown."""
    if query.duration is None:
        raise InputError(f"query {query.id!r}: expected a duration for the whole-video baseline, got none")
    return np.array([[0.0, query.duration]])


def constant_saliency(query: MomentQuery) -> NDArray[np.float64]:
    """The same saliency for every clip, [B]; InputError where the query has no clips."""
    if query.saliency is None:
        raise InputError(f"query {query.id!r}: expected clips for the constant-saliency baseline, got none")
    return np.ones(len(query.saliency))


def even_segments(video: CaptionedVideo, count: int) -> NDArray[np.float64]:
    """`count` segments of equal length over the video, [count, 2]: what dense-caption localisation earns blindly."""
    if count < 1:
        raise InputError(f"video {video.id!r}: expected at least one segment for the baseline, got {count}")
    edges = np.linspace(0.0, video.duration, count + 1)
    return np.stack([edges[:-1], edges[1:]], axis=1)
