"""Ground-truth prompts: each annotated object once, where it shows (nearly) largest, at as few frames as possible.

Knows annotated masks. Does not know trackers. Tracks from these prompts are for training alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.types import Source, VideoMeta
from proposals.prompts import MaskPrompt, Prompter, given


def ground_truth_prompter(masks: Mapping[str, NDArray[np.bool_]], video: VideoMeta, largest_share: float) -> Prompter:
    """Every annotated object once; `masks`, `largest_share` and errors as in `ground_truth_prompts`."""
    return given(Source.GROUND_TRUTH, ground_truth_prompts(masks, video, largest_share))


def ground_truth_prompts(
    masks: Mapping[str, NDArray[np.bool_]], video: VideoMeta, largest_share: float
) -> list[MaskPrompt]:
    """One prompt an object, by rising frame, then in the order of `masks`; objects that never show have none.

    masks: object id -> visible pixels [T, H, W] bool. A frame will do for an object when it shows at least
    `largest_share` of its largest area there; the fewest frames that do for all are chosen greedily (most objects,
    then largest visible share, then earliest), since objects of one frame are tracked as one batch.

    Raises:
        InputError: for masks of another length or size than the video.
    """
    for name, stack in masks.items():
        if stack.shape != (video.frames, *video.size) or stack.dtype != np.bool_:
            raise InputError(
                f"video {video.id!r}, ground truth {name!r}: expected bool masks of shape "
                f"{[video.frames, *video.size]}, got {stack.dtype} {list(stack.shape)}"
            )
    names = [name for name, stack in masks.items() if stack.any()]
    if not names:
        return []
    areas = np.stack([masks[name].sum(axis=(1, 2)) for name in names]).astype(np.float64)  # [O, T]
    share = areas / areas.max(axis=1, keepdims=True)
    will_do = share >= min(largest_share, 1.0)
    chosen: dict[int, int] = {}  # object -> frame
    while len(chosen) < len(names):
        waiting = np.array([i not in chosen for i in range(len(names))])
        ready = will_do & waiting[:, None]
        frame = int(np.argmax(ready.sum(axis=0) * len(names) * 2 + (share * ready).sum(axis=0)))
        chosen |= {int(i): frame for i in np.flatnonzero(ready[:, frame])}
    order = sorted(chosen, key=lambda i: (chosen[i], i))
    return [MaskPrompt(chosen[i], masks[names[i]][chosen[i]], Source.GROUND_TRUTH) for i in order]
