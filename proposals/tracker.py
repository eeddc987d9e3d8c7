"""What the engine asks of a tracker, so that another one (EdgeTAM, SAM 3) needs one module and no change elsewhere.

Four verbs: encode frames, prompt objects, step them over a frame, read them out (`Step`). Knows shapes. Does not know
videos, sources of prompts or how a tracker remembers. Axis letters: B frames, N objects, D token width, h w the
low-resolution logits, S the side of the model's square image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Maps = tuple[Tensor, ...]  # feature maps of frames, batch first, fine to coarse


@dataclass(frozen=True)
class Step:
    """One frame of N objects: logits [N, 1, h, w], pointers [N, D], object score logits [N], predicted IoU [N]."""

    frame: int
    logits: Tensor
    pointer: Tensor
    object_score: Tensor
    predicted_iou: Tensor


@dataclass(frozen=True)
class Moment:
    """A frame of a sweep: its index, the frames of the video, and whether time runs backward."""

    frame: int
    frames: int
    reverse: bool = False


class Cohort(Protocol):
    """Objects that were prompted on one frame, and what the tracker remembers of them."""

    @property
    def frame(self) -> int:
        """The frame of their prompts."""

    @property
    def objects(self) -> int:
        """N."""

    def forget(self, coming: Sequence[int]) -> None:
        """Free what no frame from one of `coming` on (away from the prompts' frame) will read."""


C = TypeVar("C", bound=Cohort)


class Tracker(Protocol[C]):
    """A tracker of many objects at once. None of its answers depends on which objects share a call."""

    @property
    def image_size(self) -> int:
        """S."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    def encode(self, images: NDArray[np.uint8]) -> Maps:
        """Features of frames uint8 [B, S, S, 3] RGB; each map has B first."""

    def prompt(self, maps: Maps, masks: Tensor, moment: Moment) -> tuple[C, Step]:
        """New objects from masks, float [N, 1, S, S] of 0 and 1, on the frame of `maps` (B = 1)."""

    def step(self, maps: Maps, cohorts: Sequence[C], moment: Moment) -> list[Step]:
        """Find every cohort's objects on the frame of `maps` (B = 1) and remember them; a read-out for each."""
