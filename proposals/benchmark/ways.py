"""Ways to turn prompts on a folder of JPEGs into COCO masks: ours, SOLA's, and the official predictor's.

Each goes from files to strings. Knows the `sam2` package's two predictors. Does not know clocks.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_video_predictor import SAM2VideoPredictor
from sam2.sam2_video_predictor_legacy import SAM2VideoPredictor as LegacyPredictor

from core import rle
from core.frames import open_video
from proposals.features import FeatureStore, precision
from proposals.prompts import MaskPrompt
from proposals.propagation import propagate
from proposals.settings import Resources
from proposals.tracker import Tracker

TOGETHER = 4  # prompts that SOLA tracks in one pass
Masks = list[tuple[bytes, ...]]  # of each prompt, a COCO mask a frame; empty bytes where the way visits no frame


def ours(tracker: Tracker[Any], folder: Path, prompts: Sequence[MaskPrompt], resources: Resources) -> Masks:
    """Every prompt in one sweep forward and one backward."""
    store = FeatureStore(open_video(folder, fps=24), tracker, resources)
    try:
        return [track.masks for track in propagate(tracker, store, prompts)]
    finally:
        store.close()


def solas(model: SAM2Base, folder: Path, prompts: Sequence[MaskPrompt]) -> Masks:
    """The legacy predictor with up to four prompts of one frame a pass, forward and backward, every pass encoding."""
    predictor = as_predictor(model, LegacyPredictor)
    predictor.clear_non_cond_mem_for_multi_obj = False
    results: dict[int, tuple[bytes, ...]] = {}
    with precision(model.device):
        state = predictor.init_state(str(folder))
        for key, same in groupby(range(len(prompts)), key=lambda i: prompts[i].frame):
            numbers = list(same)
            for start in range(0, len(numbers), TOGETHER):
                batch = numbers[start : start + TOGETHER]
                predictor.reset_state(state)
                for number in batch:
                    predictor.add_new_mask(state, key, number, torch.from_numpy(prompts[number].mask))
                results |= _both_ways(predictor, state, key, batch)
    return [results[number] for number in range(len(prompts))]


def official(model: SAM2Base, folder: Path, prompts: Sequence[MaskPrompt]) -> Masks:
    """The official predictor with all objects at once; prompts of one frame."""
    predictor = as_predictor(model, SAM2VideoPredictor)
    with precision(model.device):
        state = predictor.init_state(str(folder))
        for number, prompt in enumerate(prompts):
            predictor.add_new_mask(state, prompt.frame, number, torch.from_numpy(prompt.mask))
        numbers = list(range(len(prompts)))
        results = _both_ways(predictor, state, prompts[0].frame, numbers)
    return [results[number] for number in numbers]


def _both_ways(predictor: Any, state: dict[str, Any], key: int, numbers: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
    """Masks of the objects of one pass: to the CPU frame by frame, then pycocotools."""
    found: dict[int, tuple[bytes, ...]] = {}
    for reverse in (False, True):
        if reverse and key == 0:
            continue
        for t, _, logits in predictor.propagate_in_video(state, start_frame_idx=key, reverse=reverse):
            found[t] = rle.encode((logits[:, 0] > 0).cpu().numpy())
    return {number: tuple(found[t][i] for t in sorted(found)) for i, number in enumerate(numbers)}


def as_predictor(model: SAM2Base, kind: type = SAM2VideoPredictor) -> Any:
    """The model with a predictor's methods and plain settings; weights are shared."""
    predictor = copy.copy(model)
    predictor.__class__ = kind
    predictor.fill_hole_area, predictor.non_overlap_masks = 0, False
    predictor.clear_non_cond_mem_around_input = predictor.add_all_frames_to_correct_as_cond = False
    return predictor


def quiet_progress() -> None:
    """Silence the package's own progress bars: a benchmark has one of its own."""
    from sam2 import sam2_video_predictor, sam2_video_predictor_legacy

    for module in (sam2_video_predictor, sam2_video_predictor_legacy):
        module.tqdm = lambda order, **_: order
