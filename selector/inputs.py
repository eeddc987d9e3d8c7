"""What the selector reads of a video's tracks: object tokens, and where asked eight box numbers a frame and looks.

Knows caches and track sets. Does not know expressions. Axis letters: N tracks, T frames, D token width, C look width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import CacheFile
from core import rle
from core.candidates import detected_for
from core.errors import ScorerMismatchError
from core.types import Source, TrackSet


@dataclass(frozen=True)
class VideoTracks:
    """A video's tracks as the selector sees them.

    values: [N, T, D (+ 8) (+ C)] float16, tokens, box numbers and the track's look, the same in every frame.
    sources, prompted_for: [N], what decides who may compete.
    cache: the content hash, "" for tracks that were never stored.   tracker: hash of the tracker's weights.
    look: hash of the looks' encoder, "" where looks were not asked for.   detected: `core.candidates.detected_for`.
    """

    video_id: str
    values: NDArray[np.float16]
    sources: tuple[Source, ...]
    prompted_for: tuple[str | None, ...]
    cache: str
    tracker: str
    look: str = ""
    detected: frozenset[str] | None = None


def read_tracks(source: CacheFile | TrackSet, *, geometry: bool, looks: bool = False) -> VideoTracks:
    """Tracks of a cache or of a track set in memory; masks are read only for `geometry`.

    Raises:
        ScorerMismatchError: when looks are asked for and the tracks have none.
    """
    if isinstance(source, TrackSet):
        tracks = source.tracks
        tokens, sources = source.tokens(), tuple(t.source for t in tracks)
        prompts, cache = tuple(t.prompt for t in tracks), ""
    else:
        tokens, sources = source.tokens(), source.sources()
        prompts, cache = source.prompts(), source.content_sha256
    values = tokens
    if geometry:
        values = np.concatenate([tokens, _geometry(source).astype(np.float16)], axis=-1)
    if looks and sources:
        values = np.concatenate([values, _looks(source, values.shape[1])], axis=-1)
    return VideoTracks(
        video_id=source.video.id,
        values=values,
        sources=sources,
        prompted_for=tuple(prompt.expression_id for prompt in prompts),
        cache=cache,
        tracker=str(source.provenance.get("tracker_sha256", "")),
        look=str(source.provenance.get("look_sha256", "")) if looks else "",
        detected=detected_for(source.provenance),
    )


def _looks(source: CacheFile | TrackSet, frames: int) -> NDArray[np.float16]:
    """Each track's look once a frame, [N, T, C]."""
    looks = source.looks()
    if looks is None:
        raise ScorerMismatchError(
            f"video {source.video.id!r}: expected tracks with looks, which the selector reads, got tracks without; "
            "run `tracksift generate --looks` again, which keeps the tracks"
        )
    return np.repeat(looks[:, None], frames, axis=1)


def _geometry(source: CacheFile | TrackSet) -> NDArray[np.float32]:
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
    return track_geometry(boxes, areas, score, iou, size)


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
