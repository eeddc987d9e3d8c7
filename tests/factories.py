"""Small made-up videos and tracks for tests: `from tests.factories import make_track_set`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core import rle
from core.types import Labels, Prompt, Source, Track, TrackSet, VideoMeta


def make_video(
    *, frames: int = 6, size: tuple[int, int] = (16, 20), fps: float = 8.0, video_id: str = "clip"
) -> VideoMeta:
    times = np.arange(frames + 1) / fps
    return VideoMeta(video_id, f"{video_id}.mp4", size, times[:-1], float(times[-1]), "0" * 64)


def make_track(
    masks: np.ndarray,  # [T, H, W] bool
    *,
    source: Source = Source.GRID,
    frame: int = 0,
    expression_id: str | None = None,
    width: int = 8,
    look: int = 0,
    seed: int = 0,
) -> Track:
    """A track of the given masks; absent (object score -5) where a mask is empty, tokens, and
    a look of `look` numbers where that is not 0, from `seed`."""
    rng = np.random.default_rng(seed)
    counts, size = rle.encode(masks), (masks.shape[1], masks.shape[2])
    present = masks.any(axis=(1, 2))
    return Track(
        source=source,
        prompt=Prompt(frame, expression_id, score=0.9, stability=0.95),
        size=size,
        masks=counts,
        boxes=rle.boxes(counts, size),
        tokens=rng.standard_normal((len(masks), width)).astype(np.float16),
        object_score=np.where(present, 5.0, -5.0).astype(np.float32),
        predicted_iou=np.where(present, 0.9, 0.1).astype(np.float32),
        look=unit(rng, look) if look else None,
    )


def unit(rng: np.random.Generator, width: int) -> np.ndarray:
    """A random vector [width] float16 of length 1."""
    vector = rng.standard_normal(width)
    return (vector / np.linalg.norm(vector)).astype(np.float16)


def moving_masks(index: int, frames: int, size: tuple[int, int], absent: Sequence[int] = ()) -> np.ndarray:
    """[T, H, W] bool: a rectangle on its own row that moves right with time; empty in the frames `absent`."""
    height, width = size
    side = max(2, min(size) // 4)
    masks = np.zeros((frames, height, width), dtype=bool)
    top = (index * (side + 1)) % (height - side + 1)
    for t in range(frames):
        left = (index + t) % (width - side + 1)
        if t not in absent:
            masks[t, top : top + side, left : left + side] = True
    return masks


def make_track_set(
    tracks: int = 3,
    *,
    frames: int = 6,
    size: tuple[int, int] = (16, 20),
    width: int = 8,
    look: int = 0,
    fps: float = 8.0,
    video_id: str = "clip",
    sources: Sequence[Source] | None = None,
    absent: Sequence[Sequence[int]] | None = None,
    seed: int = 0,
) -> TrackSet:
    """`tracks` moving rectangles; `sources[i]` (default grid) and `absent[i]` (frames without track i) where given."""
    built = [
        make_track(
            moving_masks(i, frames, size, absent[i] if absent else ()),
            source=sources[i] if sources else Source.GRID,
            frame=next((t for t in range(frames) if not absent or t not in absent[i]), 0),
            width=width,
            look=look,
            seed=seed * 1000 + i,
        )
        for i in range(tracks)
    ]
    video = make_video(frames=frames, size=size, fps=fps, video_id=video_id)
    facts = {"look_sha256": "3" * 64} if look else {}
    return TrackSet(video, tuple(built), {"tracker_sha256": "1" * 64, "settings": {"bin_size": 4}} | facts)


def make_labels(tracks: int = 3, *, objects: int = 2, seed: int = 0) -> Labels:
    """Random overlaps [tracks, objects] in 0..1."""
    iou, precision, recall = np.random.default_rng(seed).random((3, tracks, objects)).astype(np.float32)
    return Labels(tuple(f"object {i}" for i in range(objects)), iou, precision, recall)
