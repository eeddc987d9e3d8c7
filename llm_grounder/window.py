"""What a streaming grounder still sees: the same rule as a mask over a whole sequence and as a bounded cache of keys.

A sequence consists of segments: the system prompt, questions, frames, replies, and silences (what the model wrote where
the policy then said nothing). A segment sees itself up to the token that asks, and of the segments before it those
that the window keeps: the system prompt, the last frames, questions and replies. A silence is never seen again and
takes no position, as if it had not been. Knows lengths, masks and cached keys. Does not know what tokens mean.
Axis letters: S tokens of the sequence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import torch
from torch import Tensor

from core.errors import InputError
from core.validators import check_least


class Part(StrEnum):
    """What a segment is."""

    SYSTEM = "system"
    QUESTION = "question"
    FRAME = "frame"
    REPLY = "reply"
    SILENCE = "silence"


@dataclass(frozen=True)
class Segment:
    """A run of `length` tokens, one or more."""

    part: Part
    length: int

    def __post_init__(self) -> None:
        """Refuse empty segments."""
        check_least(f"{self.part} segment", self.length, 1, "tokens")


@dataclass(frozen=True)
class Window:
    """How many of the last frames, questions and replies are kept.

    positions: tokens after which the positions start anew from the segments that are kept, or None; a language model
    knows no positions past those that it was trained on.
    """

    frames: int = 64
    questions: int = 4
    replies: int = 8
    positions: int | None = None

    def __post_init__(self) -> None:
        """Refuse windows that keep no frame."""
        check_least("window frames", self.frames, 1, "frames")
        check_least("window questions", self.questions, 1, "questions")
        check_least("window replies", self.replies, 0, "replies")
        if self.positions is not None:
            check_least("window positions", self.positions, 1, "tokens")


def kept(window: Window, segments: Sequence[Segment]) -> list[int]:
    """Indices, rising, of the segments that one which follows them sees."""
    room: Final = Counter(
        {
            Part.SYSTEM: len(segments),
            Part.FRAME: window.frames,
            Part.QUESTION: window.questions,
            Part.REPLY: window.replies,
        }
    )
    left, found = room.copy(), []
    for i in range(len(segments) - 1, -1, -1):
        part = segments[i].part
        if left[part] > 0:
            left[part] -= 1
            found.append(i)
    return found[::-1]


def window_mask(window: Window, segments: Sequence[Segment]) -> Tensor:
    """bool [S, S], row asks and column answers: which tokens each token of the sequence sees.

    Raises:
        InputError: without a segment.
    """
    if not segments:
        raise InputError("window: expected at least one segment, got none")
    starts = _starts(segments)
    mask = torch.ones(starts[-1], starts[-1], dtype=torch.bool).tril()
    for i, segment in enumerate(segments):
        rows = slice(starts[i], starts[i] + segment.length)
        seen = set(kept(window, segments[:i]))
        for j in range(i):
            if j not in seen:
                mask[rows, starts[j] : starts[j] + segments[j].length] = False
    return mask


def window_positions(segments: Sequence[Segment]) -> Tensor:
    """int64 [S]: each token's position; what follows a silence goes on where the silence began."""
    parts, at = [torch.zeros(0, dtype=torch.int64)], 0
    for segment in segments:
        parts.append(torch.arange(at, at + segment.length))
        at += 0 if segment.part is Part.SILENCE else segment.length
    return torch.cat(parts)


def keep_keys(cache: Any, wanted: Tensor) -> None:
    """Leave in a `DynamicCache` of transformers only the keys and values of the tokens `wanted` (int64, rising)."""
    for layer in cache.layers:
        where = wanted.to(layer.keys.device)
        layer.keys = layer.keys.index_select(-2, where)
        layer.values = layer.values.index_select(-2, where)


def cached_tokens(cache: Any) -> int:
    """Tokens whose keys a `DynamicCache` holds."""
    return int(cache.get_seq_length())


def _starts(segments: Sequence[Segment]) -> list[int]:
    """First token of each segment, and S."""
    starts = [0]
    for segment in segments:
        starts.append(starts[-1] + segment.length)
    return starts
