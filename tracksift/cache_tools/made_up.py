"""Made-up tracks of the size and texture of SAM2's, for timing: blobs that drift and change shape, random tokens.

Masks are as SAM2's decoder makes them: a smooth field of 256 x 256 logits, enlarged bilinearly, above 0. Knows the
types of `core`. Does not know what is timed. N tracks, T frames, H W pixels, D token width.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from core import rle
from core.types import Labels, Prompt, Source, Track, TrackSet, VideoMeta

SIDE = 256
SIZE = (480, 854)
WIDTH = 256
ROUGHNESS = 6.0
"""Pixels of the logits over which an outline is smooth."""


def made_up_tracks(video_id: str, tracks: int, frames: int, seed: int) -> TrackSet:
    """A video of 480 x 854 pixels with N tracks of T frames, the same for the same seed."""
    random = np.random.default_rng(seed)
    times = np.arange(frames + 1) / 24
    video = VideoMeta(video_id, f"{video_id}.mp4", SIZE, times[:-1], float(times[-1]), f"{seed:064x}")
    found = []
    for _ in range(tracks):
        masks = rle.encode(_blob(random, frames))
        boxes = rle.boxes(masks, SIZE)
        shown = ~np.isnan(boxes[:, 0])
        found.append(
            Track(
                source=Source.GRID,
                prompt=Prompt(0),
                size=SIZE,
                masks=masks,
                boxes=boxes,
                tokens=random.standard_normal((frames, WIDTH)).astype(np.float16),
                object_score=np.where(shown, 8, -8).astype(np.float32) + random.random(frames, dtype=np.float32),
                predicted_iou=random.random(frames, dtype=np.float32),
            )
        )
    return TrackSet(video, tuple(found), {"tracker": "made up", "tracker_sha256": "0" * 64})


def made_up_labels(tracks: int, seed: int, objects: int = 4) -> Labels:
    """Overlaps of N tracks with a few objects, any numbers of 0..1."""
    random = np.random.default_rng(seed)
    overlaps = (random.random((tracks, objects), dtype=np.float32) for _ in range(3))
    return Labels(tuple(map(str, range(objects))), *overlaps)


def _blob(random: np.random.Generator, frames: int) -> NDArray[np.bool_]:
    """Masks [T, H, W] of one object: a disc whose outline two smooth fields bend, more and more of the second."""
    rough = [gaussian_filter(random.standard_normal((SIDE, SIDE)), ROUGHNESS) for _ in range(2)]
    fields = [field / field.std() for field in rough]
    ys, xs = np.mgrid[:SIDE, :SIDE]
    radius, start, end = random.uniform(12, 60), random.uniform(40, SIDE - 40, 2), random.uniform(40, SIDE - 40, 2)
    masks = []
    for share in np.linspace(0, 1, frames):
        y, x = start + share * 0.3 * (end - start)
        bend = 0.12 * radius * ((1 - share) * fields[0] + share * fields[1])
        logits = torch.from_numpy((radius - np.hypot(ys - y, xs - x) + bend).astype(np.float32))
        large = functional.interpolate(logits[None, None], SIZE, mode="bilinear", align_corners=False)
        masks.append((large[0, 0] > 0).numpy())
    return np.stack(masks)
