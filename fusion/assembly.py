"""A mode's choice becomes an answer: masks, boxes and presence of each chosen track, their union, and the reasons.

Knows tracks and answers. Does not know scores' files or how a choice was made. N tracks, T frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import rle
from core.types import Answer, Expression, SelectedTrack, Source, Track, VideoMeta
from fusion.modes import Choice, Evidence
from fusion.overlaps import disjoint
from fusion.settings import FusionSettings, Weights


@dataclass(frozen=True)
class TrackFacts:
    """What people want to know of a track: mean mask area where present (pixels), share of frames with it (0..1)."""

    mean_area: float
    present_share: float


def describe(track: Track) -> TrackFacts:
    """The facts of one track; a track that is never present has area 0."""
    present = track.present
    area = rle.areas(track.masks, track.size)[present]
    return TrackFacts(float(area.mean()) if len(area) else 0.0, float(present.mean()))


def assemble(
    given: Evidence, choice: Choice, expression: Expression, weights: Weights, facts: Sequence[TrackFacts]
) -> Answer:
    """The answer of a choice. A pixel of a frame belongs to one track, the best; boxes are tight around what is left.

    Every chosen track stays in the answer, even where others cover it or the moment leaves it out in all frames.
    """
    video = given.track_set.video
    kept = [_kept(given, i, choice.frames) for i in choice.chosen]
    apart = disjoint(kept, [given.track_set.tracks[i].boxes for i in choice.chosen], video.size)
    selected = tuple(
        _selected(given.track_set.tracks[i], i, float(choice.probability[i]), masks, own, video)
        for i, masks, own in zip(choice.chosen, apart, kept, strict=True)
    )
    return Answer(
        video=video,
        expression=expression,
        tracks=selected,
        masks=_union(kept, video),
        moments=choice.moments,
        no_target=not selected,
        no_target_probability=1.0 - choice.presence,
        why=_why(given, choice, weights, facts),
    )


def _kept(given: Evidence, index: int, frames: NDArray[np.bool_]) -> tuple[bytes, ...]:
    """A track's masks where it is present and the moment holds."""
    empty = rle.union([], given.track_set.video.size)
    there = (given.present[index] & frames).tolist()
    return tuple(mask if t else empty for mask, t in zip(given.track_set.tracks[index].masks, there, strict=True))


def _selected(
    track: Track, index: int, score: float, masks: tuple[bytes, ...], own: tuple[bytes, ...], video: VideoMeta
) -> SelectedTrack:
    """One track; its own boxes are kept where its masks are whole."""
    there = rle.areas(masks, video.size) > 0
    boxes = np.where(there[:, None], track.boxes, np.float32(np.nan)).astype(np.float32)
    cut = [t for t in np.flatnonzero(there).tolist() if masks[t] != own[t]]
    if cut:
        boxes[cut] = rle.boxes([masks[t] for t in cut], video.size)
    return SelectedTrack(index, score, masks, boxes, video.spans(there))


def _union(masks: Sequence[tuple[bytes, ...]], video: VideoMeta) -> tuple[bytes, ...]:
    if len(masks) == 1:
        return masks[0]
    return tuple(rle.union([m[t] for m in masks], video.size) for t in range(video.frames))


def _why(given: Evidence, choice: Choice, weights: Weights, facts: Sequence[TrackFacts]) -> Mapping[str, Any]:
    order = sorted(given.able, key=lambda i: (-choice.probability[i], i))
    excluded = sorted(set(range(len(given.track_set.tracks))) - set(order))
    said = {
        "moments": given.moments, "reranks": given.reranks, "boxes": given.boxes,
    }  # fmt: skip
    return {
        "rule": choice.rule,
        "mode": weights.mode,
        "weights": weights.numbers(),
        "weights_sha256": weights.sha256,
        "threshold": weights.rule.threshold,
        "no_target_threshold": weights.rule.no_target_threshold,
        "scorer": given.scores.scorer,
        "cache": given.scores.cache,
        "grounders": {name: score.scorer for name, score in said.items() if score is not None},
        "moment_text": given.moments.text if given.moments else "",
        **choice.notes,
        "ranking": [_row(given, i, choice, facts[i], i in order, weights.rule) for i in order + excluded],
    }


def _row(
    given: Evidence, i: int, choice: Choice, facts: TrackFacts, competes: bool, rule: FusionSettings
) -> dict[str, object]:
    """One line of the ranking, JSON-able."""
    track, score, selected = given.track_set.tracks[i], float(choice.probability[i]), i in choice.chosen
    return {
        "index": i,
        "score": score,
        "selected": selected,
        "competes": competes,
        "source": track.source.value,
        "prompt_frame": track.prompt.frame,
        "prompt_expression": track.prompt.expression_id,
        "mean_area": round(facts.mean_area, 1),
        "present_share": round(facts.present_share, 4),
        "reason": _reason(track, score, selected, competes, rule.threshold, shut=rule.shut(choice.presence)),
    }


def _reason(track: Track, score: float, selected: bool, competes: bool, threshold: float, *, shut: bool) -> str:
    if not competes:
        prompt = "ground truth" if track.source is Source.GROUND_TRUTH else "another expression"
        return f"Does not compete: it was prompted by {prompt}."
    if selected and score > threshold:
        return f"Selected: {score:.3f} is above {threshold:.2f}."
    if selected:
        return f"Selected as the best track of a target that is there; {score:.3f} is not above {threshold:.2f}."
    if score > threshold and shut:
        return f"Not selected: {score:.3f} is above {threshold:.2f}, but no target is too likely."
    if score > threshold:
        return f"Not selected: {score:.3f} is above {threshold:.2f}, but a better track stands for it."
    return f"Not selected: {score:.3f} is not above {threshold:.2f}."
