"""Answers that must come at the right time: MAGQA's in-span score, duplicates, and PAUC.

Definitions: MMDuet (Wang et al., 2024; in-span score of Shot2Story-MAGQA) and ProactiveVideoQA (Wang et al., 2025;
PAUC). Knows replies with times and gold answers with spans. Does not know videos, or who judges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from core.errors import InputError

LOWEST: Final = 1
HIGHEST: Final = 5
OMEGA: Final = 0.5
"""Share of a span that a reply at its very end still earns: times are shrunk to (1 - OMEGA) of the span."""
SILENCE: Final = 0.5
"""What counts before the first reply, on the scale 0..HIGHEST - LOWEST."""


@dataclass(frozen=True)
class Reply:
    """What a model said, and when in seconds; None where it answered once for the whole video."""

    text: str
    time: float | None


@dataclass(frozen=True)
class GoldAnswer:
    """A true answer and the span, both ends included, in which it is due."""

    text: str
    start: float
    end: float

    def __post_init__(self) -> None:
        """Refuse reversed and infinite spans."""
        if not (math.isfinite(self.start) and math.isfinite(self.end) and 0 <= self.start <= self.end):
            raise InputError(f"gold answer: expected 0 <= start <= end in seconds, got {self.start}..{self.end}")

    def spans(self, reply: Reply) -> bool:
        """Whether a reply came in time; one without a time always does."""
        return reply.time is None or self.start <= reply.time <= self.end


class ReplyJudge(Protocol):
    """Who rates a reply against a true answer, usually a language model."""

    def rate(self, question: str, truth: str, reply: str) -> int:
        """1 (wrong) to 5 (all there)."""


@dataclass(frozen=True)
class TimelyScore:
    """One example. in_span: 1..5.   pauc: 0..1.   replies, distinct: how many, and how many of different words."""

    in_span: float
    pauc: float
    replies: int
    distinct: int


@dataclass(frozen=True)
class TimelyFigures:
    """in_span: mean in 1..5, as published.   pauc: mean in 0..1.   duplicates: share of replies that repeat an earlier
    one word for word.

    turns, distinct_turns: replies an example.   n examples; failures: those without a reply, which score the least.
    """

    in_span: float
    pauc: float
    duplicates: float
    turns: float
    distinct_turns: float
    n: int
    failures: int


def read_rating(text: str) -> int:
    """A judge's words as 1..5: their first character, or 1 where it is none of these digits, as MMDuet reads them."""
    return int(text[0]) if text[:1] in {"1", "2", "3", "4", "5"} else LOWEST


def score_replies(
    question: str, answers: Sequence[GoldAnswer], replies: Sequence[Reply], judge: ReplyJudge
) -> TimelyScore:
    """Score the replies to one question; the judge is asked once for each pair of texts that meet in a span.

    In-span score: for each true answer the mean rating of the replies in its span, 1 if there is none; then the mean
    over answers. PAUC: for each true answer the area under the latest reply's rating over its span; then the mean.

    Raises:
        InputError: without a true answer, for a time that is no number, or a rating outside 1..5.
    """
    if not answers:
        raise InputError("replies: expected at least one true answer, got none")
    if any(r.time is not None and not math.isfinite(r.time) for r in replies):
        raise InputError("replies: expected finite times or none, got one that is not")
    known: dict[tuple[str, str], int] = {}

    def rating(answer: GoldAnswer, reply: Reply) -> int:
        pair = (answer.text, reply.text)
        if pair not in known:
            known[pair] = _checked(judge.rate(question, *pair))
        return known[pair]

    in_span, areas = [], []
    for answer in answers:
        timely = sorted((r for r in replies if answer.spans(r)), key=lambda r: _time(r, answer))
        ratings = [rating(answer, reply) for reply in timely]
        in_span.append(math.fsum(ratings) / len(ratings) if ratings else float(LOWEST))
        first_said = {r.text: (r, value) for r, value in zip(reversed(timely), reversed(ratings), strict=True)}
        areas.append(pauc(answer, [(_time(r, answer), value - LOWEST) for r, value in first_said.values()]))
    return TimelyScore(
        in_span=math.fsum(in_span) / len(answers),
        pauc=math.fsum(areas) / len(answers),
        replies=len(replies),
        distinct=len({r.text for r in replies}),
    )


def pauc(answer: GoldAnswer, points: Sequence[tuple[float, float]], omega: float = OMEGA) -> float:
    """Area, in 0..1, under the latest of `points` (time in seconds, worth in 0..4) over the span of `answer`.

    Times count from the start of the span and are shrunk to (1 - omega) of it; before the first point the worth is 0.5.
    A span that lasts no time is worth its last point.
    """
    top = HIGHEST - LOWEST
    ordered = sorted(points, key=lambda point: point[0])
    length = answer.end - answer.start
    if length == 0:
        return (ordered[-1][1] if ordered else SILENCE) / top
    area, before, worth = 0.0, 0.0, SILENCE
    for time, value in ordered:
        at = (time - answer.start) * (1 - omega)
        area += (at - before) * worth
        before, worth = at, value
    return (area + (length - before) * worth) / (length * top)


@dataclass
class TimelyTotals:
    """Collects the scores of examples; parts collected apart are merged, in any order, to the same figures."""

    _scores: list[TimelyScore] = field(default_factory=list, repr=False)

    def update(self, *scores: TimelyScore) -> None:
        """Add examples."""
        self._scores.extend(scores)

    def merge(self, other: TimelyTotals) -> None:
        """Add all that `other` has collected."""
        self._scores.extend(other._scores)

    def compute(self) -> TimelyFigures:
        """The figures of all examples; InputError without an example."""
        scores, n = self._scores, len(self._scores)
        if not n:
            raise InputError("replies: expected at least one example, got none")
        replies, distinct = sum(s.replies for s in scores), sum(s.distinct for s in scores)
        return TimelyFigures(
            in_span=math.fsum(s.in_span for s in scores) / n,
            pauc=math.fsum(s.pauc for s in scores) / n,
            duplicates=1 - distinct / replies if replies else 0.0,
            turns=replies / n,
            distinct_turns=distinct / n,
            n=n,
            failures=sum(not s.replies for s in scores),
        )


def _time(reply: Reply, answer: GoldAnswer) -> float:
    """A reply without a time was given after the video: it counts as late as the span allows."""
    return answer.end if reply.time is None else reply.time


def _checked(rating: int) -> int:
    if not LOWEST <= rating <= HIGHEST:
        raise InputError(f"judge: expected a rating in {LOWEST}..{HIGHEST}, got {rating}")
    return rating
