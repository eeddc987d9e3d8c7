"""What an index keeps between and within questions: readings of videos, and features of texts.

Knows tensors in nested types, and the protocol of text encoders. Does not know videos or scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch

from core.text import TextEncoder, TextFeatures


class Readings(dict[tuple[str, tuple[int, ...]], Any]):
    """The selector's memory of videos; what does not fit into its room is not kept."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room, self.nbytes = room, 0

    def __setitem__(self, key: tuple[str, tuple[int, ...]], value: Any) -> None:
        """Keep a reading where there is room for it."""
        size = _tensor_bytes(value)
        if self.nbytes + size <= self._room:
            self.nbytes += size
            super().__setitem__(key, value)


def _tensor_bytes(value: Any) -> int:
    """Bytes of the tensors in nested tuples and dataclasses."""
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if is_dataclass(value):
        return sum(_tensor_bytes(getattr(value, field.name)) for field in fields(value))
    return sum(map(_tensor_bytes, value)) if isinstance(value, tuple) else 0


class RememberedTexts:
    """A text encoder that answers a batch of texts again from memory, for one batch asked about many videos."""

    def __init__(self, encoder: TextEncoder) -> None:
        self.name, self.sha256, self.width = encoder.name, encoder.sha256, encoder.width
        self._encoder = encoder
        self._known: dict[tuple[str, ...], TextFeatures] = {}

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        """See `TextEncoder`."""
        key = tuple(texts)
        if key not in self._known:
            self._known[key] = self._encoder.encode(texts)
        return self._known[key]
