"""Label maps in PNG files: a pixel's value is its object's number, as DAVIS and YouTube-VOS store them.

Also the size of a picture, which masks without label maps go by. Knows pictures. Does not know datasets. H W pixels.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import AnnotationError

Labels = NDArray[np.uint8]  # [H, W]
BROKEN: Final = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow says of a file that is no picture."""


def read_labels(path: Path) -> Labels:
    """The values of a palette or grey PNG, [H, W]. A palette's colours are not looked at: its indices are the labels.

    Raises:
        AnnotationError: when the file is missing, no picture, or has neither a palette nor 8-bit grey pixels.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L"):
                raise AnnotationError(f"{path}: expected a palette or an 8-bit grey PNG, got mode {image.mode}")
            return np.array(image, dtype=np.uint8)
    except FileNotFoundError as error:
        raise AnnotationError(f"{path}: expected a label map, found no such file") from error
    except BROKEN as error:
        raise AnnotationError(f"{path}: expected a PNG of labels, got {error}") from error


def picture_size(folder: Path, stem: str) -> tuple[int, int]:
    """(H, W) of the picture `stem` of a folder, whatever its suffix; its pixels are not decoded.

    Raises:
        AnnotationError: when it is missing or no picture.
    """
    path = next((found for found in sorted(folder.glob("*")) if found.stem == stem), None)
    if path is None:
        raise AnnotationError(f"{folder}: expected a picture {stem!r}, found none")
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except BROKEN as error:
        raise AnnotationError(f"{path}: expected a picture, got {error}") from error
