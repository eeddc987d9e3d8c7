"""The ways in which track scores and a grounder's word become one choice, a function each, by name in `MODES`.

tracks     the selector alone; spans are told beside.
gated      the selector's tracks, their masks only inside the grounder's spans.
dtos       the moment first, in the order of DTOS: key frames are shared out among the spans; there the grounder's
           boxes, or else the presence of the tracks, weigh the selector's probabilities.
reranked   the grounder has a say in the probabilities of the selector's best tracks.

Knows tracks, scores and spans. Does not know how answers are built or weights are fitted. N tracks, T frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.candidates import competing
from core.errors import InputError
from core.types import BoxScores, MomentScores, TimeSpan, TrackScores, TrackSet
from fusion.moments import allot, certainty, inside, kept_spans, relevance_of_frames
from fusion.overlaps import distinct
from fusion.rule import choose
from fusion.settings import Weights

_EDGE = 1e-6  # of probabilities that are mixed as logits


@dataclass(frozen=True)
class Evidence:
    """What is known about one expression of a video: its tracks, the selector's scores, and a grounder's word.

    reranks: a grounder's probability of each track.   boxes: where it sees the target on some frames.
    """

    track_set: TrackSet
    scores: TrackScores
    moments: MomentScores | None = None
    reranks: TrackScores | None = None
    boxes: BoxScores | None = None

    @cached_property
    def able(self) -> tuple[int, ...]:
        """Indices of the tracks that may compete, best first."""
        able = competing(self.track_set, self.scores.expression_id)
        return tuple(sorted((int(i) for i in able), key=lambda i: (-self.scores.probability[i], i)))

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """[N, T]: where each track is present."""
        rows = [track.present for track in self.track_set.tracks]
        return np.array(rows, dtype=bool).reshape(-1, self.track_set.video.frames)


@dataclass(frozen=True)
class Choice:
    """What a mode decided.

    chosen: tracks, best first.   probability: of each track [N], fused.   presence: of any target, fused.
    frames: where the chosen tracks' masks count, [T] bool.   moments: spans that the words name, by start.
    rule: how it came about, in sentences.   notes: what else `why` tells, JSON-able.
    """

    chosen: tuple[int, ...]
    probability: NDArray[np.float64]
    presence: float
    frames: NDArray[np.bool_]
    moments: tuple[TimeSpan, ...]
    rule: str
    notes: Mapping[str, Any] = field(default_factory=dict)


def tracks(given: Evidence, weights: Weights) -> Choice:
    """The selector alone."""
    spans = () if given.moments is None else given.moments.spans
    every = np.ones(given.track_set.video.frames, dtype=bool)
    return _chosen(given, weights, given.scores.probability, given.scores.presence, every, spans)


def gated(given: Evidence, weights: Weights) -> Choice:
    """The selector's tracks, inside the spans that count; everywhere where there are none, or no chosen track is there.

    Raises:
        InputError: without moment scores.
    """
    moments = _moments(given, "gated")
    spans = kept_spans(moments, weights.moments)
    every = np.ones(given.track_set.video.frames, dtype=bool)
    presence = _presence(given, moments, weights)
    whole = _chosen(given, weights, given.scores.probability, presence, every, spans)
    frames = inside(given.track_set.video, spans, weights.moments.pad)
    if not whole.chosen:
        return whole
    if not spans:
        return _said(whole, "No span counts, so masks hold in all frames.")
    if not (given.present[list(whole.chosen)].any(axis=0) & frames).any():
        return _said(whole, "No selected track is there inside the spans, so masks hold in all frames.")
    said = f"Masks hold in the {int(frames.sum())} of {len(frames)} frames inside {_count(spans)}."
    return _said(whole, said, frames=frames)


def dtos(given: Evidence, weights: Weights) -> Choice:
    """The moment first; without spans that count, the whole video is the moment. Masks hold in all frames.

    A track's probability is multiplied by e^w, with w the grounder's share and e its evidence: with boxes on the key
    frames the mean of their IoU with the track's, by the boxes' probability, else the share of key frames that show it.

    Raises:
        InputError: without moment scores.
    """
    moments, video = _moments(given, "dtos"), given.track_set.video
    spans = kept_spans(moments, weights.moments)
    window = inside(video, spans, weights.moments.pad)
    every = np.ones(video.frames, dtype=bool)
    keys = allot(window if window.any() else every, weights.moments.frames)
    seen = None if given.boxes is None else _box_agreement(given, given.boxes, keys)
    agreement = given.present[:, list(keys)].mean(axis=1) if seen is None else seen
    probability = given.scores.probability * agreement**weights.grounder.tracks
    choice = _chosen(given, weights, probability, _presence(given, moments, weights), every, spans)
    where = f"{_count(spans)}" if window.any() else "the whole video, since no span counts"
    what = "presence there" if seen is None else "overlap with the grounder's boxes"
    said = f"{len(keys)} key frames from {where}; tracks are weighed by their {what}."
    return _said(choice, said, notes={"key_frames": list(keys), "agreement": agreement.round(4).tolist()})


def reranked(given: Evidence, weights: Weights) -> Choice:
    """The best tracks by the selector, their probability mixed as logits with the grounder's.

    That is the grounder's own where it scored tracks, and otherwise how relevant the frames with the track are.

    Raises:
        InputError: without the grounder's track scores and without moment scores.
    """
    video, top = given.track_set.video, list(given.able[: weights.grounder.top])
    if given.reranks is not None:
        said, word = "the grounder's scores", given.reranks.probability
    else:
        moments = _moments(given, "reranked", "a grounder's track scores or moment scores")
        said, word = "the relevance of their frames", _relevance(given, relevance_of_frames(video, moments))
    probability = given.scores.probability.copy()
    probability[top] = mix(probability[top], word[top], weights.grounder.tracks)
    presence = given.scores.presence if given.moments is None else _presence(given, given.moments, weights)
    spans = () if given.moments is None else kept_spans(given.moments, weights.moments)
    choice = _chosen(given, weights, probability, presence, np.ones(video.frames, dtype=bool), spans)
    notes = {"word": {str(i): round(float(word[i]), 4) for i in top}}
    return _said(choice, f"The best {len(top)} tracks are mixed with {said}.", notes=notes)


Mode = Callable[[Evidence, Weights], Choice]
MODES: Final[Mapping[str, Mode]] = {"tracks": tracks, "gated": gated, "dtos": dtos, "reranked": reranked}


def mix(first: NDArray[np.float64], second: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Probabilities between two, in proportion on the logit scale; `share` of the second, 0..1."""
    if share == 0:
        return np.asarray(first, dtype=np.float64)
    pair = np.clip(np.stack([first, second]), _EDGE, 1 - _EDGE)
    logits = np.log(pair) - np.log1p(-pair)
    return np.asarray(1 / (1 + np.exp(-((1 - share) * logits[0] + share * logits[1]))))


def _chosen(
    given: Evidence,
    weights: Weights,
    probability: NDArray[np.float64],
    presence: float,
    frames: NDArray[np.bool_],
    spans: tuple[TimeSpan, ...],
) -> Choice:
    """The rule on fused numbers. A no-target answer has no moments."""
    order = sorted(given.able, key=lambda i: (-probability[i], i))
    picked, rule = choose(order, probability, presence, weights.rule)
    chosen = distinct(given.track_set.tracks, picked, weights.rule.same_iou)
    if len(chosen) < len(picked):
        rule += f" {len(picked) - len(chosen)} of them overlap a better one by more than {weights.rule.same_iou:.2f}."
    if weights.rule.most and len(chosen) > weights.rule.most:
        chosen, rule = chosen[: weights.rule.most], f"{rule} The best {weights.rule.most} are taken."
    named = tuple(sorted(spans, key=lambda span: (span.start, span.end))) if chosen else ()
    return Choice(chosen, probability, presence, frames, named, rule)


def _said(choice: Choice, sentence: str, **changes: Any) -> Choice:
    return replace(choice, rule=f"{choice.rule} {sentence}", **changes)


def _moments(given: Evidence, mode: str, wanted: str = "moment scores") -> MomentScores:
    if given.moments is None:
        raise InputError(
            f"video {given.scores.video_id!r}, expression {given.scores.expression_id!r}: "
            f"expected {wanted} for mode {mode!r}, got none"
        )
    return given.moments


def _presence(given: Evidence, moments: MomentScores, weights: Weights) -> float:
    sure = np.array([given.scores.presence]), np.array([certainty(moments)])
    return float(mix(*sure, weights.grounder.presence)[0])


def _relevance(given: Evidence, relevance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean relevance of the frames in which each track is present, [N]; 0 for one that never is."""
    there = given.present
    return np.asarray((there * relevance).sum(axis=1) / np.maximum(there.sum(axis=1), 1))


def _box_agreement(given: Evidence, boxes: BoxScores, keys: tuple[int, ...]) -> NDArray[np.float64] | None:
    """Mean IoU of each track's box with the grounder's on the key frames that have one, [N]; None where none has."""
    seen = ~np.isnan(boxes.boxes[:, 0]) & np.isin(boxes.frames, keys)
    frames, weight = boxes.frames[seen], boxes.probability[seen]
    if not weight.sum():
        return None
    held = np.stack([track.boxes[frames] for track in given.track_set.tracks]) if given.track_set.tracks else None
    if held is None:
        return np.zeros(0)
    held = np.where(given.present[:, frames, None], held, np.nan)  # [N, K, 4]
    overlap = np.nan_to_num(_iou(held, boxes.boxes[seen][None]))  # [N, K]
    return np.asarray((overlap * weight).sum(axis=1) / weight.sum())


def _iou(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.floating]:
    """IoU of boxes [..., 4]; NaN where either is absent."""
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    both = np.clip(high - low, 0, None).prod(axis=-1)
    areas = (first[..., 2:] - first[..., :2]).prod(axis=-1) + (second[..., 2:] - second[..., :2]).prod(axis=-1)
    return np.asarray(both / (areas - both))


def _count(spans: tuple[TimeSpan, ...]) -> str:
    return f"{len(spans)} span{'s' * (len(spans) > 1)}"
