"""Frame features of one video: every frame through the image encoder once, in batches, while memory lasts.

Knows the image encoder and a byte budget. Does not know prompts or tracks.
Features over the budget are let go, least recently used first, and encoded again when asked for; `passes` counts.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from core.frames import VideoReader
from proposals.settings import Resources

MEAN = (0.485, 0.456, 0.406)  # of ImageNet, as in all SAM2 checkpoints
SPREAD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class FrameFeatures:
    """One frame's maps [1, channels, h, w], fine to coarse, and their position codes of the same shapes."""

    maps: tuple[Tensor, ...]
    positions: tuple[Tensor, ...]

    def flat(self, model: SAM2Base, objects: int) -> tuple[list[Tensor], list[Tensor], list[tuple[int, int]]]:
        """Maps and codes [h*w, objects, channels] and sizes (h, w), as the package's tracking step takes them."""
        expanded = {
            "backbone_fpn": [level.expand(objects, -1, -1, -1) for level in self.maps],
            "vision_pos_enc": [level.expand(objects, -1, -1, -1) for level in self.positions],
        }
        _, maps, positions, sizes = model._prepare_backbone_features(expanded)
        return maps, positions, sizes


class FeatureStore:
    """Features by frame index."""

    def __init__(self, reader: VideoReader, model: SAM2Base, resources: Resources) -> None:
        self.frames = reader.meta.frames
        self.size = reader.meta.size
        self.passes = 0
        self._reader, self._model = reader, model
        self._batch, self._budget = resources.encoder_batch, resources.feature_bytes
        self._held: OrderedDict[int, tuple[Tensor, ...]] = OrderedDict()
        self._positions: tuple[Tensor, ...] = ()

    def __getitem__(self, index: int) -> FrameFeatures:
        """The features of one frame; its whole batch is encoded when they are not held."""
        number, place = divmod(index, self._batch)
        if number not in self._held:
            self._held[number] = self._encode(number)
            while len(self._held) > 1 and sum(map(_size, self._held.values())) > self._budget:
                self._held.popitem(last=False)
        self._held.move_to_end(number)
        return FrameFeatures(tuple(level[place : place + 1] for level in self._held[number]), self._positions)

    def _encode(self, number: int) -> tuple[Tensor, ...]:
        """The batch of frames from `number` x batch on."""
        start = number * self._batch
        frames = self._reader.read(range(start, min(start + self._batch, self.frames)))
        with torch.inference_mode(), precision(self._model.device):
            images = normalise(frames, int(self._model.image_size), self._model.device)
            encoded = self._model.forward_image(images)
        levels = self._model.num_feature_levels
        self._positions = self._positions or tuple(p[:1].clone() for p in encoded["vision_pos_enc"][-levels:])
        self.passes += len(frames)
        return tuple(encoded["backbone_fpn"][-levels:])


def normalise(frames: NDArray[np.uint8], size: int, device: torch.device) -> Tensor:
    """uint8 [B, H, W, 3] RGB -> float32 [B, 3, size, size], resized as the package's frame loader does (bicubic)."""
    if frames.shape[1:3] != (size, size):
        frames = np.stack([np.asarray(Image.fromarray(frame).resize((size, size))) for frame in frames])
    images = torch.from_numpy(frames).to(device).permute(0, 3, 1, 2).float() / 255
    mean, spread = (torch.tensor(values, device=device).view(3, 1, 1) for values in (MEAN, SPREAD))
    return ((images - mean) / spread).contiguous()


def precision(device: torch.device) -> torch.autocast:
    """bfloat16 where a GPU computes, float32 on the CPU."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


def _size(maps: tuple[Tensor, ...]) -> int:
    return sum(level.numel() * level.element_size() for level in maps)
