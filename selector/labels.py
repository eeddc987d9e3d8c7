"""Which tracks an expression means, from how well each covers each annotated object.

Knows overlaps. Does not know masks: `benchmarks` measures the overlaps when a cache is made.
"""

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.types import Expression, Labels


def target_columns(labels: Labels, expression: Expression) -> list[int]:
    """Columns of the expression's targets in the labels; [] for a no-target expression.

    Raises:
        InputError: for an expression without annotation, or one whose targets the labels do not have.
    """
    if expression.target_ids is None:
        raise InputError(f"expression {expression.id!r}: expected annotated targets to learn from, got none")
    missing = sorted(set(expression.target_ids) - set(labels.object_ids))
    if missing:
        raise InputError(f"expression {expression.id!r}: expected targets among {labels.object_ids}, got {missing}")
    return [labels.object_ids.index(target) for target in expression.target_ids]


def positives(labels: Labels, expression: Expression, threshold: float = 0.7, least: float = 1.0) -> NDArray[np.bool_]:
    """[N] bool: the track's best mean IoU over the expression's objects is above `threshold` (SOLA's rule).

    least: an object that no track covers so well is meant by the one that covers it best, if by more than this. With 1,
        which is SOLA's, an expression about it is as if it meant nothing.
    """
    found = np.asarray(best_overlap(labels, expression) > threshold)
    if least < threshold and len(found):
        for column in target_columns(labels, expression):
            overlap = labels.iou[:, column]
            best = int(overlap.argmax())
            if least < overlap[best] <= threshold:
                found[best] = True
    return found


def best_overlap(labels: Labels, expression: Expression) -> NDArray[np.float32]:
    """[N] each track's best mean IoU over the expression's objects; 0 for a no-target expression."""
    columns = target_columns(labels, expression)
    if not columns:
        return np.zeros(len(labels.iou), dtype=np.float32)
    return np.asarray(labels.iou[:, columns].max(axis=1))


def overlap_score(labels: Labels, expression: Expression, chosen: NDArray[np.bool_]) -> float:
    """A stand-in for J&F that needs no masks, in 0..1, of choosing the tracks in `chosen` [N] bool.

    Each target counts with the best IoU among the chosen tracks; each chosen track that mostly covers something else
    (precision below 0.5 on every target) counts as one object too many. For a no-target expression 1 if none is chosen.
    Overlapping tracks of one object cost nothing, as in a union of masks. It ranks thresholds; it is no result.
    """
    columns = target_columns(labels, expression)
    if not columns:
        return float(not chosen.any())
    if not chosen.any():
        return 0.0
    covered = float(labels.iou[chosen][:, columns].max(axis=0).sum())
    foreign = int((labels.precision[chosen][:, columns].max(axis=1) < 0.5).sum())
    return covered / (len(columns) + foreign)
