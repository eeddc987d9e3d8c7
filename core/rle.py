"""COCO run-length masks: bytes <-> boolean arrays, areas, boxes and overlaps without decoding.

A mask is stored as COCO's compressed counts (bytes); its size (H, W) is held once by whoever holds the masks.
An absent mask is the encoding of all zeros, never a missing value. Knows pycocotools and nothing of tracks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from core.errors import InputError

Size = tuple[int, int]
_AREA_BATCH = 255


def encode(masks: NDArray[np.bool_]) -> tuple[bytes, ...]:
    """Masks [T, H, W] bool -> T compressed counts."""
    stacked = np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8))  # [H, W, T]
    return tuple(bytes(r["counts"]) for r in coco.encode(stacked))


def decode(counts: Sequence[bytes], size: Size) -> NDArray[np.bool_]:
    """T compressed counts -> [T, H, W] bool.

    Raises:
        InputError: when counts do not describe masks of `size`.
    """
    if not counts:
        return np.zeros((0, *size), dtype=bool)
    try:
        decoded = coco.decode(_objects(counts, size))  # [H, W, T]
    except ValueError as error:
        raise InputError(f"masks: expected COCO run lengths of size {size[0]}x{size[1]}, got {error}") from error
    return np.ascontiguousarray(decoded.transpose(2, 0, 1)).astype(bool)


def areas(counts: Sequence[bytes], size: Size) -> NDArray[np.int64]:
    """Foreground pixels of each mask, [T]."""
    objects = _objects(counts, size)
    # pycocotools 2.0.11 puts the number of masks into a uint8 on its way, which numpy 2 refuses beyond 255.
    parts = [coco.area(objects[i : i + _AREA_BATCH]) for i in range(0, len(objects), _AREA_BATCH)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *(np.asarray(p, dtype=np.int64) for p in parts)])


def boxes(counts: Sequence[bytes], size: Size) -> NDArray[np.float32]:
    """Tight boxes [T, 4], x1 y1 x2 y2 in pixels, x2 and y2 exclusive; NaN where a mask is empty."""
    xywh = np.asarray(coco.toBbox(_objects(counts, size)), dtype=np.float32).reshape(-1, 4)
    xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    xyxy[areas(counts, size) == 0] = np.nan
    return xyxy


def union(counts: Sequence[bytes], size: Size) -> bytes:
    """The union of masks of one frame; all zeros for none."""
    if not counts:
        return encode(np.zeros((1, *size), dtype=bool))[0]
    return bytes(coco.merge(_objects(counts, size), intersect=False)["counts"])


def to_json(counts: bytes, size: Size) -> dict[str, Any]:
    """COCO's JSON form: {"size": [H, W], "counts": text}."""
    return {"size": list(size), "counts": counts.decode("ascii")}


def from_json(value: Any, size: Size) -> bytes:
    """COCO's JSON form (compressed text, or a list of run lengths) -> counts; None is the empty mask.

    Raises:
        InputError: when the form or its size is not as expected.
    """
    if value is None:
        return encode(np.zeros((1, *size), dtype=bool))[0]
    if not isinstance(value, dict) or tuple(value.get("size", ())) != tuple(size):
        raise InputError(f"mask: expected COCO RLE of size {list(size)}, got {str(value)[:80]}")
    counts = value.get("counts")
    if isinstance(counts, str):
        return counts.encode("ascii")
    if isinstance(counts, list):
        return bytes(coco.frPyObjects({"size": list(size), "counts": counts}, *size)["counts"])
    raise InputError(f"mask: expected counts as text or a list, got {type(counts).__name__}")


def _objects(counts: Sequence[bytes], size: Size) -> list[dict[str, Any]]:
    return [{"size": list(size), "counts": c} for c in counts]
