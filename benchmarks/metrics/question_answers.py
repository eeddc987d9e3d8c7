"""Accuracy of answers to questions: of one word, of a choice, or as a judge says.

Open questions of MSVD, MSRVTT, TGIF and ActivityNet QA have one short answer; published figures come from exact match
(classifiers) or from a language model as judge, and the two cannot be compared. Knows texts. Does not know videos, or
who judges.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from core.errors import InputError

TOP: Final = 5.0  # of a judge's scale

_PUNCTUATION: Final = str.maketrans(dict.fromkeys(string.punctuation, " "))
_LETTER: Final = re.compile(
    r"\W*(?:(?:the\s+)?(?:answer|option)(?:\s+is)?\W+)?\(?([A-Za-z])(?:[).:,]|\s*$)", re.ASCII | re.IGNORECASE
)
_VERDICT: Final = re.compile(r"['\"]?pred['\"]?\s*:\s*['\"]?(yes|no)\b", re.IGNORECASE)
_SCORE: Final = re.compile(r"['\"]?score['\"]?\s*:\s*['\"]?([0-5](?:\.\d+)?)(?![\d.])", re.IGNORECASE)


@dataclass(frozen=True)
class AnswerScore:
    """One question: whether the answer was right, a judge's score in 0..1 where there was one, and its kind.

    failed: no answer came, or the judge's word could not be read; wrong then.
    """

    right: bool
    score: float | None = None
    kind: str = ""
    failed: bool = False


@dataclass(frozen=True)
class AnswerFigures:
    """accuracy in 0..1; score: mean of the judge's scores in 0..1, failures as 0, None without a judge; n questions."""

    accuracy: float
    score: float | None
    n: int
    failures: int


class AnswerJudge(Protocol):
    """Who says whether a free answer means the same as the true one, usually a language model."""

    def judge(self, question: str, truth: str, answer: str) -> str:
        """The judge's own words, to be read by `read_verdict`."""


def exact_match(answer: str, truth: str, kind: str = "") -> AnswerScore:
    """Right where both are the same words; case, punctuation and blanks do not count, articles do."""
    return AnswerScore(_words(answer) == _words(truth), kind=kind, failed=not _words(answer))


def choice_match(answer: str, options: Sequence[str], truth: int, kind: str = "") -> AnswerScore:
    """Right where the answer names the option `truth` (from 0), by letter ("B", "(b) a dog", "Answer: B.") or by text.

    An answer that names none is a failure, and wrong.

    Raises:
        InputError: for fewer than two options, or a truth that is none of them.
    """
    if not (2 <= len(options) <= len(string.ascii_uppercase)) or not 0 <= truth < len(options):
        raise InputError(f"choice: expected 2 to 26 options and a truth among them, got {len(options)} and {truth}")
    chosen = read_choice(answer, options)
    return AnswerScore(chosen == truth, kind=kind, failed=chosen is None)


def read_choice(answer: str, options: Sequence[str]) -> int | None:
    """The option (from 0) that an answer names; None where it names none."""
    same = [i for i, option in enumerate(options) if _words(option) == _words(answer)]
    if len(same) == 1:
        return same[0]
    found = _LETTER.match(answer)
    index = string.ascii_uppercase.index(found[1].upper()) if found else len(options)
    return index if index < len(options) else None


def judged(question: str, truth: str, answer: str, judge: AnswerJudge, kind: str = "") -> AnswerScore:
    """The judge's word on one answer; a blank answer is a failure without asking."""
    if not answer.strip():
        return AnswerScore(False, 0.0, kind, failed=True)
    return read_verdict(judge.judge(question, truth, answer), kind)


def read_verdict(text: str, kind: str = "") -> AnswerScore:
    """Read {"pred": "yes" or "no", "score": 0 to 5}, in any quotes and with words around it.

    A text without both is a failure and wrong, never left out.
    """
    right, score = _VERDICT.search(text), _SCORE.search(text)
    if right is None or score is None:
        return AnswerScore(False, 0.0, kind, failed=True)
    value = float(score[1])
    if value > TOP:
        return AnswerScore(False, 0.0, kind, failed=True)
    return AnswerScore(right[1].lower() == "yes", value / TOP, kind)


@dataclass
class AnswerTotals:
    """Collects the scores of questions; parts collected apart are merged, in any order, to the same figures."""

    _scores: list[AnswerScore] = field(default_factory=list, repr=False)

    def update(self, *scores: AnswerScore) -> None:
        """Add questions."""
        self._scores.extend(scores)

    def merge(self, other: AnswerTotals) -> None:
        """Add all that `other` has collected."""
        self._scores.extend(other._scores)

    def compute(self) -> AnswerFigures:
        """The figures of all questions; InputError without a question, or with a judge for some alone."""
        n = len(self._scores)
        if not n:
            raise InputError("answers: expected at least one question, got none")
        scores = [s.score for s in self._scores if s.score is not None]
        if len(scores) not in {0, n}:
            raise InputError(f"answers: expected a judge's score for all {n} questions or none, got {len(scores)}")
        return AnswerFigures(
            accuracy=sum(s.right for s in self._scores) / n,
            score=math.fsum(scores) / n if scores else None,
            n=n,
            failures=sum(s.failed for s in self._scores),
        )

    def by_kind(self) -> dict[str, AnswerFigures]:
        """The figures of each kind, sorted by name."""
        kinds = sorted({s.kind for s in self._scores})
        return {kind: AnswerTotals([s for s in self._scores if s.kind == kind]).compute() for kind in kinds}


def _words(text: str) -> list[str]:
    return text.lower().translate(_PUNCTUATION).split()
