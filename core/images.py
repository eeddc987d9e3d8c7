"""Frozen image encoders behind one protocol, and the crop that they are shown: training and use share this code.

Knows the image tower of open_clip's folders, frames and boxes. Does not know tracks, caches or what the features are
for. Axis letters: K images, S their side in pixels, H W pixels of a frame, C feature width.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from core.errors import CheckpointError, InputError
from core.open_clip_folder import OPEN_CLIP_CONFIG, load_open_clip_towers, open_clip_sha256
from core.text import FrozenEncoder

CONTEXT = 1.3  # a crop's side over the longer side of the object's box
MARGIN = 1.125  # crops are larger than the tower's input by this factor, of which use takes the middle
IMAGES_AT_ONCE = 256
HALF = (0.5, 0.5, 0.5)


class ImageEncoder(FrozenEncoder, Protocol):
    """A frozen encoder of images; `width` is C."""

    @property
    def side(self) -> int:
        """S, the side in pixels of the images that it wants."""

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [K, C] of unit length of images uint8 [K, S, S, 3] RGB. Raises InputError for other arrays."""


class FrameEncoder(FrozenEncoder, Protocol):
    """A frozen encoder of whole frames; `width` is C."""

    def encode_frames(
        self, frames: NDArray[np.uint8], grid: int = 0, tiles: int = 1
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Features [K, C] of unit length of frames uint8 [K, H, W, 3] RGB, each seen whole and stretched to a square.

        grid: 0, or the side of a grid of patches: then also the means [K, grid * grid, Q] of the last layer over its
        cells, row by row.   tiles: for the grid, look at tiles x tiles parts of the frame one by one, so that small
        things are seen larger. Raises InputError for other arrays.
        """


class OpenClipImages:
    """The image tower of an open_clip model."""

    def __init__(self, folder: Path, device: str | torch.device) -> None:
        """Read the folder; CheckpointError where it does not fit open_clip's format."""
        self.name = folder.name
        self.model = load_open_clip_towers(folder, device)
        self._mean, self._deviation = _read_scaling(folder)
        self._size = image_size(self.model.visual.image_size)
        self.side = view_side(self._size)
        self.width = int(self.model.visual.output_dim)
        self.device = torch.device(device)
        self.sha256 = open_clip_sha256(folder)

    @torch.no_grad()
    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `ImageEncoder`."""
        if images.dtype != np.uint8 or images.shape[1:] != (self.side, self.side, 3):
            raise InputError(
                f"images: expected uint8 [K, {self.side}, {self.side}, 3], got {images.dtype} {list(images.shape)}"
            )
        features = [np.zeros((0, self.width), dtype=np.float32)]
        for part in torch.split(torch.from_numpy(images), IMAGES_AT_ONCE):
            if len(part):
                pixels = centre(scaled(part.to(self.device), self._mean, self._deviation), self._size)
                features.append(F.normalize(self.model.encode_image(pixels).float(), dim=-1).cpu().numpy())
        return np.concatenate(features)

    @torch.no_grad()
    def encode_frames(
        self, frames: NDArray[np.uint8], grid: int = 0, tiles: int = 1
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """See `FrameEncoder`."""
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not len(frames):
            raise InputError(f"frames: expected uint8 [K, H, W, 3], got {frames.dtype} {list(frames.shape)}")
        images = torch.from_numpy(np.stack([resize(frame, self._size) for frame in frames]))
        if grid and tiles == 1:
            pooled, patches = self._look(self._pixels(images), grid)
            return _unit(pooled), patches.cpu().numpy()
        pooled = self.model.encode_image(self._pixels(images))
        if not grid:
            return _unit(pooled), None
        large = torch.from_numpy(np.stack([resize(frame, self._size * tiles) for frame in frames]))
        return _unit(pooled), self.patches(large, grid, tiles).cpu().numpy()

    @torch.no_grad()
    def patches(self, images: Tensor, grid: int, tiles: int = 1) -> Tensor:
        """The grid of `encode_frames` alone, [K, grid * grid, Q] float32 on the encoder's device, of frames that have
        the size it wants: uint8 [K, S * tiles, S * tiles, 3] with S the tower's side.

        Raises:
            InputError: for another size, or a grid that the tiles do not divide.
        """
        side = self._size * tiles
        if tiles < 1 or grid < 1 or grid % tiles or list(images.shape[1:]) != [side, side, 3]:
            raise InputError(
                f"patches: expected images [K, {side}, {side}, 3] and a grid that {tiles} tiles divide, "
                f"got {list(images.shape)} and {grid}"
            )
        cut = images.view(len(images), tiles, self._size, tiles, self._size, 3).transpose(2, 3)
        _, cells = self._look(self._pixels(cut.flatten(0, 2)), grid // tiles)  # [K * tiles * tiles, cells, Q]
        part = grid // tiles
        whole = cells.view(len(images), tiles, tiles, part, part, -1).transpose(2, 3)
        return whole.reshape(len(images), grid * grid, -1)

    def _pixels(self, images: Tensor) -> Tensor:
        return scaled(images.to(self.device), self._mean, self._deviation)

    def _look(self, pixels: Tensor, grid: int) -> tuple[Tensor, Tensor]:
        """Pooled features [K, C], and means [K, grid * grid, Q] of the last layer, of pixels [K, 3, S, S]."""
        out = self.model.forward_intermediates(image=pixels, image_indices=1, normalize_intermediates=True)
        cells = F.adaptive_avg_pool2d(out["image_intermediates"][-1].float(), grid)  # [K, Q, grid, grid]
        return out["image_features"], cells.flatten(2).transpose(1, 2)


def load_image_encoder(spec: str, device: str | torch.device) -> OpenClipImages:
    """The image tower of the open_clip model in a local folder; CheckpointError where there is none."""
    folder = Path(spec)
    if not (folder / OPEN_CLIP_CONFIG).is_file():
        raise CheckpointError(f"image encoder {spec!r}: expected a folder with {OPEN_CLIP_CONFIG}, got none")
    return OpenClipImages(folder, device)


def view_side(size: int) -> int:
    """Side in pixels at which crops are cut for a tower whose input has the side `size`."""
    return round(size * MARGIN)


def image_size(size: int | Sequence[int]) -> int:
    """The side of a tower's input, which open_clip gives as one number or two; InputError for no square."""
    sides = {size} if isinstance(size, int) else {int(side) for side in size}
    if len(sides) > 1:
        raise InputError(f"image encoder: expected a square input, got {size}")
    return sides.pop()


def crop_square(frame: NDArray[np.uint8], box: Sequence[float], side: int) -> NDArray[np.uint8]:
    """A square of a frame [H, W, 3] around a box, as [side, side, 3]; beyond the border the edge is repeated.

    box: x1, y1, x2, y2 in whole pixels, x2 and y2 exclusive. The background stays as it is.
    """
    x1, y1, x2, y2 = (round(edge) for edge in box)
    half = int(np.ceil((max(x2 - x1, y2 - y1) - 1) * CONTEXT / 2)) + 2
    left, top = (x1 + x2 - 1) // 2, (y1 + y2 - 1) // 2
    rows = np.clip(np.arange(top - half, top + half + 1), 0, frame.shape[0] - 1)
    columns = np.clip(np.arange(left - half, left + half + 1), 0, frame.shape[1] - 1)
    return resize(frame[rows[:, None], columns], side)


def resize(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """[H, W, 3] to [side, side, 3], antialiased and without keeping the aspect."""
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))


def scaled(images: Tensor, mean: Sequence[float] = HALF, deviation: Sequence[float] = HALF) -> Tensor:
    """[K, S, S, 3] uint8 to [K, 3, S, S] float32: (value / 255 - mean) / deviation by channel, -1..1 by default."""
    shift, scale = (torch.tensor(values, device=images.device)[:, None, None] for values in (mean, deviation))
    return (images.permute(0, 3, 1, 2).float() / 255 - shift) / scale


def centre(pixels: Tensor, size: int) -> Tensor:
    """The middle [K, 3, size, size] of pixels [K, 3, S, S]."""
    margin = (pixels.shape[-1] - size) // 2
    return pixels[:, :, margin : margin + size, margin : margin + size]


def _unit(features: Tensor) -> NDArray[np.float32]:
    """Features of unit length as an array."""
    return np.asarray(F.normalize(features.float(), dim=-1).cpu().numpy())


def _read_scaling(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the folder's `preprocess_cfg`."""
    path = folder / OPEN_CLIP_CONFIG
    try:
        values = json.loads(path.read_text(encoding="utf-8"))["preprocess_cfg"]
        mean, deviation = (tuple(float(number) for number in values[name]) for name in ("mean", "std"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: expected preprocess_cfg with mean and std, got: {error!r}") from error
    if len(mean) != 3 or len(deviation) != 3 or min(deviation) <= 0:
        raise CheckpointError(f"{path}: expected mean and std of three channels, got {mean} and {deviation}")
    return mean, deviation
