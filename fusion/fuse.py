"""Track scores, and moment scores where there are any, become an answer that says why.

Knows tracks as masks with scores, and the rule that picks among them. Does not know which model made a score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core import rle
from core.candidates import competing
from core.errors import InputError, ScorerMismatchError
from core.types import Answer, Expression, MomentScores, SelectedTrack, Source, Track, TrackScores, TrackSet, VideoMeta
from core.validators import check_probability


@dataclass(frozen=True)
class FusionSettings:
    """The rule's two thresholds, both in 0..1.

    threshold: a track is selected when its probability is greater than this.
    no_target_threshold: where no track is selected, the answer is "no target" when its probability (1 - presence)
        is at least this, and otherwise the best track.
    """

    threshold: float = 0.5
    no_target_threshold: float = 0.5

    def __post_init__(self) -> None:
        """Refuse values outside 0..1."""
        check_probability("fusion threshold", self.threshold)
        check_probability("fusion no-target threshold", self.no_target_threshold)


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


def fuse(
    track_set: TrackSet,
    scores: TrackScores,
    expression: Expression,
    settings: FusionSettings | None = None,
    moments: MomentScores | None = None,
    *,
    cache_sha256: str | None = None,
    facts: Sequence[TrackFacts] | None = None,
) -> Answer:
    """The union of the tracks that score above the threshold, or an explicit no-target.

    Tracks that may not compete (`core.candidates`) are never selected, whatever their score. Selected tracks are
    ordered by score, best first; a mask counts only where its track is present. A no-target answer has no moments.

    Args:
        track_set: the video's tracks, N of them.
        scores: probability of each of the N tracks, in the order of `track_set`, and of presence.
        expression: what was asked.
        settings: the thresholds; 0.5 and 0.5 when None.
        moments: spans that the words name, for this video and expression.
        cache_sha256: content hash of the cache that `track_set` was read from, checked against the scores' own.
        facts: `describe` of each track, for callers who ask many expressions of one video.

    Raises:
        InputError: when scores, moments or facts are for another video, expression or number of tracks.
        ScorerMismatchError: when the scores were made for another cache.
    """
    settings = settings or FusionSettings()
    _check(track_set, scores, expression, moments, cache_sha256)
    facts = facts if facts is not None else [describe(t) for t in track_set.tracks]
    if len(facts) != len(track_set.tracks):
        raise InputError(
            f"video {track_set.video.id!r}: expected facts of {len(track_set.tracks)} tracks, got {len(facts)}"
        )
    able = competing(track_set, expression.id)
    order = sorted((int(i) for i in able), key=lambda i: (-scores.probability[i], i))
    chosen, rule = _choose(order, scores, settings)
    selected = tuple(_selected(track_set, i, float(scores.probability[i])) for i in chosen)
    excluded = sorted(set(range(len(track_set.tracks))) - set(order))
    ranking = [
        _row(track_set, i, scores, facts[i], i in chosen, i in order, settings.threshold) for i in order + excluded
    ]
    return Answer(
        video=track_set.video,
        expression=expression,
        tracks=selected,
        masks=_union([s.masks for s in selected], track_set.video),
        moments=tuple(sorted(moments.spans, key=lambda s: s.start)) if moments and selected else (),
        no_target=not selected,
        no_target_probability=1.0 - scores.presence,
        why={
            "rule": rule,
            "threshold": settings.threshold,
            "no_target_threshold": settings.no_target_threshold,
            "scorer": scores.scorer,
            "cache": scores.cache,
            "moment_text": moments.text if moments else "",
            "ranking": ranking,
        },
    )


def _choose(order: list[int], scores: TrackScores, settings: FusionSettings) -> tuple[list[int], str]:
    """Indices of the selected tracks, best first, and the rule that picked them as a sentence."""
    above = [i for i in order if scores.probability[i] > settings.threshold]
    absent = 1.0 - scores.presence
    if above:
        return above, f"{len(above)} of {len(order)} tracks score above {settings.threshold:.2f}."
    if not order:
        return [], "There is no track that may compete, so the answer is no target."
    if absent >= settings.no_target_threshold:
        return [], (
            f"No track scores above {settings.threshold:.2f}, and no target has probability {absent:.2f} "
            f"(at least {settings.no_target_threshold:.2f})."
        )
    return order[:1], (
        f"No track scores above {settings.threshold:.2f}, but no target has only probability {absent:.2f} "
        f"(below {settings.no_target_threshold:.2f}), so the best track is taken."
    )


def _selected(track_set: TrackSet, index: int, score: float) -> SelectedTrack:
    """One track with masks and boxes only where it is present."""
    track, video = track_set.tracks[index], track_set.video
    present, empty = track.present, rle.union([], video.size)
    masks = tuple(mask if there else empty for mask, there in zip(track.masks, present, strict=True))
    boxes = np.where(present[:, None], track.boxes, np.float32(np.nan)).astype(np.float32)
    return SelectedTrack(index, score, masks, boxes, video.spans(present))


def _union(masks: list[tuple[bytes, ...]], video: VideoMeta) -> tuple[bytes, ...]:
    if len(masks) == 1:
        return masks[0]
    return tuple(rle.union([m[t] for m in masks], video.size) for t in range(video.frames))


def _row(
    track_set: TrackSet,
    i: int,
    scores: TrackScores,
    facts: TrackFacts,
    selected: bool,
    competes: bool,
    threshold: float,
) -> dict[str, object]:
    """One line of the ranking, JSON-able."""
    track, score = track_set.tracks[i], float(scores.probability[i])
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
        "reason": _reason(track, score, selected, competes, threshold),
    }


def _reason(track: Track, score: float, selected: bool, competes: bool, threshold: float) -> str:
    if not competes:
        prompt = "ground truth" if track.source is Source.GROUND_TRUTH else "another expression"
        return f"Does not compete: it was prompted by {prompt}."
    if selected and score > threshold:
        return f"Selected: {score:.3f} is above {threshold:.2f}."
    if selected:
        return f"Selected as the best track of a target that is there; {score:.3f} is not above {threshold:.2f}."
    return f"Not selected: {score:.3f} is not above {threshold:.2f}."


def _check(
    track_set: TrackSet,
    scores: TrackScores,
    expression: Expression,
    moments: MomentScores | None,
    cache_sha256: str | None,
) -> None:
    """Refuse scores of other tracks, videos, expressions or caches."""
    wanted = (track_set.video.id, expression.id)
    for name, given in (("track scores", scores), ("moment scores", moments)):
        if given is not None and (given.video_id, given.expression_id) != wanted:
            raise InputError(
                f"{name}: expected those of video {wanted[0]!r}, expression {wanted[1]!r}, "
                f"got video {given.video_id!r}, expression {given.expression_id!r}"
            )
    if len(scores.probability) != len(track_set.tracks):
        raise InputError(
            f"video {wanted[0]!r}, expression {wanted[1]!r}: expected a score for each of "
            f"{len(track_set.tracks)} tracks, got {len(scores.probability)}"
        )
    if cache_sha256 is not None and scores.cache != cache_sha256:
        raise ScorerMismatchError(
            f"video {wanted[0]!r}, expression {wanted[1]!r}: expected scores made for cache {cache_sha256[:12]}, "
            f"got scores made for {scores.cache[:12]}; score the cache again"
        )
