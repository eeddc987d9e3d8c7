"""A mask that a track starts from, and what finds such masks: the one shape of every source of prompts.

Knows masks, scores and key frames. Does not know grids, detectors, users or trackers: each source is a module of its
own with one function that gives a `Prompter`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.types import Prompt, Source
from core.validators import check_array
from proposals.tracker import Maps


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


@dataclass(frozen=True)
class KeyFrame:
    """A frame that is looked at for objects: its index, its pixels uint8 [H, W, 3] RGB, its features in the tracker."""

    index: int
    image: NDArray[np.uint8]
    features: Maps


@dataclass(frozen=True)
class Prompter:
    """One source of prompts for one video.

    key_frames: rising indices of the frames it looks at.   find: the prompts of one of them, the ones to track first
    in front.   competing: whether a prompt that a track of its pool explains is dropped, and of tracks of a pool that
    turn out the same all but one; a pool holds the tracks of one source and, where detected for one, one expression.
    limit: the most tracks of a pool, the first prompts first.   extra_passes: times that a key frame goes through the
    tracker's image encoder beside the one for tracking.
    """

    source: Source
    key_frames: tuple[int, ...]
    find: Callable[[KeyFrame], list[MaskPrompt]]
    competing: bool = True
    limit: int | None = None
    extra_passes: int = 0


def given(source: Source, prompts: Sequence[MaskPrompt]) -> Prompter:
    """A source whose prompts are known before any frame is looked at; none of them is dropped."""
    by_frame: dict[int, list[MaskPrompt]] = {}
    for prompt in prompts:
        by_frame.setdefault(prompt.frame, []).append(prompt)
    return Prompter(source, tuple(sorted(by_frame)), lambda key: by_frame[key.index], competing=False)
