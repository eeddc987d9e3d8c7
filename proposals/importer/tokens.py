"""Masklets and a tracker -> tracks with object tokens: the tracker is told each object's own mask on every frame.

On each frame all objects of the video are prompted anew, each with its own mask of that frame, and the token, the
object score and the predicted IoU are what the tracker reads out of that prompt: the token is its pointer to the object
under the mask, the score that of an object whose mask it was told (10, and -10 with an empty mask), the predicted IoU
1, since the mask is given and not found. On frames without a mask the prompt is empty, and the token what stands for an
absent object. Nothing is propagated: the masks stay as they came, and no frame's token depends on another frame. Such a
token is what a track of the project has on the frame of its prompt; on all other frames that one's comes from a mask
found with memory. Why so: propagating would replace the masks that are to be kept, and a memory of other frames would
let one wrong mask spoil the tokens after it.

Knows a tracker's prompt. Does not know files, caches or expressions. N objects, T frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core import rle
from core.frames import VideoReader
from core.types import Prompt, Source, Track, TrackSet, VideoMeta
from proposals.checkpoints import LoadedTracker
from proposals.features import FeatureStore
from proposals.importer.masklets import Masklet, masklets_sha256
from proposals.settings import Resources
from proposals.tracker import Moment, Tracker

IMPORT = 1  # raise when code changes the tracks that the same masklets give: older caches become stale


def import_facts(video: VideoMeta, tracker: LoadedTracker, masklets: Sequence[Masklet]) -> dict[str, object]:
    """Everything that decides the tracks, as JSON-able facts; `objects` are the ids of the tracks, in their order."""
    return {
        "stage": "import",
        "code_version": IMPORT,
        "tracker": tracker.name,
        "tracker_sha256": tracker.sha256,
        "masks_sha256": masklets_sha256(masklets),
        "objects": [masklet.id for masklet in masklets],
        "video_fingerprint": video.fingerprint,
        "video_end": video.end,
    }


def import_tracks(
    reader: VideoReader,
    tracker: LoadedTracker,
    masklets: Sequence[Masklet],
    on_progress: Callable[[int, int], None] | None = None,
    resources: Resources | None = None,
) -> TrackSet:
    """One track a masklet, in their order, with the masks as they came; its prompt is the first frame with a mask.

    masklets: checked against the video (`check_masklets`).   on_progress: called with (done, total) frames.

    Raises:
        VideoError: for frames that cannot be read.
    """
    resources = resources or tracker.resources
    engine = tracker.ready(resources)
    features = FeatureStore(reader, engine, resources)
    video, count = reader.meta, len(masklets)
    tokens = np.zeros((count, video.frames, tracker.token_width), dtype=np.float16)
    figures = np.zeros((2, count, video.frames), dtype=np.float32)  # object score logits, predicted IoU
    try:
        for t in range(video.frames):
            for start in range(0, count, resources.objects):
                some = slice(start, start + resources.objects)
                masks = rle.decode([masklet.masks[t] for masklet in masklets[some]], video.size)
                tokens[some, t], figures[:, some, t] = _read_out(engine, features, masks, Moment(t, video.frames))
            if on_progress is not None:
                on_progress(t + 1, video.frames)
    finally:
        features.close()
    tracks = tuple(
        _track(masklet, video.size, tokens[i], figures[0, i], figures[1, i].clip(0, 1))
        for i, masklet in enumerate(masklets)
    )
    return TrackSet(video, tracks, import_facts(video, tracker, masklets))


def _read_out(
    engine: Tracker[Any], features: FeatureStore, masks: NDArray[np.bool_], moment: Moment
) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Tokens [N, D], and object scores with predicted IoU [2, N], of masks [N, H, W] on one frame."""
    told = told_masks(torch.from_numpy(masks).to(engine.device), engine.image_size)
    _, step = engine.prompt(features[moment.frame], told, moment)
    figures = torch.stack([step.object_score, step.predicted_iou]).float().cpu().numpy()
    return step.pointer.float().cpu().numpy().astype(np.float16), figures


def told_masks(masks: Tensor, side: int) -> Tensor:
    """Masks bool [N, H, W] as the tracker takes them, float [N, 1, side, side] of 0 and 1, resized as for any prompt.

    An object that shows stays: where it covers no half of any pixel there, the one that it covers most stands for it.
    """
    if masks.shape[-2:] == (side, side):
        return masks[:, None].float()
    share = functional.interpolate(
        masks[:, None].float(), (side, side), mode="bilinear", align_corners=False, antialias=True
    ).flatten(1)
    told = share >= 0.5
    lost = (masks.flatten(1).any(dim=1) & ~told.any(dim=1)).nonzero()[:, 0]
    told[lost, share[lost].argmax(dim=1)] = True
    return told.view(-1, 1, side, side).float()


def _track(
    masklet: Masklet,
    size: rle.Size,
    tokens: NDArray[np.float16],
    score: NDArray[np.float32],
    iou: NDArray[np.float32],
) -> Track:
    """A masklet and what was read out for it."""
    boxes = rle.boxes(masklet.masks, size)
    first = int(np.flatnonzero(~np.isnan(boxes[:, 0]))[0])
    prompt = Prompt(first, score=masklet.score)
    return Track(Source.IMPORTED, prompt, size, masklet.masks, boxes, tokens, score, iou)
