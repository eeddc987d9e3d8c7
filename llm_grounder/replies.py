"""What the heads say of samples, as logits, and the replies that they stand for: probabilities, seconds and shares.

Knows the read-outs' outputs and clips' times. Does not know tokens, weights or how the outputs came about. Axis
letters: B samples, T frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.errors import InputError
from core.types import TimeSpan
from llm_grounder.readouts.boxes import BoxOutput
from llm_grounder.readouts.frames import HEADS
from llm_grounder.readouts.spans import SpanOutput
from llm_grounder.readouts.tracks import Fits
from llm_grounder.types import Clip, Reply, Request, Sample

MEANT = 0.5  # probability from which a track is meant


@dataclass(frozen=True, eq=False)
class Outputs:
    """What the heads say of B samples, as logits, seconds and shares; a head that was not asked gives None.

    frames: for each of HEADS one [T] a sample.   spans: of the samples `spanned` alone, in their order; edges and real:
    [B', T, 2] seconds and [B', T] bool of their frames.
    """

    frames: Mapping[str, list[Tensor]] | None
    spans: SpanOutput | None
    spanned: tuple[int, ...]
    edges: Tensor
    real: Tensor
    boxes: list[BoxOutput] | None
    tracks: list[tuple[Tensor, Tensor] | None]
    fits: list[Fits | None]


def replies_of(samples: Sequence[Sample], out: Outputs) -> list[Reply]:
    """The reply of each sample, without words: probabilities, and spans and boxes best first."""
    replies = []
    for b, sample in enumerate(samples):
        reply = Reply()
        if out.frames is not None:
            relevance, informative = (_numbers(out.frames[name][b].sigmoid()) for name in HEADS)
            reply = replace(reply, relevance=relevance, informative=informative)
        if out.spans is not None and b in out.spanned:
            row = out.spanned.index(b)
            reply = replace(reply, spans=_spans(out.spans.ends[row], out.spans.score[row], sample.clip))
        if out.boxes is not None:
            score, order = out.boxes[b].score.sigmoid().sort(-1, descending=True)
            boxes = out.boxes[b].boxes.gather(1, order[..., None].expand(-1, -1, 4))
            reply = replace(reply, boxes=_numbers(boxes), box_scores=_numbers(score))
        if (tracks := out.tracks[b]) is not None:
            reply = replace(reply, tracks=_numbers(tracks[0].sigmoid()), presence=float(tracks[1].sigmoid()))
        if (fits := out.fits[b]) is not None:
            reply = replace(reply, fits=_numbers(fits.now.sigmoid() * fits.there))
        replies.append(reply)
    return replies


def followed(clip: Clip, reply: Reply, request: Request | None = None) -> NDArray[np.float64]:
    """Where the object of a reply is in each frame, [T, 4] shares, NaN where it is not seen.

    With tracks it is where those are that are meant, the likeliest first; without, it is each frame's best box.
    request: what was asked; a track that it names is meant before all others. Who is pointed at and has no track is
    lost everywhere, not taken for another.

    Raises:
        InputError: for a reply with neither.
    """
    if reply.tracks is None or not clip.tracks:
        if reply.boxes is None:
            raise InputError(f"reply of clip {clip.id!r}: expected tracks or boxes to follow, got neither")
        return reply.boxes[:, 0]
    if request is not None and request.region is not None and request.track is None:
        return np.full((clip.frames, 4), np.nan)
    tracks = clip.track_boxes.double().cpu().numpy()
    chance = reply.tracks.copy()
    if request is not None and request.track is not None:
        chance[request.track] = np.inf  # others may be as sure as 1
    order = np.argsort(chance, kind="stable")
    meant = [n for n in order if chance[n] >= MEANT] or [order[-1]]
    out = np.full((clip.frames, 4), np.nan)
    for n in meant:
        there = ~np.isnan(tracks[n, :, 0])
        out[there] = tracks[n, there]
    return out


def _spans(ends: Tensor, score: Tensor, clip: Clip) -> tuple[TimeSpan, ...]:
    """Spans in seconds, best first; those that a float makes empty are as long as a thousandth of a second."""
    found = []
    for (start, end), chance in zip(ends.tolist(), score.sigmoid().tolist(), strict=True):
        start = min(max(start, float(clip.times[0]), 0.0), clip.end - 1e-3)
        found.append(TimeSpan(start, min(max(end, start + 1e-3), clip.end), chance))
    return tuple(sorted(found, key=lambda span: -(span.score or 0.0)))


def _numbers(values: Tensor) -> NDArray[np.float64]:
    return values.detach().double().cpu().numpy()
