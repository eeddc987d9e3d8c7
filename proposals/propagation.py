"""Masks of one key frame -> masklets: the package's tracking step on precomputed features, all objects as one batch.

Knows SAM2's memory. Does not know where masks come from or which tracks are kept. The result equals the package's
`SAM2VideoPredictor` with one object at a time (add_new_mask, forward, then backward; no hole filling), rounding apart.
N objects, T frames, D token width, h w the low-resolution logits (a quarter of the model's image size).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor
from torch.nn import functional

from core import rle
from core.errors import CheckpointError
from core.types import Track
from proposals.features import FeatureStore, FrameFeatures, precision
from proposals.prompts import MaskPrompt

FLUSH = 16  # frames whose masks leave the device at once


class _State(TypedDict, total=False):
    """What later frames read of one frame, under the package's names; the memory goes before the pointer does."""

    maskmem_features: Tensor
    maskmem_pos_enc: list[Tensor]
    obj_ptr: Tensor


@dataclass(frozen=True)
class Step:
    """One frame of all objects: logits [N, 1, h, w], pointers [N, D], object score logits [N], predicted IoU [N]."""

    frame: int
    logits: Tensor
    pointer: Tensor
    object_score: Tensor
    predicted_iou: Tensor


def propagate(
    model: SAM2Base,
    features: FeatureStore,
    prompts: Sequence[MaskPrompt],
    on_frame: Callable[[], None] | None = None,
) -> list[Track]:
    """One track a prompt, in order; all prompts of one frame.

    Masks are logits > 0 at the video's size (bilinear from the low-resolution logits, as the package does it), tokens
    the object pointers of every frame, the key frame included. There the predicted IoU is the prompt's own score,
    since the model is told the mask and predicts none.
    """
    if not prompts:
        return []
    frame = prompts[0].frame
    assert all(prompt.frame == frame for prompt in prompts), "one key frame a batch"
    masks = model_masks(prompts, int(model.image_size), model.device)
    counts: dict[int, tuple[bytes, ...]] = {}  # frame -> N masks
    steps: dict[int, Step] = {}
    waiting: list[Step] = []
    for step in track(model, features, masks, frame):
        steps[step.frame] = step
        waiting.append(step)
        if len(waiting) == FLUSH:
            counts |= _encode(waiting, features.size)
            steps |= {done.frame: _without_logits(done) for done in waiting}
            waiting = []
        if on_frame is not None:
            on_frame()
    counts |= _encode(waiting, features.size)
    return _tracks(prompts, features.size, [steps[t] for t in range(features.frames)], counts)


@torch.inference_mode()
def track(model: SAM2Base, features: FeatureStore, masks: Tensor, frame: int) -> Iterator[Step]:
    """Steps of the key frame, then of the frames after it, then of those before it.

    masks: float [N, 1, S, S] of 0 and 1 at the model's image size.

    Raises:
        CheckpointError: for a model whose memory makes objects exclude each other: they cannot share a batch.
    """
    if model.non_overlap_masks_for_mem_enc:
        raise CheckpointError("tracker: expected non_overlap_masks_for_mem_enc to be off, got a model with it on")
    states: dict[int, _State] = {}
    state, step = _start(model, features[frame], masks, frame, features.frames)
    outputs = {"cond_frame_outputs": {frame: state}, "non_cond_frame_outputs": states}
    yield step
    for t in range(frame + 1, features.frames):
        states[t], step = _follow(model, features[t], outputs, t, features.frames, reverse=False)
        _forget(model, states, [t + 1, frame - 1] if frame else [t + 1])
        yield step
    # As in the package, the first frames of the backward sweep still read the forward ones next to the key frame.
    for t in range(frame - 1, -1, -1):
        states[t], step = _follow(model, features[t], outputs, t, features.frames, reverse=True)
        _forget(model, states, [t - 1])
        yield step


def model_masks(prompts: Sequence[MaskPrompt], size: int, device: torch.device) -> Tensor:
    """Prompt masks as float [N, 1, size, size] of 0 and 1, resized as the package does it."""
    masks = torch.from_numpy(np.stack([prompt.mask for prompt in prompts])).to(device)[:, None].float()
    if masks.shape[-2:] == (size, size):
        return masks
    resized = functional.interpolate(masks, (size, size), mode="bilinear", align_corners=False, antialias=True)
    return (resized >= 0.5).float()


def video_masks(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Low-resolution logits [N, 1, h, w] -> bool [N, H, W] at the video's size."""
    if logits.shape[-2:] != size:
        logits = functional.interpolate(logits, size, mode="bilinear", align_corners=False)
    return logits[:, 0] > 0


def _start(model: SAM2Base, features: FrameFeatures, masks: Tensor, frame: int, frames: int) -> tuple[_State, Step]:
    """The key frame: the model is told the masks, remembers them and makes a pointer of each."""
    with precision(masks.device):
        maps, positions, sizes = features.flat(model, len(masks))
        outcome = _heads(model, maps, positions, sizes, frame, frames, masks, {}, reverse=False)
        logits = outcome[3].float()
        # The package remembers a told mask through its low-resolution logits.
        side = int(model.image_size)
        fine = functional.interpolate(logits, (side, side), mode="bilinear", align_corners=False)
        state = _remember(model, maps, sizes, fine, outcome, told=True)
    return state, _step(frame, outcome)


def _follow(
    model: SAM2Base,
    features: FrameFeatures,
    outputs: dict[str, dict[int, _State]],
    frame: int,
    frames: int,
    *,
    reverse: bool,
) -> tuple[_State, Step]:
    """Any other frame: the model finds the objects by what it remembers."""
    (told,) = outputs["cond_frame_outputs"].values()
    objects = len(told["obj_ptr"])
    with precision(told["obj_ptr"].device):
        maps, positions, sizes = features.flat(model, objects)
        outcome = _heads(model, maps, positions, sizes, frame, frames, None, outputs, reverse=reverse)
        state = _remember(model, maps, sizes, outcome[4], outcome, told=False)
    return state, _step(frame, outcome)


def _heads(
    model: SAM2Base,
    maps: list[Tensor],
    positions: list[Tensor],
    sizes: list[tuple[int, int]],
    frame: int,
    frames: int,
    masks: Tensor | None,
    outputs: dict[str, dict[int, _State]],
    *,
    reverse: bool,
) -> tuple[Tensor, ...]:
    """(all logits, all fine logits, IoUs, chosen logits, chosen fine logits, pointers, object scores)."""
    _, outcome, _, _ = model._track_step(
        frame_idx=frame,
        is_init_cond_frame=masks is not None,
        current_vision_feats=maps,
        current_vision_pos_embeds=positions,
        feat_sizes=sizes,
        point_inputs=None,
        mask_inputs=masks,
        output_dict=outputs,
        num_frames=frames,
        track_in_reverse=reverse,
        prev_sam_mask_logits=None,
    )
    return tuple(outcome)


def _remember(
    model: SAM2Base,
    maps: list[Tensor],
    sizes: list[tuple[int, int]],
    fine_logits: Tensor,
    outcome: tuple[Tensor, ...],
    *,
    told: bool,
) -> _State:
    """A frame's memory; features are kept in bfloat16 as the package keeps them, positions once for all objects."""
    memory, codes = model._encode_new_memory(
        current_vision_feats=maps,
        feat_sizes=sizes,
        pred_masks_high_res=fine_logits,
        object_score_logits=outcome[6],
        is_mask_from_pts=told,
    )
    shared = [code[:1].expand(len(memory), -1, -1, -1) for code in codes]
    return {"maskmem_features": memory.to(torch.bfloat16), "maskmem_pos_enc": shared, "obj_ptr": outcome[5]}


def _forget(model: SAM2Base, states: dict[int, _State], coming: Sequence[int]) -> None:
    """Free what no frame from one of `coming` on (away from the key frame) will read."""
    memory_reach = model.num_maskmem * model.memory_temporal_stride_for_eval
    pointer_reach = max(memory_reach, model.max_obj_ptrs_in_encoder)
    for frame in list(states):
        distance = min(abs(frame - start) for start in coming)
        if distance > pointer_reach:
            del states[frame]
        elif distance > memory_reach:
            states[frame].pop("maskmem_features", None)


def _step(frame: int, outcome: tuple[Tensor, ...]) -> Step:
    """What leaves the model; of several masks the chosen one has the highest predicted IoU."""
    _, _, ious, logits, _, pointer, score = outcome
    return Step(frame, logits.float(), pointer.float(), score[:, 0].float(), ious.float().amax(dim=1))


def _without_logits(step: Step) -> Step:
    return Step(step.frame, step.logits[:, :, :0, :0], step.pointer, step.object_score, step.predicted_iou)


def _encode(steps: Sequence[Step], size: tuple[int, int]) -> dict[int, tuple[bytes, ...]]:
    """COCO masks of some frames; they cross to the CPU as bool, all at once, in the order that the codec reads."""
    if not steps:
        return {}
    masks = torch.stack([video_masks(step.logits, size).transpose(1, 2).contiguous() for step in steps])
    stacks = masks.cpu().numpy().transpose(0, 1, 3, 2)  # [frames, N, H, W] over memory in column order
    return {step.frame: rle.encode(stack) for step, stack in zip(steps, stacks, strict=True)}


def _tracks(
    prompts: Sequence[MaskPrompt], size: tuple[int, int], steps: Sequence[Step], counts: dict[int, tuple[bytes, ...]]
) -> list[Track]:
    """Steps in time order -> tracks."""
    tokens = torch.stack([s.pointer for s in steps], dim=1).cpu().numpy().astype(np.float16)  # [N, T, D]
    scores = torch.stack([s.object_score for s in steps], dim=1).cpu().numpy()
    ious = torch.stack([s.predicted_iou for s in steps], dim=1).clamp(0, 1).cpu().numpy()
    tracks = []
    for i, prompt in enumerate(prompts):
        masks = tuple(counts[t][i] for t in range(len(steps)))
        ious[i, prompt.frame] = prompt.score
        tracks.append(
            Track(prompt.source, prompt.record(), size, masks, rle.boxes(masks, size), tokens[i], scores[i], ious[i])
        )
    return tracks
