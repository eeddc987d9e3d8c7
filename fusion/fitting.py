"""The numbers of a mode, fitted on expressions whose answers are known: the best of a grid, a few numbers at a time.

What decides is the score; where it is the same, the time, which tells apart spans that change no mask.

Knows modes and how well a choice did. Does not know masks, metrics or files. Use a calibration split alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from core.errors import InputError
from core.reporting import Progress
from fusion.modes import MODES, Choice, Evidence
from fusion.settings import Weights

ROUNDS: Final = 2
_LEAST_GAIN = 1e-9
_TENTHS = tuple(round(i / 10, 1) for i in range(1, 10))
_TWENTIETHS = tuple(round(i / 20, 2) for i in range(1, 19))
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)

GRID: Final[Mapping[str, tuple[float, ...]]] = {
    "rule.threshold": _TWENTIETHS,
    "rule.no_target_threshold": _TENTHS,
    "rule.same_iou": (0.6, 0.8, 1.0),
    "moments.spans": (1, 3, 5),
    "moments.least": (0.0, 0.2, 0.4, 0.6),
    "moments.pad": (0.0, 0.25, 0.5, 1.0),
    "grounder.tracks": _SHARES,
    "grounder.presence": _SHARES,
    "grounder.top": (2, 3, 5, 10),
}
"""What is tried for each number."""

BLOCKS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "tracks": (("rule.threshold",), ("rule.no_target_threshold",), ("rule.same_iou",)),
    "gated": (
        ("rule.threshold",), ("rule.no_target_threshold", "grounder.presence"), ("rule.same_iou",),
        ("moments.spans", "moments.least"), ("moments.pad",),
    ),
    "dtos": (
        ("grounder.tracks", "rule.threshold"), ("rule.no_target_threshold", "grounder.presence"), ("rule.same_iou",),
        ("moments.spans", "moments.least"),
    ),
    "reranked": (
        ("grounder.tracks", "rule.threshold"), ("rule.no_target_threshold", "grounder.presence"), ("rule.same_iou",),
        ("grounder.top",), ("moments.spans", "moments.least"),
    ),
}  # fmt: skip
"""Numbers that are tried together, since one moves what the other should be."""


@dataclass(frozen=True)
class Case:
    """One expression: what is known about it, and how well a choice answers it, 0..1.

    timely: how well it says when, 0..1; None where nothing is known of that.
    """

    given: Evidence
    score: Callable[[Choice], float]
    timely: Callable[[Choice], float] | None = None


def mean_scores(cases: Sequence[Case], weights: Weights) -> tuple[float, float]:
    """Mean score of the mode's choices, and how well they say when, 0..1; the latter 0 where no case knows.

    Raises:
        InputError: when there is no case.
    """
    if not cases:
        raise InputError("fusion fit: expected at least one expression, got none")
    choices = [MODES[weights.mode](case.given, weights) for case in cases]
    pairs = list(zip(cases, choices, strict=True))
    when = [case.timely(choice) for case, choice in pairs if case.timely is not None]
    return float(np.mean([case.score(choice) for case, choice in pairs])), float(np.mean(when)) if when else 0.0


def fit(cases: Sequence[Case], start: Weights, progress: Progress | None = None) -> Weights:
    """The weights of `start`'s mode that score best, found block after block from `start`'s numbers, twice over.

    Numbers stay where nothing else scores better, so that a fit never does worse on `cases` than `start`.

    Args:
        cases: expressions with known answers.
        start: mode and first numbers.
        progress: called with (done, total) candidates.

    Raises:
        InputError: when there is no case, or the mode lacks scores that it needs.
    """
    best, score = start, mean_scores(cases, start)
    blocks = BLOCKS[start.mode] * ROUNDS
    total, done = sum(len(list(_values(block))) for block in blocks), 0
    for block in blocks:
        for values in _values(block):
            tried = _with(best, dict(zip(block, values, strict=True)))
            result = score if tried == best else mean_scores(cases, tried)
            if _better(result, score):
                best, score = tried, result
            done += 1
            if progress is not None:
                progress(done, total)
    return replace(best, fitted={"expressions": len(cases), "score": round(score[0], 6)})


def _better(result: tuple[float, float], score: tuple[float, float]) -> bool:
    """Whether the first number is greater, or the second where the first are the same."""
    if abs(result[0] - score[0]) > _LEAST_GAIN:
        return result[0] > score[0]
    return result[1] > score[1] + _LEAST_GAIN


def _values(block: tuple[str, ...]) -> Iterator[tuple[float, ...]]:
    return itertools.product(*(GRID[name] for name in block))


def _with(weights: Weights, numbers: Mapping[str, float]) -> Weights:
    for name, value in numbers.items():
        part, key = name.split(".")
        weights = replace(weights, **{part: replace(getattr(weights, part), **{key: value})})
    return weights
