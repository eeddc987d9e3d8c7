"""Highlight detection: mean average precision and HIT@1 of clip saliency, as QVHighlights' evaluator computes them.

Definition: Lei et al., NeurIPS 2021. Knows scores of clips. Does not know videos. B clips, A annotators.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.validators import check_array, check_finite

LEVELS: Final[Mapping[str, int]] = {"Fair": 2, "Good": 3, "VeryGood": 4}
"""From which score of an annotator (0..4) a clip counts as a highlight."""


@dataclass(frozen=True)
class HighlightScore:
    """One query: level -> AP, the mean over annotators; level -> whether the clip predicted best is a highlight."""

    ap: Mapping[str, float]
    hit: Mapping[str, bool]
    failed: bool = False


@dataclass(frozen=True)
class HighlightFigures:
    """Figures of one level in 0..1; n queries, of which `failures` had no prediction and count as 0."""

    map: float
    hit1: float
    n: int
    failures: int


def score_highlights(saliency: Sequence[float] | NDArray[np.float64], truth: NDArray[np.float64]) -> HighlightScore:
    """Score predicted saliency of clips, any real numbers, against `truth` [B, A] in 0..4.

    For AP too many predictions are cut and missing ones are 0, even where that beats negative scores. HIT@1 takes the
    first clip of the highest score as predicted and asks whether any annotator calls it a highlight; a clip beyond the
    video is a miss. No prediction at all is a failure: 0.

    Raises:
        InputError: for other shapes, numbers that are not finite, or truth without a clip.
    """
    predicted = np.asarray(saliency, dtype=np.float64)
    check_array("predicted saliency", predicted, [None], "f")
    check_finite("predicted saliency", predicted)
    check_array("true saliency", truth, [None, None], "f")
    clips, annotators = truth.shape
    if not clips or not annotators:
        raise InputError("highlights: expected at least one clip and annotator, got none")
    if len(predicted) == 0:
        return HighlightScore(dict.fromkeys(LEVELS, 0.0), dict.fromkeys(LEVELS, False), failed=True)
    fitted = np.zeros(clips)
    fitted[: len(predicted)] = predicted[:clips]
    top = int(np.argmax(predicted))
    ap, hit = {}, {}
    for name, least in LEVELS.items():
        positive = truth >= least  # [B, A]
        ap[name] = float(np.mean([clip_ap(fitted, positive[:, a]) for a in range(annotators)]))
        hit[name] = top < clips and bool(positive[top].any())
    return HighlightScore(ap, hit)


def clip_ap(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """AP of ranking `positive` [B] by `scores` [B]: 0 without a positive clip, 1 where all are.

    The mean, over the values that recall takes as the cut falls through the distinct scores, of the best precision at
    that recall or more. Clips of one score enter together, so that a constant prediction earns the share of positives.
    """
    if positive.all() or not positive.any():
        return float(positive.all())
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    found = np.cumsum(positive[order])[ends]
    best = np.maximum.accumulate((found / (ends + 1))[::-1])[::-1]
    rises = np.diff(found, prepend=0) > 0
    return float(best[rises].mean())


@dataclass
class HighlightTotals:
    """Collects the scores of queries; parts collected apart are merged, in any order, to the same figures."""

    _scores: list[HighlightScore] = field(default_factory=list, repr=False)

    def update(self, *scores: HighlightScore) -> None:
        """Add queries."""
        self._scores.extend(scores)

    def merge(self, other: HighlightTotals) -> None:
        """Add all that `other` has collected."""
        self._scores.extend(other._scores)

    def compute(self) -> dict[str, HighlightFigures]:
        """Level -> figures; InputError without a query."""
        n = len(self._scores)
        if not n:
            raise InputError("highlights: expected at least one query, got none")
        failures = sum(s.failed for s in self._scores)
        return {
            level: HighlightFigures(
                math.fsum(s.ap[level] for s in self._scores) / n,
                sum(s.hit[level] for s in self._scores) / n,
                n,
                failures,
            )
            for level in LEVELS
        }
