"""Label maps in PNG files: a pixel's value is its object's number, as DAVIS and YouTube-VOS store them.

Knows PNG. Does not know datasets. H W pixels.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import AnnotationError

Labels = NDArray[np.uint8]  # [H, W]


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
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise AnnotationError(f"{path}: expected a PNG of labels, got {error}") from error
