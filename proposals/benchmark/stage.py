"""What is timed on: a SAM2 of random weights that sees its objects, a clip as a folder of JPEGs, and prompts.

Random weights leave objects absent or masks full, and then prove nothing: the object score is raised, and an offset
brings masks to a wanted share of the frame. Knows the package's configurations. Does not know what is timed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sam2
import torch
from numpy.typing import NDArray
from PIL import Image
from sam2.modeling.sam2_base import SAM2Base
from torch.nn import functional

from core.errors import InputError
from core.frames import open_video
from core.types import Source
from proposals.checkpoints import build_sam2
from proposals.features import FeatureStore
from proposals.prompts import MaskPrompt
from proposals.propagation import model_masks
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import Resources
from proposals.tracker import Moment

SIZES = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}
FRAME = (480, 854)  # H, W
FOREGROUND = 0.08  # the share of the frame that masks are brought to
LOOK = 3  # frames that the offset is chosen on
ROUNDS = 3  # of choosing it: what masks are remembered changes the next ones


def random_sam2(size: str, device: torch.device, seed: int = 0) -> SAM2Base:
    """A SAM 2.1 of the package's own configuration with random weights, in evaluation mode.

    Raises:
        InputError: for a size that is none of SIZES.
    """
    if size not in SIZES:
        raise InputError(f"size: expected one of {', '.join(SIZES)}, got {size!r}")
    torch.manual_seed(seed)
    model = build_sam2(Path(sam2.__path__[0]) / f"configs/sam2.1/sam2.1_hiera_{SIZES[size]}.yaml")
    raise_objects(model)
    steady_masks(model)
    return model.to(device).eval().requires_grad_(False)


def raise_objects(model: SAM2Base) -> None:
    """Change random weights so that objects are present and `shift_masks` can move their masks."""
    decoder = model.sam_mask_decoder
    with torch.no_grad():
        decoder.pred_obj_score_head.layers[-1].bias += 4
        for block in decoder.output_hypernetworks_mlps:
            block.layers[-1].weight[0] = 0
            block.layers[-1].bias[0] = 0
        # Channel 0 of the enlarged features becomes a constant, which the heads' biases weigh.
        last = decoder.output_upscaling[3]
        last.weight[:, 0], last.bias[0] = 0, 1
        decoder.conv_s0.weight[0], decoder.conv_s0.bias[0] = 0, 0


def follow_memory(model: SAM2Base) -> None:
    """Change random weights so that masks depend strongly on what is remembered, which shows errors in memories."""
    with torch.no_grad():
        for layer in model.memory_attention.layers:
            layer.cross_attn_image.out_proj.weight *= 8
            layer.cross_attn_image.q_proj.weight *= 4
        for block in model.sam_mask_decoder.output_hypernetworks_mlps:
            block.layers[-1].weight *= 8


def steady_masks(model: SAM2Base) -> None:
    """Change random weights so that masks are of whole patches and keep their size from frame to frame.

    Noise would make run lengths the thing timed. Masks of one direction in the enlarged features differ by object
    through what memory does to these, but none drifts to an empty frame and stays there.
    """
    decoder = model.sam_mask_decoder
    with torch.no_grad():
        for module in (decoder.conv_s0, decoder.conv_s1):
            module.weight *= 0
        for enlarge in (decoder.output_upscaling[0], decoder.output_upscaling[3]):
            enlarge.weight[:] = enlarge.weight.mean(dim=(2, 3), keepdim=True)
        for block in decoder.output_hypernetworks_mlps:
            last = block.layers[-1]
            last.weight *= 0
            last.bias[1:] = torch.randn_like(last.bias[1:])


def shift_masks(model: SAM2Base, by: float) -> None:
    """Add `by` to every mask logit of a model with raised objects."""
    with torch.no_grad():
        for block in model.sam_mask_decoder.output_hypernetworks_mlps:
            block.layers[-1].bias[0] += by / float(functional.gelu(torch.ones(())))


def settle_masks(model: SAM2Base, folder: Path, prompts: Sequence[MaskPrompt], share: float = FOREGROUND) -> None:
    """Shift a model's masks until about `share` of the frame is inside them, over the first frames of a clip."""
    few = [prompt for prompt in prompts if prompt.frame == prompts[0].frame][:4]
    for _ in range(ROUNDS):
        tracker = Sam2Tracker(model)
        store = FeatureStore(open_video(folder, fps=24), tracker, Resources(encoder_batch=LOOK + 1))
        masks = model_masks(few, tracker.image_size, tracker.device)
        cohort, _ = tracker.prompt(store[0], masks, Moment(0, store.frames))
        logits = [tracker.step(store[t], [cohort], Moment(t, store.frames))[0].logits for t in range(1, LOOK + 1)]
        store.close()
        every = torch.stack(logits).float().flatten()
        shift_masks(model, -float(every.kthvalue(int(len(every) * (1 - share))).values))


def write_clip(folder: Path, frames: int, size: tuple[int, int] = FRAME, seed: int = 0) -> Path:
    """A folder of JPEGs: discs of many colours that drift over a textured ground."""
    rng = np.random.default_rng(seed)
    height, width = size
    ground = np.asarray(
        Image.fromarray(rng.integers(0, 255, (height // 16, width // 16, 3), dtype=np.uint8)).resize((width, height))
    )
    y, x = np.mgrid[:height, :width]
    discs = [(rng.uniform(0, (height, width)), rng.uniform(-4, 4, 2), rng.uniform(20, 70), rng.integers(0, 255, 3))
             for _ in range(12)]  # fmt: skip
    for t in range(frames):
        picture = ground.copy()
        for place, speed, radius, colour in discs:
            cy, cx = (place + t * speed) % (height, width)
            picture[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = colour
        Image.fromarray(picture).save(folder / f"{t:05d}.jpg", quality=92)
    return folder


def make_prompts(objects: int, births: Sequence[int], size: tuple[int, int] = FRAME, seed: int = 0) -> list[MaskPrompt]:
    """Ellipses of 1 to 20 % of the frame, spread evenly over the frames of `births`."""
    rng = np.random.default_rng(seed)
    height, width = size
    y, x = np.mgrid[:height, :width]
    prompts = []
    for number in range(objects):
        share, stretch = rng.uniform(0.01, 0.2), rng.uniform(0.6, 1.6)
        radius = np.sqrt(share * height * width / np.pi)
        cy, cx = rng.uniform(0.3, 0.7) * height, rng.uniform(0.3, 0.7) * width
        mask: NDArray[np.bool_] = ((y - cy) / (radius * stretch)) ** 2 + ((x - cx) * stretch / radius) ** 2 < 1
        prompts.append(MaskPrompt(births[number * len(births) // objects], mask, Source.GRID))
    return prompts
