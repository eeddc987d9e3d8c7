"""The photographs that cut-outs are made of: strips of frames of real clips, in the repository.

Knows files, their names and which clips are held out. Does not know regions or motion. A strip `photos/CLIP.jpg` holds
frames of one clip, each WIDTH x HEIGHT, one above the other; where they come from is in `photos/README.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import InputError

FOLDER = Path(__file__).parent / "photos"
WIDTH, HEIGHT = 352, 320
HELD_OUT = ("14_social_dog_training", "19_cyclist")
"""Clips that training never sees; held-out cut-outs are made of them alone."""


@dataclass(frozen=True)
class Photo:
    """A frame of the clip `clip`: pixels uint8 [HEIGHT, WIDTH, 3]. Wide frames are squeezed, as a model's input is."""

    clip: str
    pixels: NDArray[np.uint8]


def read_strip(path: Path) -> tuple[Photo, ...]:
    """The photographs of one strip.

    Raises:
        InputError: for a file that is no image, or no whole number of photographs.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: expected a JPEG strip of photographs, got a file that does not decode") from error
    height, width = pixels.shape[:2]
    if width != WIDTH or height % HEIGHT:
        raise InputError(f"{path}: expected {WIDTH} pixels by a multiple of {HEIGHT}, got {width} by {height}")
    return tuple(Photo(path.stem, frame) for frame in pixels.reshape(-1, HEIGHT, WIDTH, 3))


@cache
def read_photos(held_out: bool) -> tuple[Photo, ...]:
    """All photographs of the held-out clips, or all others, by clip name.

    Raises:
        InputError: where there are none, or a strip cannot be read.
    """
    paths = sorted(path for path in FOLDER.glob("*.jpg") if (path.stem in HELD_OUT) == held_out)
    if not paths:
        raise InputError(f"{FOLDER}: expected strips of photographs, found none; python -m miniature.cutouts.pack")
    return tuple(photo for path in paths for photo in read_strip(path))
