"""`Index`: what scoring needs of many videos, kept in memory, and any number of new expressions answered from it.

Knows caches, the pipeline and fusion's rule. Does not know videos: masks come from the cache, and only when asked for.
Axis letters: N tracks, T frames.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache import CacheFile, find_caches, open_cache
from core.candidates import candidates
from core.errors import InputError
from core.reporting import Progress
from core.types import Answer, Expression, TimeSpan, TrackScores, TrackSet, VideoMeta
from fusion.fuse import TrackFacts, describe, fuse
from selector.calibration import choose
from selector.inputs import VideoTracks
from tracksift.ask import Pipeline
from tracksift.memories import Readings, RememberedTexts
from tracksift.sources import text_expressions

LIMIT = 8 << 30
"""Bytes that an index may hold unless told otherwise."""
_OPEN = 4  # videos whose masks stay in memory after an answer


@dataclass(frozen=True)
class Found:
    """What one expression means in one video, without masks.

    ranking: the tracks that compete, best first.   tracks: the selected ones, best first; empty for no target.
    """

    video: VideoMeta
    expression: Expression
    scores: TrackScores
    ranking: tuple[int, ...]
    tracks: tuple[int, ...]

    @property
    def presence(self) -> float:
        """Probability that anything in the video is meant."""
        return self.scores.presence

    def probability(self, track: int) -> float:
        """Probability that a track is meant."""
        return float(self.scores.probability[track])


@dataclass(frozen=True)
class _Held:
    """One video in memory: boxes [N, T, 4] pixels, present [N, T] bool."""

    file: CacheFile
    tracks: VideoTracks
    boxes: NDArray[np.float32]
    present: NDArray[np.bool_]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.tracks.values.nbytes + self.boxes.nbytes + self.present.nbytes


class Index:
    """Tracks of a cache file, of a split's folder, or of any list of cache files, ready for expressions.

    Scores are those of `ask` and `tracksift predict`: the same model reads the same numbers.
    """

    def __init__(
        self,
        caches: Path | str | Sequence[Path | str],
        pipeline: Pipeline | None = None,
        *,
        limit: int = LIMIT,
        remember: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Read every cache once.

        Args:
            caches: a cache file, a folder of them, or several of either.
            pipeline: selector and text encoder; the miniature's when None.
            limit: bytes that the index may hold.
            remember: also keep what the model reads of each video, for later questions about it. It takes many times
                the space of the tracks; what does not fit into `limit` is read again each time.
            progress: called with (done, total) files.

        Raises:
            InputError: when there is no cache, a video comes twice, or they need more than `limit`.
            CacheError: when a file cannot be used.
            CheckpointError: when a model cannot be used.
            ScorerMismatchError: when the selector was trained on another tracker, text encoder or encoder of looks.
        """
        self.pipeline = pipeline or Pipeline()
        self._held = 0
        self._videos: dict[str, _Held] = {}
        self._masks: OrderedDict[str, tuple[TrackSet, list[TrackFacts]]] = OrderedDict()
        files = _cache_files([caches] if isinstance(caches, Path | str) else caches)
        for done, path in enumerate(files, start=1):
            held = self._read(path)
            if held.tracks.video_id in self._videos:
                first = self._videos[held.tracks.video_id].file.path
                raise InputError(f"index: expected each video once, got {held.tracks.video_id!r} in {first} and {path}")
            self._held += held.nbytes
            if self._held > limit:
                raise InputError(
                    f"index: expected at most {limit / 1e6:.0f} MB of tracks, got {self._held / 1e6:.0f} MB in the "
                    f"first {done} of {len(files)} caches; raise the limit, or ask about fewer at a time"
                )
            self._videos[held.tracks.video_id] = held
            if progress is not None:
                progress(done, len(files))
        self._readings = Readings(limit - self._held if remember else 0)

    def __len__(self) -> int:
        """The number of videos."""
        return len(self._videos)

    @property
    def nbytes(self) -> int:
        """Bytes that the index holds."""
        return self._held + self._readings.nbytes

    @property
    def videos(self) -> tuple[VideoMeta, ...]:
        """The videos, in the order of their files."""
        return tuple(held.file.video for held in self._videos.values())

    @property
    def tracks(self) -> int:
        """Tracks of all videos together."""
        return sum(len(held.tracks.sources) for held in self._videos.values())

    def query(
        self, expressions: str | Sequence[str | Expression], progress: Progress | None = None
    ) -> list[tuple[Found, ...]]:
        """What each expression means in each video: for each expression one `Found` a video, in the order of `videos`.

        Texts are encoded once, each video's tracks are read by the model once.

        Args:
            expressions: phrases; or expressions with the ids that a detector's tracks were made for.
            progress: called with (done, total) videos.

        Raises:
            InputError: for none, a blank one, or one that is too long for the text encoder.
        """
        asked = _as_expressions([expressions] if isinstance(expressions, str) else expressions)
        encoder = RememberedTexts(self.pipeline.text_encoder)
        rows = []
        for done, held in enumerate(self._videos.values(), start=1):
            able = [_able(held.tracks, expression) for expression in asked]
            scores = self.pipeline.selector.score_tracks(held.tracks, asked, encoder, able, self._readings)
            rows.append([self._found(held, *each) for each in zip(asked, scores, able, strict=True)])
            if progress is not None:
                progress(done, len(self))
        return list(zip(*rows, strict=True))

    def spans(self, found: Found, track: int) -> tuple[TimeSpan, ...]:
        """When a track is in view."""
        return found.video.spans(self._videos[found.video.id].present[track])

    def boxes(self, found: Found, track: int) -> NDArray[np.float32]:
        """A track's boxes [T, 4] pixels, NaN where it is not in view."""
        held = self._videos[found.video.id]
        return np.where(held.present[track][:, None], held.boxes[track], np.float32(np.nan)).astype(np.float32)

    def answer(self, found: Found) -> Answer:
        """The whole answer with its masks, which are read from the cache file.

        Raises:
            CacheError: when the file has gone or changed since the index was made.
        """
        name, file = found.video.id, self._videos[found.video.id].file
        if name not in self._masks:
            track_set = file.track_set()
            self._masks[name] = track_set, [describe(track) for track in track_set.tracks]
        self._masks.move_to_end(name)
        while len(self._masks) > _OPEN:
            self._masks.popitem(last=False)
        track_set, facts = self._masks[name]
        return fuse(
            track_set, found.scores, found.expression, self.pipeline.fusion(found.scores),
            cache_sha256=file.content_sha256, facts=facts,
        )  # fmt: skip

    def _read(self, path: Path) -> _Held:
        file = open_cache(path)
        tracks = self.pipeline.selector.read(file)
        self.pipeline.selector.check(tracks, self.pipeline.text_encoder)
        boxes = file.boxes()
        return _Held(file, tracks, boxes, (file.object_score() > 0) & ~np.isnan(boxes[..., 0]))

    def _found(self, held: _Held, expression: Expression, scores: TrackScores, able: NDArray[np.intp]) -> Found:
        order = able[np.lexsort((able, -scores.probability[able]))]
        settings = self.pipeline.fusion(scores)
        probability = scores.probability[order]
        chosen = choose(probability, scores.presence, settings.threshold, settings.no_target_threshold, settings.gate)
        ranking, tracks = (tuple(int(i) for i in indices) for indices in (order, order[chosen]))
        return Found(held.file.video, expression, scores, ranking, tracks)


def _able(tracks: VideoTracks, expression: Expression) -> NDArray[np.intp]:
    return candidates(tracks.sources, tracks.prompted_for, expression.id, tracks.detected)


def _as_expressions(given: Sequence[str | Expression]) -> list[Expression]:
    """Expressions as they are; texts with ids of their own text, which a detector's tracks may have been made for."""
    if not given:
        raise InputError("expressions: expected at least one, got none")
    return [text_expressions([e])[0] if isinstance(e, str) else e for e in given]


def _cache_files(places: Sequence[Path | str]) -> list[Path]:
    files = [path for place in places for path in find_caches(Path(place))]
    if not files:
        listed = ", ".join(str(place) for place in places) or "no place at all"
        raise InputError(f"index: expected cache files, got none in {listed}; run `tracksift generate` first")
    return files
