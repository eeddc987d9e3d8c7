"""A mask that a track starts from, whatever found it.

Knows masks and scores. Does not know grids, detectors, users or trackers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.types import Prompt, Source
from core.validators import check_array


@dataclass(frozen=True)
class MaskPrompt:
    """One object's mask [H, W] bool at one frame; scores in 0..1; `expression_id` where it was found for one."""

    frame: int
    mask: NDArray[np.bool_]
    source: Source
    score: float = 1.0
    stability: float = 1.0
    expression_id: str | None = None

    def __post_init__(self) -> None:
        """Refuse masks of another kind; frame and scores are checked by `Prompt`."""
        check_array("prompt mask", self.mask, [None, None], "b")
        self.record()

    @property
    def area(self) -> int:
        """Foreground pixels."""
        return int(np.count_nonzero(self.mask))

    def record(self) -> Prompt:
        """What a track remembers of its prompt."""
        return Prompt(self.frame, self.expression_id, self.score, self.stability)


def by_area(prompts: Sequence[MaskPrompt]) -> list[MaskPrompt]:
    """Largest first; equals keep their order."""
    return sorted(prompts, key=lambda prompt: -prompt.area)
