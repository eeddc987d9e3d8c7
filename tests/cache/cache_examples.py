"""Small track sets and labels with fixed seeds, for the tests of the cache."""

import numpy as np

from core import rle
from core.types import Labels, Prompt, Source, Track, TrackSet, VideoMeta


def make_track_set(tracks=3, frames=5, width=8, seed=0, size=(6, 7), video_id="clip 1"):
    random = np.random.default_rng(seed)
    video = VideoMeta(video_id, "memory", size, np.arange(frames) / 8.0, frames / 8.0, f"fingerprint-{seed}")
    made = tuple(_track(random, n, frames, width, size) for n in range(tracks))
    return TrackSet(video, made, {"model": "tiny", "bin_size": 4})


def _track(random, n, frames, width, size):
    masks = random.random((frames, *size)) > 0.7
    masks[n % frames] = False
    counts = rle.encode(masks)
    return Track(
        source=Source.GROUNDING_DINO if n == 2 else Source.GRID,
        prompt=Prompt(n % frames, "e1" if n == 2 else None, random.random(), random.random()),
        size=size,
        masks=counts,
        boxes=rle.boxes(counts, size),
        tokens=random.normal(size=(frames, width)).astype(np.float16),
        object_score=random.normal(size=frames).astype(np.float32),
        predicted_iou=random.random(frames).astype(np.float32),
    )


def make_labels(tracks, objects=2, seed=0):
    random = np.random.default_rng(seed)
    iou, precision, recall = random.random((3, tracks, objects)).astype(np.float32)
    return Labels(tuple(f"o{i}" for i in range(objects)), iou, precision, recall)
