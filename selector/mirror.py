"""A video and what is said of it, seen in a mirror: half as many videos again to learn from, and no track more.

Mirrored are boxes, outlines and the words for sides and turns. Object tokens and looks stay as they are: of them a
mirror image is not known. Knows numbers and words. Does not know data or modules. Axis letters: V videos, N tracks, T
frames, D numbers of a track and frame.
"""

from __future__ import annotations

import re
from typing import Final

import torch
from torch import Tensor

from selector.outline import ORDERS
from selector.settings import BOX_WIDTH

_PAIRS: Final = (
    ("left", "right"), ("leftmost", "rightmost"), ("leftward", "rightward"), ("leftwards", "rightwards"),
    ("clockwise", "counterclockwise"), ("clockwise", "anticlockwise"),
)  # fmt: skip
OTHER: Final = {"anticlockwise": "clockwise", **{b: a for a, b in _PAIRS[:5]}, **{a: b for a, b in _PAIRS[:5]}}
_WORD = re.compile(rf"\b({'|'.join(sorted(OTHER, key=len, reverse=True))})\b", re.IGNORECASE)
_NO_SIDE = re.compile(
    r"\bright (after|away|before|behind|in front|in the middle|next to|now|there|above|below|at)\b", re.IGNORECASE
)


def mirrored_text(text: str) -> str:
    """The text with sides and turns exchanged: "a car turning right" -> "a car turning left".

    A "right" that is no side ("right behind the bus") stays.
    """
    spared = {match.start() for match in _NO_SIDE.finditer(text)}

    def exchanged(match: re.Match[str]) -> str:
        word = match[0]
        if match.start() in spared:
            return word
        other = OTHER[word.lower()]
        return other.capitalize() if word[0].isupper() else other

    return _WORD.sub(exchanged, text)


def mirrored_values(values: Tensor, flags: Tensor, token_width: int, geometry: int) -> Tensor:
    """values [V, N, T, D] of videos, mirrored where flags [V] say so.

    geometry: how many numbers of boxes and outlines follow the tokens, 8 or 19.
    """
    sign, x = torch.ones(values.shape[-1], device=values.device), token_width
    sign[x].fill_(-1)  # a number that is assigned comes from the host, which no CUDA graph takes
    if geometry > BOX_WIDTH:  # w becomes -conj(w), its power n the same times (-1)^n
        real = slice(x + BOX_WIDTH, x + geometry - 1, 2)
        odd = torch.arange(ORDERS[0], ORDERS[-1] + 1, device=values.device) % 2
        sign[real] = 1 - 2.0 * odd
        sign[real.start + 1 : real.stop : 2] = 2.0 * odd - 1
    other = values * sign
    other[..., x] += values[..., x + BOX_WIDTH - 1]  # 1 - x where the track is there, 0 where it is not
    return torch.where(flags[:, None, None, None], other, values)
