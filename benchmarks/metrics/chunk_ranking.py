"""DiDeMo's figures: a ranking of chunk runs against several annotators.

Definition: Hendricks et al., ICCV 2017. Knows runs of 5-second chunks, [first, last] both included. Does not know
videos. A annotators, K ranked runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from typing import Final

from core.errors import InputError

Run = tuple[int, int]
CHUNKS: Final = 6
RUNS: Final[tuple[Run, ...]] = tuple(combinations_with_replacement(range(CHUNKS), 2))
"""The 21 runs of six chunks that every answer ranks."""
_AGREEING: Final = 3  # of four annotators or more: the best three count, so that one outlier does not


@dataclass(frozen=True)
class ChunkScore:
    """One query: mean rank (from 1) of the best three annotations, mean IoU of the first run with the best three.

    The rank is infinite, and the IoU 0, where there was no answer or an annotation was not ranked.
    """

    rank: float
    iou: float
    failed: bool = False


@dataclass(frozen=True)
class ChunkFigures:
    """Figures in 0..1: share of queries of mean rank at most 1 and 5, mean IoU; n queries, failures counted as 0."""

    recall_1: float
    recall_5: float
    miou: float
    n: int
    failures: int


def score_ranking(ranked: Sequence[Run], annotations: Sequence[Run]) -> ChunkScore:
    """Score an answer, K runs with the best first, against A annotations.

    Raises:
        InputError: for fewer than three annotations, a run that ends before it starts, or one ranked twice.
    """
    if len(annotations) < _AGREEING:
        raise InputError(f"ranking: expected at least {_AGREEING} annotations, got {len(annotations)}")
    for first, last in (*ranked, *annotations):
        if not 0 <= first <= last:
            raise InputError(f"ranking: expected runs 0 <= first <= last, got {first}..{last}")
    places = {run: place for place, run in enumerate(ranked, start=1)}
    if len(places) != len(ranked):
        raise InputError("ranking: expected each run once, got one twice")
    if not ranked:
        return ChunkScore(math.inf, 0.0, failed=True)
    ranks = sorted(places.get(run, math.inf) for run in annotations)[:_AGREEING]
    ious = sorted((run_iou(ranked[0], run) for run in annotations), reverse=True)[:_AGREEING]
    return ChunkScore(sum(ranks) / _AGREEING, sum(ious) / _AGREEING)


def run_iou(first: Run, second: Run) -> float:
    """IoU of two runs of whole chunks."""
    shared = max(0, min(first[1], second[1]) + 1 - max(first[0], second[0]))
    return shared / (max(first[1], second[1]) + 1 - min(first[0], second[0]))


@dataclass
class ChunkTotals:
    """Collects the scores of queries; parts collected apart are merged, in any order, to the same figures."""

    _scores: list[ChunkScore] = field(default_factory=list, repr=False)

    def update(self, *scores: ChunkScore) -> None:
        """Add queries."""
        self._scores.extend(scores)

    def merge(self, other: ChunkTotals) -> None:
        """Add all that `other` has collected."""
        self._scores.extend(other._scores)

    def compute(self) -> ChunkFigures:
        """The figures of all queries; InputError without a query."""
        n = len(self._scores)
        if not n:
            raise InputError("ranking: expected at least one query, got none")
        return ChunkFigures(
            recall_1=sum(s.rank <= 1 for s in self._scores) / n,
            recall_5=sum(s.rank <= 5 for s in self._scores) / n,
            miou=math.fsum(s.iou for s in self._scores) / n,
            n=n,
            failures=sum(s.failed for s in self._scores),
        )
