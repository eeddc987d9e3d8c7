"""What a chat model is asked and says: words and pictures in order, and a reply.

Knows arrays and words. Does not know any model. Axis letters: K frames, H W pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.hashing import json_sha256
from core.reporting import Progress
from core.validators import check_array, check_least, check_rising

Picture = NDArray[np.uint8]
"""[H, W, 3] RGB."""


@dataclass(frozen=True, eq=False)
class Ask:
    """One question: texts and pictures in the order in which they are shown, and the most tokens of a reply."""

    parts: tuple[str | Picture, ...]
    system: str = ""
    most: int = 256

    def __post_init__(self) -> None:
        """Refuse other arrays than pictures, no parts and no room."""
        check_least("question parts", len(self.parts), 1)
        check_least("question most", self.most, 1, "tokens")
        for part in self.parts:
            if not isinstance(part, str):
                check_array("question picture", part, [None, None, 3], "u")
                if part.dtype != np.uint8 or not part.size:
                    raise InputError(f"question picture: expected uint8 of a pixel or more, got {part.dtype}")

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures in order."""
        return tuple(part for part in self.parts if not isinstance(part, str))


@dataclass(frozen=True)
class ChatReply:
    """What a model said.   cut: it stopped for want of room."""

    text: str
    cut: bool = False


class ChatModel(Protocol):
    """A model that answers questions about pictures."""

    @property
    def sha256(self) -> str:
        """Names the model: a hash of its weights, or of its name where a server has them."""

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[ChatReply]:
        """A reply a question, in order. Raises ServerError where a server fails for good."""


def ask_sha256(ask: Ask) -> str:
    """A hash of all that a question says and shows."""
    parts = [
        part
        if isinstance(part, str)
        else {"shape": list(part.shape), "sha256": hashlib.sha256(part.tobytes()).hexdigest()}
        for part in ask.parts
    ]
    return json_sha256({"parts": parts, "system": ask.system, "most": ask.most})


def timed_frames(frames: NDArray[np.uint8], times: NDArray[np.float64]) -> tuple[str | Picture, ...]:
    """Each frame of [K, H, W, 3] after its time in seconds, as "<12.5 seconds>".

    Raises:
        InputError: for other arrays, or times [K] that do not rise.
    """
    check_array("frames", frames, [None, None, None, 3], "u")
    check_array("frame times", times, [len(frames)], "f")
    check_rising("frame times", times)
    parts: list[str | Picture] = []
    for frame, time in zip(frames, times, strict=True):
        parts += [f"<{time:.1f} seconds>", frame]
    return tuple(parts)
