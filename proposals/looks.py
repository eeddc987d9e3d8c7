"""What each track looks like: an image encoder's mean over a few crops of the track.

Knows readers, tracks and image encoders. Does not know expressions or caches. Object tokens follow an object through
time and tell colour and texture poorly; an encoder that shares its space with a text encoder tells just these.
Axis letters: N tracks, T frames, C look width, K crops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core import rle
from core.frames import VideoReader
from core.images import ImageEncoder, crop_square
from core.types import Track, TrackSet

VIEWS = 4  # crops a track
LARGE_SHARE = 0.5  # of a track's largest area: frames with less are not looked at
FRAMES_AT_ONCE = 8  # frames in memory
GENERATION = 1  # raise when code changes the looks that the same encoder gives: older looks become stale
FACTS = ("look_sha256", "look_encoder", "look_version")


def look_facts(encoder: ImageEncoder | None) -> dict[str, object]:
    """What decides the looks, as JSON-able facts under the names FACTS; nothing without an encoder."""
    if encoder is None:
        return {}
    return dict(zip(FACTS, (encoder.sha256, encoder.name, GENERATION), strict=True))


def without_look_facts(provenance: Mapping[str, object]) -> dict[str, object]:
    """A provenance as it would be if nobody had looked."""
    return {name: value for name, value in provenance.items() if name not in FACTS}


def with_looks(track_set: TrackSet, reader: VideoReader, encoder: ImageEncoder | None) -> TrackSet:
    """The tracks with their looks and the facts of the encoder in the provenance; without looks for no encoder."""
    facts = without_look_facts(track_set.provenance) | look_facts(encoder)
    if encoder is None:
        tracks = tuple(replace(track, look=None) for track in track_set.tracks)
    else:
        looks = track_looks(reader, track_set, encoder)
        tracks = tuple(replace(track, look=look) for track, look in zip(track_set.tracks, looks, strict=True))
    return TrackSet(track_set.video, tracks, facts)


def track_looks(
    reader: VideoReader, track_set: TrackSet, encoder: ImageEncoder, views: int = VIEWS
) -> NDArray[np.float16]:
    """Looks [N, C] of unit length, in the order of the tracks; zeros for a track that is never present.

    Each is the mean of the features of up to `views` crops (`look_frames`), scaled to length 1. Every frame is read
    once and all crops go through the encoder together.

    Raises:
        VideoError: for frames that cannot be read.
    """
    wanted: dict[int, list[int]] = {}
    for n, track in enumerate(track_set.tracks):
        for frame in look_frames(track, views):
            wanted.setdefault(frame, []).append(n)
    frames = sorted(wanted)
    owners: list[int] = []
    crops: list[NDArray[np.uint8]] = []
    for start in range(0, len(frames), FRAMES_AT_ONCE):
        part = frames[start : start + FRAMES_AT_ONCE]
        for frame, image in zip(part, reader.read(part), strict=True):
            owners += wanted[frame]
            boxes = (track_set.tracks[n].boxes[frame].tolist() for n in wanted[frame])
            crops += [crop_square(image, box, encoder.side) for box in boxes]
    total = np.zeros((len(track_set.tracks), encoder.width), dtype=np.float64)
    if crops:
        np.add.at(total, np.array(owners), encoder.encode(np.stack(crops)))
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return (total / np.where(length > 0, length, 1)).astype(np.float16)


def look_frames(track: Track, views: int = VIEWS) -> tuple[int, ...]:
    """Up to `views` rising frames where a track shows much of itself, spread in time; none where it is never present.

    The frames with at least LARGE_SHARE of its largest visible area are parted into runs of about equal length in
    time's order; the largest of each run is taken, the earliest of equals.
    """
    areas = np.where(track.present, rle.areas(track.masks, track.size), 0)
    large = np.flatnonzero((areas > 0) & (areas >= LARGE_SHARE * areas.max()))
    runs = np.array_split(large, views)
    return tuple(int(run[np.argmax(areas[run])]) for run in runs if len(run))
