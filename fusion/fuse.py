"""One expression's scores become an answer that says why: checked, decided by a mode, assembled.

Knows which scores belong together. Does not know which model made a score, nor how a mode decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import InputError, ScorerMismatchError
from core.types import Answer, BoxScores, Expression, MomentScores, TrackScores, TrackSet
from fusion.assembly import TrackFacts, assemble, describe
from fusion.modes import MODES, Evidence
from fusion.settings import FusionSettings, Weights

__all__ = ["FusionSettings", "TrackFacts", "Weights", "describe", "fuse"]


def fuse(
    track_set: TrackSet,
    scores: TrackScores,
    expression: Expression,
    settings: FusionSettings | Weights | None = None,
    moments: MomentScores | None = None,
    *,
    reranks: TrackScores | None = None,
    boxes: BoxScores | None = None,
    cache_sha256: str | None = None,
    facts: Sequence[TrackFacts] | None = None,
) -> Answer:
    """The union of the tracks that a mode selects, or an explicit no-target.

    Tracks that may not compete (`core.candidates`) are never selected, whatever their score. Selected tracks are
    ordered by score, best first; a mask counts only where its track is present. A no-target answer has no moments.

    Args:
        track_set: the video's tracks, N of them.
        scores: probability of each of the N tracks, in the order of `track_set`, and of presence.
        expression: what was asked.
        settings: mode and numbers, or the thresholds of mode `tracks` alone, which are 0.5 when None.
        moments: spans that the words name, for this video and expression.
        reranks: a grounder's own scores of the tracks, for mode `reranked`.
        boxes: where a grounder sees the target, for mode `dtos`.
        cache_sha256: content hash of the cache that `track_set` was read from, checked against the scores' own.
        facts: `describe` of each track, for callers who ask many expressions of one video.

    Raises:
        InputError: when scores or facts are for another video, expression or number of tracks, or the mode needs
            scores that are not given.
        ScorerMismatchError: when scores were made for another cache.
    """
    weights = settings if isinstance(settings, Weights) else Weights(rule=settings or FusionSettings())
    given = Evidence(track_set, scores, moments, reranks, boxes)
    check(given, expression, cache_sha256)
    facts = facts if facts is not None else [describe(t) for t in track_set.tracks]
    if len(facts) != len(track_set.tracks):
        raise InputError(
            f"video {track_set.video.id!r}: expected facts of {len(track_set.tracks)} tracks, got {len(facts)}"
        )
    return assemble(given, MODES[weights.mode](given, weights), expression, weights, facts)


def check(given: Evidence, expression: Expression, cache_sha256: str | None) -> None:
    """Refuse scores of other tracks, videos, expressions or caches.

    Raises:
        InputError: for another video, expression, number of tracks or frames.
        ScorerMismatchError: for another cache. A grounder that looked at none may be fused with any.
    """
    wanted, tracks = (given.track_set.video.id, expression.id), len(given.track_set.tracks)
    named = {"track scores": given.scores, "grounder's track scores": given.reranks}
    others = {"moment scores": given.moments, "boxes": given.boxes}
    for name, score in {**named, **others}.items():
        if score is None:
            continue
        if (score.video_id, score.expression_id) != wanted:
            raise InputError(
                f"{name}: expected those of video {wanted[0]!r}, expression {wanted[1]!r}, "
                f"got video {score.video_id!r}, expression {score.expression_id!r}"
            )
        if isinstance(score, TrackScores) and len(score.probability) != tracks:
            raise InputError(
                f"video {wanted[0]!r}, expression {wanted[1]!r}: expected a score for each of "
                f"{tracks} tracks, got {len(score.probability)}"
            )
        strict = isinstance(score, TrackScores) or bool(score.cache)
        if cache_sha256 is not None and strict and score.cache != cache_sha256:
            raise ScorerMismatchError(
                f"video {wanted[0]!r}, expression {wanted[1]!r}: expected {name} made for cache {cache_sha256[:12]}, "
                f"got scores made for {score.cache[:12]}; score the cache again"
            )
    frames = given.track_set.video.frames
    if given.boxes is not None and len(given.boxes.frames) and given.boxes.frames[-1] >= frames:
        raise InputError(
            f"video {wanted[0]!r}, expression {wanted[1]!r}: expected boxes on frames below {frames}, "
            f"got one on {given.boxes.frames[-1]}"
        )
