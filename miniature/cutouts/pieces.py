"""Cut-outs: a piece of a photograph with a soft outline, and photographs made to look different.

Knows photographs, regions and silhouettes. Does not know time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from miniature.cutouts.photos import HEIGHT, WIDTH, Photo, read_photos
from miniature.cutouts.regions import Labels, Mask, contrast, merged, pick_region, superpixels
from miniature.cutouts.silhouettes import SILHOUETTES

LEAST, MOST = 0.004, 0.25  # share of a photograph that a cut-out comes from
MARGIN = 6  # pixels of photograph kept around an outline, for soft edges and bending
SOFT = 0.7  # pixels, deviation of the outline's softness
VISIBLE = 16.0  # of 255: what a region of a background must at least differ from what surrounds it


@dataclass(frozen=True)
class Piece:
    """A cut-out. picture: float [4, h, w], colours 0..255 and the outline's weight 0..1; the photograph goes on past
    the outline, so that soft edges take no foreign colour.   scale: pixels a unit of length, the root of its area.
    """

    picture: Tensor
    scale: float

    @property
    def half(self) -> tuple[float, float]:
        """Half its width and half its height, in units of length."""
        return self.picture.shape[2] / 2 / self.scale, self.picture.shape[1] / 2 / self.scale

    def reduced(self, size: float) -> Piece:
        """Not much larger than `size` pixels a unit, so that sampling it skips no pixels."""
        factor = self.scale / size
        if factor <= 1.4:
            return self
        height, width = (max(2, round(length / factor)) for length in self.picture.shape[1:])
        return Piece(F.interpolate(self.picture[None], (height, width), mode="area")[0], self.scale / factor)

    def mirrored(self) -> Piece:
        """Left and right exchanged."""
        return Piece(self.picture.flip(2), self.scale)


@lru_cache(maxsize=512)
def _superpixels(index: int, held_out: bool) -> Labels:
    """Superpixels of a photograph; kept, because they take a tenth of a second."""
    return superpixels(read_photos(held_out)[index].pixels)


def regions_of(rng: np.random.Generator, index: int, held_out: bool, fewest: int, most: int) -> Labels:
    """A photograph's regions, int32 [HEIGHT, WIDTH], merged at random until `fewest` to `most` are left."""
    photo = read_photos(held_out)[index]
    return merged(rng, _superpixels(index, held_out), photo.pixels, int(rng.integers(fewest, most + 1)))


def cut(rng: np.random.Generator, index: int, held_out: bool) -> Piece:
    """A random cut-out of a photograph: in two of three a region of it, else a silhouette laid over it."""
    photo = read_photos(held_out)[index]
    mask = None
    if rng.random() < 0.67:
        mask = pick_region(rng, regions_of(rng, index, held_out, 8, 45), LEAST, MOST)
    if mask is None:
        mask = _laid(rng)
    return _lifted(recoloured(rng, photo), mask)


def _laid(rng: np.random.Generator) -> Mask:
    """A silhouette somewhere on a photograph."""
    side = int(rng.integers(60, 240))
    shape = SILHOUETTES[int(rng.integers(len(SILHOUETTES)))](rng, side)
    y, x = int(rng.integers(0, HEIGHT - side)), int(rng.integers(0, WIDTH - side))
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[y : y + side, x : x + side] = shape
    return mask


def _lifted(picture: Tensor, mask: Mask) -> Piece:
    """The part of a picture [3, H, W] inside a mask, with a margin.

    The outline is drawn in by a pixel, unless little would be left: else a rim of the old surroundings comes along.
    """
    inner = ndimage.binary_erosion(mask)
    mask = inner if inner.sum() > 0.6 * mask.sum() else mask
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    y0, y1 = max(rows[0] - MARGIN, 0), min(rows[-1] + MARGIN + 1, mask.shape[0])
    x0, x1 = max(columns[0] - MARGIN, 0), min(columns[-1] + MARGIN + 1, mask.shape[1])
    weight = ndimage.gaussian_filter(mask[y0:y1, x0:x1].astype(np.float32), SOFT, mode="constant")
    piece = torch.cat([picture[:, y0:y1, x0:x1], torch.from_numpy(weight)[None]])
    # One empty pixel all around: beyond a piece's border its outline is 0, also where the photograph ended there.
    return Piece(F.pad(piece, (1, 1, 1, 1)), float(mask.sum()) ** 0.5)


def recoloured(rng: np.random.Generator, photo: Photo) -> Tensor:
    """A photograph as float [3, H, W] 0..255 under another light: gamma, gains, saturation, sometimes grey or dark."""
    picture = torch.tensor(photo.pixels).permute(2, 0, 1) / 255
    picture = picture ** float(np.exp(rng.normal(0, 0.25)))
    grey = picture.mean(dim=0, keepdim=True)
    saturation = 0.0 if rng.random() < 0.05 else float(rng.uniform(0.5, 1.4))
    picture = grey + (picture - grey) * saturation
    gains = torch.from_numpy(np.exp(rng.normal(0, 0.12, 3))).float()[:, None, None] * float(rng.uniform(0.6, 1.15))
    return (picture * gains * 255 + float(rng.uniform(-15, 25))).clamp(0, 255)


def camouflaged(rng: np.random.Generator, piece: Piece, around: Tensor, share: float) -> Piece:
    """A piece whose mean colour is moved towards that of a background [3, H, W] by a share 0..1."""
    colour, weight = piece.picture[:3], piece.picture[3:]
    mean = (colour * weight).sum((1, 2)) / weight.sum().clamp(min=1e-3)
    goal = around.mean((1, 2)) + torch.from_numpy(rng.normal(0, 12, 3)).float()
    moved = (colour + share * (goal - mean)[:, None, None]).clamp(0, 255)
    return Piece(torch.cat([moved, weight]), piece.scale)


def shaded(rng: np.random.Generator, piece: Piece) -> Piece:
    """A piece that is brighter on one side."""
    height, width = piece.picture.shape[1:]
    turn, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35)
    y = torch.linspace(-1, 1, height)[:, None] * float(np.sin(turn))
    x = torch.linspace(-1, 1, width)[None] * float(np.cos(turn))
    colour = (piece.picture[:3] * (1 + float(depth) * (x + y))).clamp(0, 255)
    return Piece(torch.cat([colour, piece.picture[3:]]), piece.scale)


def softened(picture: Tensor, deviation: float) -> Tensor:
    """A picture [C, H, W] blurred by a Gaussian of so many pixels."""
    return torch.from_numpy(ndimage.gaussian_filter(picture.numpy(), (0, deviation, deviation), truncate=3.0))


def scene_regions(rng: np.random.Generator, index: int, held_out: bool, count: int) -> NDArray[np.uint8]:
    """Up to `count` regions of a background as a label map uint8 [HEIGHT, WIDTH], 0 where none; none at the border,
    where the background goes on mirrored."""
    labels = regions_of(rng, index, held_out, 12, 60)
    pixels = read_photos(held_out)[index].pixels
    out = np.zeros(labels.shape, dtype=np.uint8)
    for _ in range(count):
        mask = pick_region(rng, labels, 0.004, 0.2, inside=True)
        if mask is not None and not (out[mask] > 0).any() and contrast(pixels, mask) >= VISIBLE:
            out[mask] = out.max() + 1
    return out


def choose(rng: np.random.Generator, held_out: bool, others: Sequence[int] = ()) -> int:
    """The index of a random photograph; of a clip chosen first, so that long strips do not win. `others` as likely."""
    if others and rng.random() < 0.35:
        return int(others[int(rng.integers(len(others)))])
    return int(rng.integers(len(read_photos(held_out))))
