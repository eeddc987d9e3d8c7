"""Where an answer's J&F was lost: four parts that add up to 1 - J&F, so that shares of a split can be told.

Knows J&F of the answer, of its ranking at its best cut, and of the oracle. Does not know masks, models or files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.errors import InputError
from core.validators import check_probability


class Cause(StrEnum):
    """What an answer can be lost by, in the order of the work."""

    STAGE_1 = "stage 1"
    RANKING = "ranking"
    THRESHOLD = "threshold"
    NO_TARGET = "no target"


@dataclass(frozen=True)
class Loss:
    """1 - J&F of one answer in parts, each in 0..1.

    stage_1: no choice of the tracks reaches 1.   ranking: a wrong track scores above a right one.   threshold: the
    order is right, but was cut at another place.   no_target: an answer that should be empty is not, or the reverse.
    """

    stage_1: float
    ranking: float
    threshold: float
    no_target: float

    @property
    def total(self) -> float:
        """1 - J&F."""
        return self.stage_1 + self.ranking + self.threshold + self.no_target

    @property
    def parts(self) -> dict[Cause, float]:
        """Each cause's part."""
        return dict(zip(Cause, (self.stage_1, self.ranking, self.threshold, self.no_target), strict=True))

    @property
    def cause(self) -> Cause | None:
        """The cause with the largest part, the earlier of equal ones; None where nothing was lost."""
        cause, part = max(self.parts.items(), key=lambda item: item[1])
        return cause if part > 0 else None


def lost_by(score: float, cut: float, oracle: float, *, no_target: bool, empty: bool) -> Loss:
    """The parts of one answer's loss.

    The oracle and the cut are found by J, so that either may fall a little below what it bounds: then it is taken to
    be as good as that, and its part is 0. A video without a usable cache has lost everything to stage 1: all scores 0.

    Args:
        score: J&F of the answer, 0..1.
        cut: J&F of the best prefix of the tracks in the order of their scores before the first wrong one, the empty
            prefix included (`tracksift.video_scores.VideoScorer.best_cut`).
        oracle: J&F of the best choice among the tracks that compete.
        no_target: that the expression has no target.
        empty: that the answer is empty.

    Raises:
        InputError: for scores outside 0..1.
    """
    for name, value in (("J&F", score), ("J&F of the best cut", cut), ("J&F of the oracle", oracle)):
        check_probability(name, value)
    cut = max(cut, score)
    oracle = max(oracle, cut)
    decided = cut - score
    wrong_about_presence = no_target != empty
    return Loss(
        stage_1=1 - oracle,
        ranking=oracle - cut,
        threshold=0.0 if wrong_about_presence else decided,
        no_target=decided if wrong_about_presence else 0.0,
    )


def loss_shares(losses: Sequence[Loss]) -> Mapping[Cause, float]:
    """Mean part of each cause over the expressions of a split; they add up to 1 - J&F of the split.

    Raises:
        InputError: when there is no expression.
    """
    if not losses:
        raise InputError("loss shares: expected at least one expression, got none")
    return {cause: math.fsum(loss.parts[cause] for loss in losses) / len(losses) for cause in Cause}


def loss_figures(losses: Sequence[Loss]) -> dict[str, float]:
    """`loss_shares` under flat names (`lost_by_stage_1`, ...) beside `jf`, for a command's last line; {} for none."""
    if not losses:
        return {}
    shares = loss_shares(losses)
    named = {f"lost_by_{cause.replace(' ', '_')}": share for cause, share in shares.items()}
    return {"jf": 1 - math.fsum(shares.values()), **named}
