"""What trainings that keep a running average share: the rate of a step, the average that follows, a saved state read.

Knows tensors and files of states. Does not know models, data or losses.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from core.errors import CheckpointError


class Rates(Protocol):
    """Settings that name the highest learning rate, and the steps until it is reached."""

    @property
    def rate(self) -> float:
        """Highest learning rate."""

    @property
    def warm_up(self) -> int:
        """Steps."""


def rate_at(settings: Rates, step: int, progress: float) -> float:
    """The learning rate: up over the first steps, then half a cosine of the progress, down to a hundredth."""
    fall = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    return settings.rate * min((step + 1) / settings.warm_up, 1.0) * fall


@torch.no_grad()
def follow(kept: list[Tensor], learnt: list[Tensor], average: float, step: int) -> None:
    """Let the average `kept` follow: quickly at first, since the first weights are nobody's business later.

    Nothing may be learnt yet, while heads that are not kept catch up; torch's lists want one tensor at least.
    """
    if kept:
        torch._foreach_lerp_(kept, learnt, 1 - min(average, (1 + step) / (10 + step)))


def read_state(path: Path, whose: str, keys: Iterable[str]) -> dict[str, Any]:
    """A saved state that has `keys`; CheckpointError for a file that is damaged or something else.

    whose: what a state is expected to be of ("a detector").
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, OSError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"training state {path}: expected a complete file, got a damaged one") from error
    if not isinstance(state, dict) or not set(keys) <= state.keys():
        raise CheckpointError(f"training state {path}: expected {whose}'s state, got {type(state).__name__}")
    return state
