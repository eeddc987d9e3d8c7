"""What self-contained HTML pages are made of: templates with one shared style, JSON that stays data, small pictures.

Knows the templates beside it and how a browser reads a script element. Does not know what a page shows.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core import rle

Frame = NDArray[np.uint8]
Size = tuple[int, int]
_TOGETHER = 32  # masks decoded at a time: a large video's are 2 MB each


def template(name: str, title: str) -> tuple[str, str]:
    """A template's text before and after its data; `title` is set as text."""
    folder = Path(__file__).parent
    text = (folder / name).read_text(encoding="utf-8")
    text = text.replace("__SHARED__", (folder / "shared.html").read_text(encoding="utf-8"))
    head, _, tail = text.partition("__DATA__")
    return head.replace("__TITLE__", escape(title)), tail


def script_json(value: object) -> str:
    """JSON for the inside of a script element, which only "<" could end; escaped, it means the same."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def fitted(size: Size, side: int) -> Size:
    """(height, width) of a picture whose longer side is `side` pixels, or its own where that is shorter."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def jpeg(frame: Frame, size: Size, quality: int = 80) -> str:
    """A frame [H, W, 3] at `size` as a data URI."""
    out = io.BytesIO()
    Image.fromarray(frame).resize((size[1], size[0]), Image.Resampling.LANCZOS).save(out, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"


def small_masks(counts: Sequence[bytes], video: Size, size: Size) -> list[bytes]:
    """COCO masks of a video's size as masks of a picture's."""
    rows = ((np.arange(size[0]) + 0.5) * video[0] / size[0]).astype(int)
    columns = ((np.arange(size[1]) + 0.5) * video[1] / size[1]).astype(int)
    small: list[bytes] = []
    for start in range(0, len(counts), _TOGETHER):
        masks = rle.decode(counts[start : start + _TOGETHER], video)  # [K, H, W]
        small += rle.encode(masks[:, rows][:, :, columns])
    return small
