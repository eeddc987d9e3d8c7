"""Frames with numbered boxes, as a chat model is shown which tracks it may name.

Knows pictures and boxes in pixels. Does not know tracks or models. Axis letters: N tracks, K frames, H W pixels.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from core.validators import check_array

COLOURS: Final = (
    (230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48), (145, 30, 180), (70, 240, 240),
    (240, 50, 230), (210, 245, 60), (250, 190, 212), (0, 128, 128), (220, 190, 255), (170, 110, 40), (255, 250, 200),
    (128, 0, 0), (170, 255, 195),
)  # fmt: skip


def number_boxes(frames: NDArray[np.uint8], boxes: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Frames [K, H, W, 3] with the boxes [N, K, 4] of N tracks, numbered from 1; NaN boxes are not drawn.

    Raises:
        InputError: for arrays that do not fit together.
    """
    check_array("overlay frames", frames, [None, None, None, 3], "u")
    check_array("overlay boxes", boxes, [None, len(frames), 4], "f")
    return np.stack([_draw(frame, boxes[:, k]) for k, frame in enumerate(frames)])


def _draw(frame: NDArray[np.uint8], boxes: NDArray[np.floating]) -> NDArray[np.uint8]:
    picture = Image.fromarray(frame)
    pen = ImageDraw.Draw(picture)
    height, width = frame.shape[:2]
    font = ImageFont.load_default(max(10, min(height, width) // 20))
    thick = max(1, min(height, width) // 160)
    present = [(n, box) for n, box in enumerate(boxes) if not np.isnan(box).any()]
    for n, (x1, y1, x2, y2) in present:
        right, bottom = max(x1, x2 - 1), max(y1, y2 - 1)
        pen.rectangle((x1, y1, right, bottom), outline=COLOURS[n % len(COLOURS)], width=thick)
    for n, (x1, y1, _, _) in present:  # numbers last, so that no box covers one
        label = str(n + 1)
        left, top, right, bottom = font.getbbox(label)
        wide, high = right - left + 4, bottom - top + 4
        x, y = max(0, min(x1, width - wide)), max(0, min(y1, height - high))
        pen.rectangle((x, y, x + wide, y + high), fill=(0, 0, 0))
        pen.text((x + 2 - left, y + 2 - top), label, font=font, fill=COLOURS[n % len(COLOURS)])
    return np.asarray(picture)
