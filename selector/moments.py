"""When an expression holds of a track: a head on a track's frames, its labels, and what it says as `MomentScores`.

Knows frames, spans and states. Does not know how tracks are chosen. Whether a track is meant at all is the logit's to
say: the head learns from meant tracks alone, and from expressions whose spans are known.
Axis letters: V videos, G expressions about each, N tracks, T frames, S steps, E embedding width, M width of the head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from core.types import MomentScores, TimeSpan, VideoMeta

UNKNOWN = -1  # of a frame of which nobody said whether the words hold


class MomentHead(nn.Module):
    """A product of what a track's state asks, after it heard the words, with what each of its frames is."""

    def __init__(self, embed_width: int, width: int) -> None:
        """E and M."""
        super().__init__()
        self.frame, self.step = nn.Linear(embed_width, width), nn.Linear(embed_width, width)
        self.key, self.query = nn.Linear(width, width), nn.Linear(embed_width, width)
        self.offset = nn.Linear(embed_width, 1)

    def read(self, frames: Tensor, steps: Tensor, stride: int) -> Tensor:
        """What frames [V, N, T, E] and steps [V, N, S, E], one a `stride` of frames, are: [V, N, T, M]."""
        near = self.step(steps).repeat_interleave(stride, 2)[:, :, : frames.shape[2]]
        read: Tensor = self.key(F.gelu(self.frame(frames) + near))
        return read

    def forward(self, keys: Tensor, states: Tensor) -> Tensor:
        """keys [V, N, T, M] of `read`, states [V, G, N, E] -> logits [V, G, N, T] float32."""
        with torch.autocast(states.device.type, enabled=False):
            query = self.query(states.float())
            match = torch.einsum("vgnm,vntm->vgnt", query, keys.float()) / math.sqrt(query.shape[-1])
            logits: Tensor = match + self.offset(states.float())
            return logits


def frame_labels(video: VideoMeta, spans: Sequence[TimeSpan] | None) -> NDArray[np.int8]:
    """[T]: 1 for frames whose middle lies in a span, 0 for the others, UNKNOWN for all where spans are None."""
    if spans is None:
        return np.full(video.frames, UNKNOWN, dtype=np.int8)
    middles = middle_times(video)
    held = np.zeros(video.frames, dtype=bool)
    for span in spans:
        held |= (span.start <= middles) & (middles < span.end)
    return held.astype(np.int8)


def middle_times(video: VideoMeta) -> NDArray[np.float64]:
    """The middle of the time that each frame is shown, [T] seconds."""
    edges = np.append(video.timestamps, video.end)
    return np.asarray((edges[:-1] + edges[1:]) / 2)


def moment_scores(
    video: VideoMeta, expression: str, probability: NDArray[np.float64], held: NDArray[np.float64],
    scorer: str = "", cache: str = "",
) -> MomentScores:  # fmt: skip
    """What competing tracks say together: probability [N] that each is meant, held [N, T] that the words hold then.

    A frame is as relevant as the track for which it is likeliest that both are so. Spans are the runs of frames that
    are more than half as relevant as the best track is probable; each scores as its most relevant frame.
    """
    relevance = np.zeros(video.frames)
    spans: tuple[TimeSpan, ...] = ()
    if len(probability):
        relevance = np.asarray((probability[:, None] * held).max(0))
        times = middle_times(video)
        spans = tuple(
            TimeSpan(run.start, run.end, float(relevance[(run.start <= times) & (times < run.end)].max()))
            for run in video.spans(relevance > probability.max() / 2)
        )
    return MomentScores(video.id, expression, middle_times(video), relevance, spans, "", scorer, cache)
