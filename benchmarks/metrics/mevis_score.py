"""MeViS's score of a split: J, F and J&F over expressions, and the accuracies of MeViS v2.

The rules are those of `tools/eval_mevis.py` of henghuiding/MeViS, with one difference: an expression that could not be
answered counts 0 and is reported, where the official tool leaves it out of the mean. Knows masks and kinds of
expressions. Does not know readers or caches. T frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics.bits import Masks
from benchmarks.metrics.boundary import region_and_boundary
from core.errors import InputError
from core.validators import check_probability


@dataclass(frozen=True)
class ExpressionScore:
    """One expression's score: j and f, means over all frames in 0..1.

    no_target: that the expression has no target.   empty: that the answer is empty in every frame.
    failed: that there is no answer.   kind: the expression's category, "" for none.
    """

    j: float
    f: float
    no_target: bool
    empty: bool
    failed: bool = False
    kind: str = ""

    def __post_init__(self) -> None:
        """Refuse values outside 0..1."""
        check_probability("j", self.j)
        check_probability("f", self.f)


@dataclass(frozen=True)
class MevisFigures:
    """Means over expressions in 0..1; None where no expression of the sort was scored.

    jf: (j + f) / 2.   n: all expressions, failures included.   failures: those without an answer, counted as 0.
    target_jf: over expressions with targets alone.   no_target_accuracy: share of no-target expressions answered empty
    (N-acc.).   target_accuracy: share of the others answered not empty (T-acc.).   final_score: MeViS v2's, the mean of
    jf and both accuracies, as the tables of its challenges add up; None where either is.
    """

    jf: float
    j: float
    f: float
    target_jf: float | None
    no_target_accuracy: float | None
    target_accuracy: float | None
    final_score: float | None
    n: int
    failures: int


def score_expression(predicted: Masks, truth: Masks, *, no_target: bool, kind: str = "") -> ExpressionScore:
    """Score one answer [T, H, W] against the union of its targets [T, H, W].

    In a frame without truth an empty prediction scores J = F = 1 and any other 0, even one whose outline is empty.

    Raises:
        InputError: when the masks are not of one shape or have no frames, or a no-target expression has true pixels.
    """
    if len(truth) == 0:
        raise InputError("score: expected at least one frame, got none")
    j, f = region_and_boundary(predicted, truth)
    seen, said = truth.any(axis=(1, 2)), predicted.any(axis=(1, 2))  # [T]
    if no_target and seen.any():
        raise InputError(
            f"score: expected no true pixels of a no-target expression, got some in {int(seen.sum())} frames"
        )
    f = np.where(seen, f, ~said)
    return ExpressionScore(float(j.mean()), float(f.mean()), no_target, not said.any(), kind=kind)


def failed_expression(*, no_target: bool, kind: str = "") -> ExpressionScore:
    """The score of an expression without an answer: 0, and wrong about presence either way."""
    return ExpressionScore(0.0, 0.0, no_target, empty=not no_target, failed=True, kind=kind)


class MevisScore:
    """Collects expression scores; parts scored apart are merged, in any order, to the same figures."""

    def __init__(self, scores: Iterable[ExpressionScore] = ()) -> None:
        self._scores = list(scores)

    def update(self, score: ExpressionScore) -> None:
        """Add one expression."""
        self._scores.append(score)

    def merge(self, other: MevisScore) -> None:
        """Add all that `other` has collected."""
        self._scores.extend(other._scores)

    def compute(self) -> MevisFigures:
        """The figures of all expressions; InputError when there is none."""
        scores = self._scores
        j, f = _mean([s.j for s in scores]), _mean([s.f for s in scores])
        if j is None or f is None:
            raise InputError("score: expected at least one expression, got none")
        no_target = _mean([float(s.empty) for s in scores if s.no_target])
        target = _mean([float(not s.empty) for s in scores if not s.no_target])
        jf = (j + f) / 2
        return MevisFigures(
            jf=jf,
            j=j,
            f=f,
            target_jf=_mean([(s.j + s.f) / 2 for s in scores if not s.no_target]),
            no_target_accuracy=no_target,
            target_accuracy=target,
            final_score=None if no_target is None or target is None else (jf + no_target + target) / 3,
            n=len(scores),
            failures=sum(s.failed for s in scores),
        )

    def by_kind(self) -> dict[str, MevisFigures]:
        """The figures of each kind, sorted by name."""
        kinds = sorted({s.kind for s in self._scores})
        return {kind: MevisScore(s for s in self._scores if s.kind == kind).compute() for kind in kinds}


def _mean(values: list[float]) -> float | None:
    # fsum is exact, so that the order of merging does not show.
    return math.fsum(values) / len(values) if values else None
