"""A user's prompts: a box, points or a mask on any frame, each the start of one track (single-object tracking).

Knows what a person may say and checks every number of it. Does not know command lines or how tracks are made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sam2.modeling.sam2_base import SAM2Base

from core.errors import InputError
from core.types import Source, VideoMeta
from proposals.clicks import BESIDE, ON, Box, Clicks, masks_of
from proposals.prompts import KeyFrame, MaskPrompt, Prompter


@dataclass(frozen=True)
class UserPrompt:
    """One object, told on one frame by exactly one of: a box (x1, y1, x2, y2), points, or a mask.

    Boxes and points are pixels of the video, x to the right, y down. A point's label is 1 on the object and 0 beside
    it; several points mean the same object. mask: bool [H, W].
    """

    frame: int
    box: Box | None = None
    points: tuple[tuple[float, float, int], ...] = ()
    mask: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that no video could give a meaning; `check` knows the video."""
        if self.frame < 0:
            raise InputError(f"user prompt: expected a frame index from 0, got {self.frame}")
        told = [self.box is not None, bool(self.points), self.mask is not None]
        if sum(told) != 1:
            raise InputError(f"{self.name}: expected either a box, points or a mask, got {sum(told)} of them")
        numbers = self.box if self.box is not None else [v for point in self.points for v in point]
        if not np.isfinite(np.array(numbers, dtype=np.float64)).all():
            raise InputError(f"{self.name}: expected finite numbers, got {tuple(numbers)}")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise InputError(f"{self.name}: expected a box with x1 < x2 and y1 < y2, got {self.box}")
        labels = [label for _, _, label in self.points]
        if not set(labels) <= {BESIDE, ON}:
            raise InputError(f"{self.name}: expected labels 1 (on the object) or 0 (beside it), got {labels}")
        if labels and ON not in labels:
            raise InputError(f"{self.name}: expected at least one point on the object (label 1), got none")
        if self.mask is not None and (self.mask.ndim != 2 or self.mask.dtype != np.bool_ or not self.mask.any()):
            raise InputError(f"{self.name}: expected a bool mask [H, W] with at least one pixel, got none")

    @property
    def name(self) -> str:
        """For messages."""
        return f"user prompt on frame {self.frame}"

    def check(self, video: VideoMeta) -> None:
        """Refuse a frame, a place or a size that the video does not have; InputError."""
        height, width = video.size
        if self.frame >= video.frames:
            raise InputError(
                f"{self.name}: expected a frame of video {video.id!r}, 0..{video.frames - 1}, got {self.frame}"
            )
        corners = [(self.box[0], self.box[1]), (self.box[2], self.box[3])] if self.box is not None else []
        for x, y in [*corners, *((x, y) for x, y, _ in self.points)]:
            if not (0 <= x <= width and 0 <= y <= height):
                raise InputError(f"{self.name}: expected a place within {width} x {height} pixels, got {x}, {y}")
        if self.mask is not None and self.mask.shape != video.size:
            raise InputError(
                f"{self.name}: expected a mask of the video's size, {width} x {height}, got "
                f"{self.mask.shape[1]} x {self.mask.shape[0]}"
            )

    def fact(self) -> dict[str, object]:
        """The prompt as JSON-able values; a mask by its hash."""
        pixels = None if self.mask is None else hashlib.sha256(np.packbits(self.mask).data).hexdigest()
        return {
            "frame": self.frame,
            "box": None if self.box is None else [float(v) for v in self.box],
            "points": [[float(x), float(y), int(label)] for x, y, label in self.points],
            "mask_sha256": pixels,
        }


def user_prompter(model: SAM2Base, video: VideoMeta, prompts: Sequence[UserPrompt]) -> Prompter:
    """One track a prompt, by frame and then in the order given; none is dropped, whatever else explains it.

    Raises:
        InputError: for no prompts, or one that does not fit the video; later, from the prompter, for clicks that mean
            no object to the model.
    """
    if not prompts:
        raise InputError(f"video {video.id!r}, user prompts: expected at least one box, point or mask, got none")
    for prompt in prompts:
        prompt.check(video)

    def find(key: KeyFrame) -> list[MaskPrompt]:
        return [_mask_prompt(model, key, prompt) for prompt in prompts if prompt.frame == key.index]

    frames = tuple(sorted({prompt.frame for prompt in prompts}))
    return Prompter(Source.USER, frames, find, competing=False)


def user_facts(prompts: Sequence[UserPrompt]) -> list[dict[str, object]]:
    """What decides the user's tracks, for provenance."""
    return [prompt.fact() for prompt in prompts]


def read_mask(path: Path) -> NDArray[np.bool_]:
    """The mask in an image file: pixels that are not 0 (nor transparent) are the object; InputError for none."""
    try:
        with Image.open(path) as image:
            image.load()
            pixels = np.asarray(image.convert("RGBA") if image.mode in ("LA", "RGBA", "PA") else image)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"mask {path}: expected an image file, got {type(error).__name__}") from error
    if pixels.ndim == 3:
        solid = pixels[..., 3] > 0 if pixels.shape[2] == 4 else np.ones(pixels.shape[:2], dtype=bool)
        pixels = pixels[..., :3].any(axis=2) & solid
    mask = np.asarray(pixels != 0, dtype=bool)
    if not mask.any():
        raise InputError(f"mask {path}: expected at least one pixel that is not 0, got none")
    return mask


def _mask_prompt(model: SAM2Base, key: KeyFrame, prompt: UserPrompt) -> MaskPrompt:
    if prompt.mask is not None:
        return MaskPrompt(prompt.frame, prompt.mask, Source.USER)
    clicks = Clicks(tuple((x, y) for x, y, _ in prompt.points), tuple(label for _, _, label in prompt.points))
    told = clicks if prompt.box is None else Clicks.of_box(prompt.box)
    (meant,) = masks_of(model, key.features, (key.image.shape[0], key.image.shape[1]), [told])
    if not meant.mask.any():
        raise InputError(f"{prompt.name}: expected an object there, got none by the tracker; try a box or a mask")
    return MaskPrompt(prompt.frame, meant.mask, Source.USER, meant.score, meant.stability)
