"""What the selector reads of a video's tracks: object tokens, box and outline numbers, and looks, each where asked for.

Knows caches and track sets. Does not know expressions. Axis letters: N tracks, T frames, D token width, G numbers of
boxes and outlines, C look width.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cache import CacheFile
from core import rle
from core.candidates import detected_for
from core.errors import ScorerMismatchError
from core.types import Source, TrackSet, VideoMeta
from selector.outline import outline_numbers
from selector.settings import BOX_WIDTH


@dataclass(frozen=True)
class TrackValues:
    """The numbers of a video's tracks, apart, so that tokens can stay in a mapped file.

    tokens: [N, T, D] float16.   geometry: [N, T, G] float16, or None.   looks: [N, C] float16, the same in every frame,
    or None.
    """

    tokens: NDArray[np.float16]
    geometry: NDArray[np.float16] | None = None
    looks: NDArray[np.float16] | None = None

    @property
    def widths(self) -> tuple[int, int, int]:
        """D, G and C, 0 for what is not there."""
        geometry, looks = (0 if part is None else part.shape[-1] for part in (self.geometry, self.looks))
        return self.tokens.shape[-1], geometry, looks

    @property
    def shape(self) -> tuple[int, int, int]:
        """N, T, D (+ G) (+ C)."""
        return (*self.tokens.shape[:2], sum(self.widths))

    def put(self, place: NDArray[np.float16]) -> None:
        """Write all into the first tracks and frames of `place` [any, any, D (+ G) (+ C)]."""
        looks = None if self.looks is None else self.looks[:, None]
        (tracks, frames, _), start = self.shape, 0
        for part in (self.tokens, self.geometry, looks):
            if part is not None:
                place[:tracks, :frames, start : start + part.shape[-1]] = part
                start += part.shape[-1]

    def joined(self) -> NDArray[np.float16]:
        """All, [N, T, D (+ G) (+ C)]; no copy where tokens are all."""
        if self.geometry is None and self.looks is None:
            return self.tokens
        values = np.empty(self.shape, dtype=np.float16)
        self.put(values)
        return values

    def of(self, rows: NDArray[np.bool_]) -> TrackValues:
        """Those of some tracks; no copy where they are all."""
        if rows.all():
            return self
        parts = (self.tokens, self.geometry, self.looks)
        return TrackValues(*(None if part is None else part[rows] for part in parts))  # type: ignore[arg-type]


@dataclass(frozen=True)
class VideoTracks:
    """The tracks of `video` as the selector sees them.

    parts: their numbers.   sources, prompted_for: [N], what decides who may compete.
    cache: the content hash, "" for tracks that were never stored.   tracker: hash of the tracker's weights.
    look: hash of the looks' encoder, "" where looks were not asked for.   detected: `core.candidates.detected_for`.
    """

    video: VideoMeta = field(compare=False)
    parts: TrackValues
    sources: tuple[Source, ...]
    prompted_for: tuple[str | None, ...]
    cache: str
    tracker: str
    look: str = ""
    detected: frozenset[str] | None = None

    @property
    def video_id(self) -> str:
        """The video's id."""
        return self.video.id

    @property
    def values(self) -> NDArray[np.float16]:
        """[N, T, D (+ G) (+ C)], tokens, box and outline numbers and looks."""
        return self.parts.joined()


def read_tracks(
    source: CacheFile | TrackSet, *, geometry: int, looks: bool = False, tokens: bool = True
) -> VideoTracks:  # fmt: skip
    """Tracks of a cache or of a track set in memory, their numbers in one array; masks are read only for `geometry`.

    geometry: numbers of boxes and outlines, G: 0, those of boxes alone (8), or both (19).   tokens: or none of them.

    Raises:
        ScorerMismatchError: when looks are asked for and the tracks have none.
    """
    own = source.tokens() if tokens else no_tokens(source)
    tracks = read_apart(source, own, geometry=geometry, looks=looks)
    return replace(tracks, parts=TrackValues(tracks.values))


def read_apart(
    source: CacheFile | TrackSet, tokens: NDArray[np.float16], *, geometry: int, looks: bool = False
) -> VideoTracks:
    """As `read_tracks`, of tokens [N, T, D] that were read already and stay as they are."""
    if isinstance(source, TrackSet):
        sources, prompts, cache = tuple(t.source for t in source.tracks), tuple(t.prompt for t in source.tracks), ""
    else:
        sources, prompts, cache = source.sources(), source.prompts(), source.content_sha256
    boxes = _geometry(source, geometry > BOX_WIDTH).astype(np.float16) if geometry else None
    return VideoTracks(
        video=source.video,
        parts=TrackValues(tokens, boxes, _looks(source) if looks and sources else None),
        sources=sources,
        prompted_for=tuple(prompt.expression_id for prompt in prompts),
        cache=cache,
        tracker=str(source.provenance.get("tracker_sha256", "")),
        look=str(source.provenance.get("look_sha256", "")) if looks else "",
        detected=detected_for(source.provenance),
    )


def no_tokens(source: CacheFile | TrackSet) -> NDArray[np.float16]:
    """Object tokens of no width, [N, T, 0]."""
    tracks = len(source.tracks) if isinstance(source, TrackSet) else len(source)
    return np.empty((tracks, source.video.frames, 0), dtype=np.float16)


def _looks(source: CacheFile | TrackSet) -> NDArray[np.float16]:
    """Each track's look, [N, C]."""
    looks = source.looks()
    if looks is None:
        raise ScorerMismatchError(
            f"video {source.video.id!r}: expected tracks with looks, which the selector reads, got tracks without; "
            "run `tracksift generate --looks` again, which keeps the tracks"
        )
    return looks


def _geometry(source: CacheFile | TrackSet, outline: bool) -> NDArray[np.float32]:
    size, frames = source.video.size, source.video.frames
    if isinstance(source, TrackSet):
        tracks, count = source.tracks, len(source.tracks)
        masks = [t.masks for t in tracks]
        boxes = np.array([t.boxes for t in tracks], dtype=np.float32).reshape(count, frames, 4)
        score = np.array([t.object_score for t in tracks], dtype=np.float32).reshape(count, frames)
        iou = np.array([t.predicted_iou for t in tracks], dtype=np.float32).reshape(count, frames)
    else:
        masks, boxes = list(source.masks()), source.boxes()
        score, iou = source.object_score(), source.predicted_iou()
    areas = rle.areas([mask for track in masks for mask in track], size).reshape(len(masks), frames)
    geometry = track_geometry(boxes, areas, score, iou, size)
    if not outline:
        return geometry
    # What the boxes hold to be absent is absent here, too.
    return np.concatenate([geometry, outline_numbers(masks, boxes, size) * geometry[..., -1:]], axis=-1)


def track_geometry(
    boxes: NDArray[np.float32],
    areas: NDArray[np.int64],
    object_score: NDArray[np.float32],
    predicted_iou: NDArray[np.float32],
    size: tuple[int, int],
) -> NDArray[np.float32]:
    """Eight numbers in 0..1 a track and frame, [N, T, 8]; all 0 where the track is absent.

    Box centre x and y, width, height, each over the frame's width or height; mask area over the frame's; sigmoid of
    the object score; predicted IoU; 1. Boxes [N, T, 4] in pixels, areas in pixels, size (H, W).
    """
    height, width = size
    present = (object_score > 0) & ~np.isnan(boxes[..., 0])
    x1, y1, x2, y2 = np.moveaxis(boxes, -1, 0)
    probability = 1 / (1 + np.exp(-np.clip(object_score, -60, 60)))
    columns = (
        (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height,
        areas / (height * width), probability, predicted_iou, np.ones_like(predicted_iou),
    )  # fmt: skip
    geometry = np.where(present[..., None], np.stack(columns, axis=-1), 0).astype(np.float32)
    return geometry
