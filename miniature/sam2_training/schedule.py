"""When a training is where: progress by wall clock or by steps, the stage that it is in, and the learning rate.

Knows numbers. Does not know models. Progress runs from 0 to 1 over both stages, so that the cosine ends on time
whatever a step costs, and a training that was stopped goes on where it was with whatever time it is then given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A part of the progress, up to `end`; the rate warms up over `warm` of the stage, then falls by half a cosine.

    frames: T of its clips; a batch of clips has always about the same number of frames in all.
    """

    name: str
    end: float
    high: float
    low: float
    warm: float
    frames: int


STAGES = (
    Stage("images", 0.07, 1e-3, 8e-4, 0.4, 1),
    Stage("clips", 0.75, 8e-4, 1e-4, 0.03, 8),
    # The whole memory (7 masks, 16 pointers) is in use only from the 16th frame on.
    Stage("long clips", 1.0, 1.5e-4, 5e-6, 0.05, 16),
)


@dataclass(frozen=True)
class Clock:
    """Progress from `start` on: by `steps` steps in all where given, else by `seconds` that remain."""

    start: float
    steps: int | None
    seconds: float
    now: Callable[[], float]
    begun: float

    def progress(self, step: int) -> float:
        """Progress after `step` steps of the whole training, at most 1."""
        if self.steps is not None:
            return min(step / self.steps, 1.0)
        if self.seconds <= 0:
            return 1.0
        return min(self.start + (1 - self.start) * (self.now() - self.begun) / self.seconds, 1.0)


def stage_at(progress: float) -> Stage:
    """The stage that a progress below 1 lies in; the last one at 1."""
    return next((stage for stage in STAGES if progress < stage.end), STAGES[-1])


def rate_at(progress: float) -> float:
    """The learning rate at a progress in 0..1."""
    stage = stage_at(progress)
    begin = max((s.end for s in STAGES if s.end < stage.end), default=0.0)
    inside = (progress - begin) / (stage.end - begin)
    if inside < stage.warm:
        return stage.high * max(inside / stage.warm, 0.01)
    fall = (inside - stage.warm) / (1 - stage.warm)
    return stage.low + (stage.high - stage.low) * 0.5 * (1 + math.cos(math.pi * fall))
