"""How well answers say that there is no target: precision, recall and F1 of the empty answers.

Knows scored expressions. Does not know masks. GREx's N-acc. (arXiv 2306.00968) is the recall alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.metrics.mevis_score import ExpressionScore


def no_target_f1(scores: Sequence[ExpressionScore]) -> float | None:
    """2 hits / (2 hits + false alarms + misses) in 0..1; None where there is none of the three.

    A hit is an empty answer to an expression without target, a false alarm one to an expression with a target. An
    expression without an answer is wrong either way.
    """
    hits = sum(s.no_target and s.empty for s in scores)
    wrong = sum(s.no_target != s.empty for s in scores)
    return 2 * hits / (2 * hits + wrong) if hits or wrong else None
