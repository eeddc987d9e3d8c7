"""Single-object tracking by boxes: success AUC, precision, normalised precision.

Definitions: OTB (Wu et al., TPAMI 2015) for the curves, LaSOT's evaluation toolkit for absent and invalid frames.
Evaluators differ in three points, which `Rules` names, so that no figure is without them:
whether the first frame is scored, what absent frames do, and what an unusable true box counts as. LaSOT's plots leave
sequences whose whole curve is 0 out of the mean; here they are in it.

Knows boxes. Does not know files. T frames; boxes are x, y, w, h in pixels, as benchmarks store them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.boxes import Boxes, box_iou, form
from core.errors import InputError

Flags = NDArray[np.bool_]  # [T]

OVERLAPS = np.arange(21) / 20  # 0, .05, .. 1
DISTANCES = np.arange(51).astype(np.float64)  # pixels; divided by 100 in shares of the true box
PRECISION_AT = 20  # pixels, and .20 of the true box's width and height


class FirstFrame(StrEnum):
    """GIVEN: the first result is the true box, since the tracker was told (LaSOT, pytracking). PREDICTED: as it is."""

    GIVEN = "given"
    PREDICTED = "predicted"


class Unusable(StrEnum):
    """What a frame whose true box is shown, but without area, counts as in both precisions; never as a success.

    MISS: pytracking's centre distances.   HIT: LaSOT's toolkit, which gives it the error -1 and wants x and y above 0,
    too.
    """

    MISS = "miss"
    HIT = "hit"


@dataclass(frozen=True)
class Rules:
    """One evaluator's choices; absent frames never hit, and stay in the denominator."""

    first_frame: FirstFrame = FirstFrame.GIVEN
    unusable: Unusable = Unusable.MISS


LASOT = Rules(FirstFrame.GIVEN, Unusable.HIT)
OTB = Rules(FirstFrame.GIVEN, Unusable.MISS)
AS_PREDICTED = Rules(FirstFrame.PREDICTED, Unusable.MISS)  # mmtracking's, and Elysium's without its clamping of boxes


@dataclass(frozen=True)
class SequenceScore:
    """One sequence's curves in 0..1: success over OVERLAPS [21], precision over DISTANCES [51], and normalised [51].

    attributes: the sequence's own, LaSOT's 14 flags by name.   failed: no result, all curves 0.
    """

    sequence: str
    success: NDArray[np.float64]
    precision: NDArray[np.float64]
    normalised: NDArray[np.float64]
    attributes: tuple[str, ...] = ()
    failed: bool = False


@dataclass(frozen=True)
class SuccessFigures:
    """Means over sequences in 0..1.

    auc: mean of the success curve; 20/21 for a perfect tracker.   precision: at 20 pixels.
    normalised_precision: at 0.20 of the true box (LaSOT, OTB).   normalised_precision_auc: mean over 0..0.5
    (TrackingNet, got10k's toolkit), not to be compared with it.   n: sequences.   failures: of them, scored 0.
    """

    auc: float
    precision: float
    normalised_precision: float
    normalised_precision_auc: float
    n: int
    failures: int


def score_boxes(
    sequence: str,
    predicted: Boxes,
    truth: Boxes,
    *,
    absent: Flags | None = None,
    rules: Rules = OTB,
    attributes: tuple[str, ...] = (),
) -> SequenceScore:
    """Score one sequence. A predicted box with NaN or without area repeats the one before; surplus frames are cut.

    Raises:
        InputError: for arrays of another form, no frame, fewer results than frames, or true boxes that are not finite
            in a frame that is not absent.
    """
    shown = _shown(sequence, truth, absent)
    predicted = _prepared(sequence, predicted, truth, rules)
    valid = shown & (truth[:, 2:] > 0).all(axis=1)
    if rules.unusable is Unusable.HIT:
        valid &= (truth[:, :2] > 0).all(axis=1)  # as the toolkit does: a box at the image's edge is unusable to it
    safe = np.where(valid[:, None], truth, 1.0)
    iou = np.where(valid, box_iou(predicted, safe), -1.0)
    offset = (predicted[:, :2] + (predicted[:, 2:] - 1) / 2) - (safe[:, :2] + (safe[:, 2:] - 1) / 2)  # [T, 2]
    missed = np.where(shown & (rules.unusable is Unusable.HIT), -1.0, np.inf)
    distance = np.where(valid, np.hypot(*offset.T), missed)
    share = np.where(valid, np.hypot(*(offset / safe[:, 2:]).T), missed)
    return SequenceScore(
        sequence,
        (iou[:, None] > OVERLAPS).mean(axis=0),
        (distance[:, None] <= DISTANCES).mean(axis=0),
        (share[:, None] <= DISTANCES / 100).mean(axis=0),
        attributes,
    )


def failed_boxes(sequence: str, attributes: tuple[str, ...] = ()) -> SequenceScore:
    """The score of a sequence without a result."""
    none = np.zeros(len(DISTANCES))
    return SequenceScore(sequence, np.zeros(len(OVERLAPS)), none, none, attributes, failed=True)


def frozen_first(truth: Boxes) -> Boxes:
    """The baseline that never moves: the first true box in every frame, [T, 4]."""
    return np.repeat(truth[:1], len(truth), axis=0)


def middle_box(width: int, height: int, frames: int) -> Boxes:
    """The baseline that looks at nothing: the middle of the picture, half as wide and high, [T, 4]."""
    return np.tile(np.array([width / 4, height / 4, width / 2, height / 2]), (frames, 1))


class SuccessScore:
    """Collects sequence scores; parts scored apart are merged, in any order, to the same figures."""

    def __init__(self, scores: Iterable[SequenceScore] = ()) -> None:
        self._scores = list(scores)

    def update(self, score: SequenceScore) -> None:
        """Add one sequence."""
        self._scores.append(score)

    def merge(self, other: SuccessScore) -> None:
        """Add all that `other` has collected."""
        self._scores.extend(other._scores)

    def compute(self) -> SuccessFigures:
        """The figures over all sequences, each of which weighs the same; InputError when there is none."""
        if not self._scores:
            raise InputError("score: expected at least one sequence, got none")
        return SuccessFigures(
            auc=self._mean(lambda s: s.success.mean()),
            precision=self._mean(lambda s: s.precision[PRECISION_AT]),
            normalised_precision=self._mean(lambda s: s.normalised[PRECISION_AT]),
            normalised_precision_auc=self._mean(lambda s: s.normalised.mean()),
            n=len(self._scores),
            failures=sum(s.failed for s in self._scores),
        )

    def by_attribute(self) -> dict[str, SuccessFigures]:
        """The figures of the sequences with each attribute, sorted by name."""
        names = sorted({name for s in self._scores for name in s.attributes})
        return {name: SuccessScore(s for s in self._scores if name in s.attributes).compute() for name in names}

    def _mean(self, value: Callable[[SequenceScore], float]) -> float:
        # fsum is exact, so that the order of merging does not show.
        return math.fsum(float(value(s)) for s in self._scores) / len(self._scores)


def _shown(sequence: str, truth: Boxes, absent: Flags | None) -> Flags:
    """Frames in which the target is there, [T]."""
    if truth.dtype != np.float64 or truth.ndim != 2 or truth.shape[1] != 4 or not len(truth):
        raise InputError(f"sequence {sequence!r}: expected true boxes as float64 [T, 4], got {form(truth)}")
    if absent is not None and (absent.dtype != np.bool_ or absent.shape != truth.shape[:1]):
        raise InputError(f"sequence {sequence!r}: expected {len(truth)} absence flags, got {form(absent)}")
    shown = np.ones(len(truth), dtype=np.bool_) if absent is None else ~absent
    broken = shown & ~np.isfinite(truth).all(axis=1)
    if broken.any():
        raise InputError(f"sequence {sequence!r}: expected finite true boxes, got others in {int(broken.sum())} frames")
    return shown


def _prepared(sequence: str, predicted: Boxes, truth: Boxes, rules: Rules) -> Boxes:
    """The result as it is scored, [T, 4]."""
    if predicted.dtype != np.float64 or predicted.ndim != 2 or predicted.shape[1] != 4:
        raise InputError(f"sequence {sequence!r}: expected boxes as float64 [T, 4], got {form(predicted)}")
    if len(predicted) < len(truth):
        raise InputError(f"sequence {sequence!r}: expected {len(truth)} boxes, one a frame, got {len(predicted)}")
    predicted = predicted[: len(truth)].copy()
    usable: Flags = np.logical_and(np.isfinite(predicted).all(axis=1), (predicted[:, 2:] > 0).all(axis=1))
    if not usable[0]:
        predicted[0] = np.nan  # repeats nothing, and is nowhere near anything
    source = np.maximum.accumulate(np.where(usable, np.arange(len(predicted)), 0))
    predicted = predicted[source]
    if rules.first_frame is FirstFrame.GIVEN:
        predicted[0] = truth[0]
    return predicted
