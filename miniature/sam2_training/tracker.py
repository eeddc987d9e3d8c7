"""Tracking many objects of many clips as one batch, with the results of the package's own video predictor.

Knows `track_step` and the predictor's habits. Does not know metrics or training.

As `SAM2VideoPredictor` does: a prompted frame's memory is made from its low-resolution mask, mask memories are kept in
bfloat16, masks may overlap, holes stay. It takes objects one by one; here they go through each step together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.modeling.sam2_base import SAM2Base
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional as F

from core.devices import autocast
from core.errors import InputError
from miniature.sam2_training.forward import Features, encode, normalise

PROMPTS = ("mask", "box", "point")
Memory = dict[str, Tensor | list[Tensor]]
Memories = dict[str, dict[int, Memory]]


@dataclass(frozen=True)
class Tracked:
    """masks: bool [T, N, H, W].   score: float32 [T, N], object-present logits; on a mask prompt's frame always 10."""

    masks: Tensor
    score: Tensor


@torch.inference_mode()
def track_clips(
    model: SAM2Base, frames: Tensor, owner: Tensor, first: Tensor, prompt: str, size: tuple[int, int] | None = None
) -> Tracked:
    """Track N objects from a prompt on frame 0 through all frames.

    model: in evaluation mode.   frames: uint8 [K, T, H, W, 3] of the model's size.   owner: [N], each object's clip.
    first: bool [N, H, W], each object's mask on frame 0, from which the prompt is made.   prompt: mask, box or point.
    size: height and width of the answered masks, else those of `first`.
    """
    device = next(model.parameters()).device
    owner, size = owner.to(device), size or (first.shape[-2], first.shape[-1])
    memories: Memories = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    masks, scores = [], []
    for frame in range(frames.shape[1]):
        with autocast(device):
            here = encode(model, normalise(frames[:, frame].to(device))).pick(owner)
            inputs = prompt_inputs(first, prompt, device) if frame == 0 else (None, None)
            output = _step(model, here, memories, frame, frames.shape[1], inputs)
        memories["non_cond_frame_outputs" if frame else "cond_frame_outputs"][frame] = output
        logits, score = output.pop("pred_masks"), output.pop("object_score_logits")
        assert isinstance(logits, Tensor)
        assert isinstance(score, Tensor)
        large = F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)
        masks.append((large[:, 0] > 0).cpu())
        scores.append(score[:, 0].float().cpu())
    return Tracked(torch.stack(masks), torch.stack(scores))


def prompt_inputs(first: Tensor, prompt: str, device: torch.device) -> tuple[dict[str, Tensor] | None, Tensor | None]:
    """The package's point inputs and mask inputs for masks [N, H, W]; the point is the pixel deepest inside.

    Raises:
        InputError: for a prompt that is none of PROMPTS.
    """
    if prompt == "mask":
        return None, first[:, None].float().to(device)
    if prompt not in PROMPTS:
        raise InputError(f"prompt: expected one of {', '.join(PROMPTS)}, got {prompt!r}")
    arrays = first.cpu().numpy()
    points = np.stack([tight_box(a) if prompt == "box" else deepest(a) for a in arrays])  # [N, P, 2]
    labels = [2, 3] if prompt == "box" else [1]
    coordinates = torch.from_numpy(points).to(device)
    return {
        "point_coords": coordinates,
        "point_labels": torch.tensor(labels, dtype=torch.int32, device=device).expand(len(points), -1),
    }, None


def tight_box(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Corners (x, y) [2, 2] of the tight box of a mask [H, W], the far one exclusive."""
    ys, xs = np.nonzero(mask)
    return np.array([[xs.min(), ys.min()], [xs.max() + 1, ys.max() + 1]], dtype=np.float32)


def deepest(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The pixel (x, y) [1, 2] of a mask [H, W] that lies farthest from its edge; the image's border is an edge."""
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), mask.shape)
    return np.array([[x, y]], dtype=np.float32)


def _step(
    model: SAM2Base,
    here: Features,
    memories: Memories,
    frame: int,
    frames: int,
    inputs: tuple[dict[str, Tensor] | None, Tensor | None],
) -> Memory:
    """One `track_step`, with a prompted frame's memory made as the predictor makes it."""
    output: Memory = model.track_step(
        frame_idx=frame,
        is_init_cond_frame=frame == 0,
        current_vision_feats=list(here.levels),
        current_vision_pos_embeds=list(here.positions),
        feat_sizes=list(here.sizes),
        point_inputs=inputs[0],
        mask_inputs=inputs[1],
        output_dict=memories,
        num_frames=frames,
        run_mem_encoder=frame > 0,
    )
    kept = ("pred_masks", "object_score_logits", "obj_ptr", "maskmem_features", "maskmem_pos_enc")
    output = {name: output[name] for name in kept}
    if frame == 0:
        low = output["pred_masks"]
        assert isinstance(low, Tensor)
        side = (model.image_size, model.image_size)
        memory, positions = model._encode_new_memory(
            current_vision_feats=list(here.levels),
            feat_sizes=list(here.sizes),
            pred_masks_high_res=F.interpolate(low, size=side, mode="bilinear", align_corners=False),
            object_score_logits=output["object_score_logits"],
            is_mask_from_pts=True,
        )
        output |= {"maskmem_features": memory, "maskmem_pos_enc": positions}
    features = output["maskmem_features"]
    assert isinstance(features, Tensor)
    return output | {"maskmem_features": features.to(torch.bfloat16)}
