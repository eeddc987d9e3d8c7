"""The numbers of a mode, fitted on expressions whose answers are known: the best of a grid, a few numbers at a time.

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
        ("grounder.top",),
    ),
}  # fmt: skip
"""Numbers that are tried together, since one moves what the other should be."""


@dataclass(frozen=True)
class Case:
    """One expression: what is known about it, and how well a choice answers it, 0..1."""

    given: Evidence
    score: Callable[[Choice], float]


def mean_score(cases: Sequence[Case], weights: Weights) -> float:
    """Mean score of the mode's choices, 0..1.

    Raises:
        InputError: when there is no case.
    """
    if not cases:
        raise InputError("fusion fit: expected at least one expression, got none")
    decide = MODES[weights.mode]
    return float(np.mean([case.score(decide(case.given, weights)) for case in cases]))


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
    best, score = start, mean_score(cases, start)
    blocks = BLOCKS[start.mode] * ROUNDS
    total, done = sum(len(list(_values(block))) for block in blocks), 0
    for block in blocks:
        for values in _values(block):
            tried = _with(best, dict(zip(block, values, strict=True)))
            result = score if tried == best else mean_score(cases, tried)
            if result > score + _LEAST_GAIN:
                best, score = tried, result
            done += 1
            if progress is not None:
                progress(done, total)
    return replace(best, fitted={"expressions": len(cases), "score": round(score, 6)})


def _values(block: tuple[str, ...]) -> Iterator[tuple[float, ...]]:
    return itertools.product(*(GRID[name] for name in block))


def _with(weights: Weights, numbers: Mapping[str, float]) -> Weights:
    for name, value in numbers.items():
        part, key = name.split(".")
        weights = replace(weights, **{part: replace(getattr(weights, part), **{key: value})})
    return weights
