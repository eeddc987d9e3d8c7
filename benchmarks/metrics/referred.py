"""Ref-YouTube-VOS: J and F of each expression over the frames that the split lists, then the mean over expressions.

The server's code is not public: that every expression weighs the same is what its followers do, not a fact. Unlike by
MeViS's rules, F keeps DAVIS's definition in frames without truth, where a mask that fills the frame has no outline.
Knows masks. Does not know files. T frames.
"""

from benchmarks.metrics.bits import Masks
from benchmarks.metrics.boundary import region_and_boundary
from benchmarks.metrics.mevis_score import ExpressionScore
from core.errors import InputError


def score_referred(predicted: Masks, truth: Masks, kind: str = "") -> ExpressionScore:
    """Score one answer [T, H, W] against its object [T, H, W]; `MevisScore` collects such scores.

    Raises:
        InputError: when the masks are not of one shape or have no frames.
    """
    if len(truth) == 0:
        raise InputError("score: expected at least one frame, got none")
    j, f = region_and_boundary(predicted, truth)
    return ExpressionScore(float(j.mean()), float(f.mean()), False, not predicted.any(), kind=kind)
