"""What a check of a submission says, and the limits that keep a damaged file from filling the memory.

Knows sentences. Does not know formats.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

SHOWN: Final = 50


@dataclass(frozen=True)
class SubmissionCheck:
    """Sentences about a submission. problems: a server refuses it or loses answers.   remarks: it scores less.

    entries: files that were looked at.   The first 50 sentences of each kind are kept; the counts are of all.
    """

    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    entries: int
    problem_count: int
    remark_count: int

    @property
    def good(self) -> bool:
        """Whether there is no problem."""
        return self.problem_count == 0


class Findings:
    """Collects sentences for a SubmissionCheck."""

    def __init__(self) -> None:
        self._problems: list[str] = []
        self._remarks: list[str] = []
        self._counts = [0, 0]

    def problem(self, sentence: str) -> None:
        """Note what a server refuses, or what it would leave out or score as nothing."""
        self._note(0, self._problems, sentence)

    def problems(self, sentences: Iterable[str]) -> None:
        """Note several."""
        for sentence in sentences:
            self.problem(sentence)

    def remark(self, sentence: str) -> None:
        """Note what a server takes, but few would want."""
        self._note(1, self._remarks, sentence)

    def result(self, entries: int) -> SubmissionCheck:
        """All that was found in so many files."""
        return SubmissionCheck(tuple(self._problems), tuple(self._remarks), entries, *self._counts)

    def _note(self, kind: int, kept: list[str], sentence: str) -> None:
        self._counts[kind] += 1
        if len(kept) < SHOWN:
            kept.append(sentence)
