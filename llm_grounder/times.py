"""Times as a language model reads and writes them: eleven tokens, numerals, embeddings of places and seconds.

A time as tokens is always six of them, DDDD.D, zero-padded, the spelling of VTG-LLM; the embeddings follow VTG-LLM too,
with what it leaves open defined: a frame between two rows takes both by their nearness, and seconds after the last one
that training saw take that one's. Knows seconds and tables. Does not know which tokenizer or model. Axis letters: T
frames, H width.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.errors import InputError

DIGITS: Final = "0123456789."
TIME_TOKENS: Final = tuple(
    f"<TIME_{name}>" for name in ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE", "DOT")
)
"""One for each character of DIGITS."""
TIME_LENGTH: Final = 6
LONGEST: Final = 9999.9
TimeStyle = Literal["tokens", "text"]

_OF_TOKEN: Final = dict(zip(TIME_TOKENS, DIGITS, strict=True))
_TOKEN: Final = re.compile("|".join(TIME_TOKENS))


def time_digits(seconds: float) -> str:
    """DDDD.D of a time rounded to a tenth; InputError outside 0..9999.9."""
    if not 0 <= seconds < LONGEST + 0.05:
        raise InputError(f"time: expected 0..{LONGEST} seconds, got {seconds}")
    return f"{seconds:06.1f}"


def write_time(seconds: float, style: TimeStyle) -> str:
    """A time as six time tokens, or as a numeral with one decimal ("12.5")."""
    digits = time_digits(seconds)
    if style == "text":
        return f"{float(digits):.1f}"
    return "".join(TIME_TOKENS[DIGITS.index(digit)] for digit in digits)


def spell_out(text: str) -> str:
    """The text with every time token as its character: six of them become DDDD.D."""
    return _TOKEN.sub(lambda found: _OF_TOKEN[found[0]], text)


def digit_rows(table: Tensor, tokenizer: Any) -> Tensor:
    """Rows [11, H] for the time tokens: those of their characters in `table` [V, H], the mean of several."""
    ids = [tokenizer.encode(character, add_special_tokens=False) for character in DIGITS]
    return torch.stack([table[torch.tensor(found, device=table.device)].mean(0) for found in ids])


class ComposedTime(nn.Module):
    """A frame's six digits in one vector: each position's digit embedding side by side, through one Linear."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(TIME_LENGTH * width, width)

    def forward(self, rows: Tensor, times: Sequence[float] | NDArray[np.float64]) -> Tensor:
        """Vectors [T, H] of T times, from the time tokens' embeddings `rows` [11, H]."""
        values, back = np.unique(np.asarray(times, dtype=np.float64), return_inverse=True)
        digits = [[DIGITS.index(digit) for digit in time_digits(float(time))] for time in values]
        places = torch.tensor(digits, dtype=torch.long).view(-1, TIME_LENGTH)  # T may be 0
        picked = rows[places.to(rows.device, non_blocking=True)]  # of each time once, [U, 6, H]
        mixed = torch.as_tensor(self.mix(picked.flatten(1)))
        return nn.functional.embedding(torch.from_numpy(back).to(rows.device, non_blocking=True), mixed)


class FrameTimes(nn.Module):
    """Embeddings of a frame's place in its clip and of its second; both start at zero.

    Place: T frames are spread over all rows, the first on the first, the last on the last. Seconds: between two whole
    seconds by nearness; after the last second that training saw (`last`, saved with the weights) its embedding stays.
    """

    last: Tensor

    def __init__(self, width: int, sequence_rows: int, second_rows: int) -> None:
        super().__init__()
        self.sequence = nn.Parameter(torch.zeros(sequence_rows, width)) if sequence_rows else None
        self.seconds = nn.Parameter(torch.zeros(second_rows, width)) if second_rows else None
        self.register_buffer("last", torch.zeros(()))

    def forward(self, times: NDArray[np.float64], device: torch.device) -> Tensor | None:
        """[T, width] to add to all that shows the frames at `times`, or None without any rows."""
        parts = []
        if self.sequence is not None:
            places = torch.linspace(0, len(self.sequence) - 1, len(times), device=device)
            parts.append(between_rows(self.sequence, places))
        if self.seconds is not None:
            seconds = torch.as_tensor(times, dtype=torch.float32, device=device)
            if self.training:
                with torch.no_grad():
                    self.last.copy_(torch.maximum(self.last, seconds.max()))
            parts.append(between_rows(self.seconds, seconds.clamp(min=0).minimum(self.last)))
        return torch.stack(parts).sum(0) if parts else None


def between_rows(table: Tensor, places: Tensor) -> Tensor:
    """Rows of `table` [R, C] at real places [T], linear between neighbours; places past the end are the last."""
    places = places.clamp(0, len(table) - 1)
    below = places.floor().long()
    above = (below + 1).clamp(max=len(table) - 1)
    share = (places - below)[:, None].to(table.dtype)
    return table[below] * (1 - share) + table[above] * share
