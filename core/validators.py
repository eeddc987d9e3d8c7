"""The checks of every shared type, called from `__post_init__`; each raises InputError with one sentence.

Knows shapes, dtypes and ranges. Does not know what the values mean.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError


def check_array(name: str, array: NDArray[np.generic], shape: Sequence[int | None], kind: str) -> None:
    """Refuse `array` unless it has `shape` (None: any length) and a dtype kind in `kind` (numpy's letters)."""
    if not isinstance(array, np.ndarray):
        raise InputError(f"{name}: expected a numpy array, got {type(array).__name__}")
    if array.ndim != len(shape) or any(
        want is not None and got != want for got, want in zip(array.shape, shape, strict=True)
    ):
        wanted = "[" + ", ".join("any" if s is None else str(s) for s in shape) + "]"
        raise InputError(f"{name}: expected shape {wanted}, got {list(array.shape)}")
    if array.dtype.kind not in kind:
        raise InputError(f"{name}: expected dtype kind {kind!r}, got {array.dtype}")


def check_finite(name: str, array: NDArray[np.generic]) -> None:
    """Refuse NaN and infinity."""
    if not np.isfinite(array).all():
        raise InputError(f"{name}: expected finite numbers, got {int((~np.isfinite(array)).sum())} that are not")


def check_least(name: str, value: float, least: float, unit: str = "") -> None:
    """Refuse a value below `least`, NaN included; `unit` is a plural for the sentence ("frames")."""
    if not value >= least:
        raise InputError(f"{name}: expected {least} or more{' ' * bool(unit)}{unit}, got {value}")


def check_probability(name: str, value: float | NDArray[np.floating]) -> None:
    """Refuse values outside 0..1, NaN included."""
    array = np.asarray(value, dtype=np.float64)
    if not ((array >= 0) & (array <= 1)).all():
        raise InputError(f"{name}: expected probabilities in 0..1, got {array.min()}..{array.max()}")


def check_boxes(name: str, boxes: NDArray[np.floating]) -> None:
    """Refuse boxes [*, 4] that are partly NaN, infinite or not x1 < x2, y1 < y2 (pixels, x2 and y2 exclusive)."""
    missing = np.isnan(boxes)
    if (missing.any(axis=-1) != missing.all(axis=-1)).any():
        raise InputError(f"{name}: expected a box to be all numbers or all NaN, got a mixed one")
    if np.isinf(boxes).any():
        raise InputError(f"{name}: expected finite numbers or NaN, got infinite ones")
    if ((boxes[..., 2] <= boxes[..., 0]) | (boxes[..., 3] <= boxes[..., 1])).any():
        raise InputError(f"{name}: expected x1 < x2 and y1 < y2, got an empty or inverted box")


def check_unit_or_zero(name: str, vector: NDArray[np.floating]) -> None:
    """Refuse a vector [C] that is neither all zeros nor of length 1 (within float16's rounding)."""
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not (length == 0 or abs(length - 1) < 0.01):
        raise InputError(f"{name}: expected a vector of length 1 or all zeros, got length {length}")


def check_rising(name: str, values: NDArray[np.floating]) -> None:
    """Refuse values that do not rise strictly."""
    stops = ~(np.diff(values) > 0)  # true for NaN as well
    if stops.any():
        at = int(np.argmax(stops)) + 1
        raise InputError(f"{name}: expected rising values, got {values[at]} after {values[at - 1]} at index {at}")


def check_text(name: str, text: str) -> None:
    """Refuse an empty or blank string."""
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{name}: expected a non-empty text, got {text!r}")
