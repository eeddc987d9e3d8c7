"""Judges of timed answers that need no model: ratings made elsewhere and read from a file, or shared words.

Published figures come from a language model as judge; its ratings, made once, are a file here. Shared words are for
checking a pipeline offline and are no substitute: a figure names its judge. Knows texts. Does not know questions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from benchmarks.annotation_files import Entry, once, read_json_lines, validated
from benchmarks.metrics.timely_answers import HIGHEST, LOWEST
from core.errors import InputError

SHARED_WORDS: Final = "shared words"


class _Rating(Entry):
    question: str
    truth: str
    reply: str
    rating: Annotated[int, Field(ge=LOWEST, le=HIGHEST)]


@dataclass(frozen=True)
class SharedWords:
    """Rates by the F1 of the words that a reply shares with the truth: 1 for none, 5 for all, rounded between."""

    name: str = SHARED_WORDS

    def rate(self, question: str, truth: str, reply: str) -> int:
        """1 to 5."""
        said, wanted = (Counter(text.lower().split()) for text in (reply, truth))
        shared, both = (said & wanted).total(), said.total() + wanted.total()
        return LOWEST + round((HIGHEST - LOWEST) * 2 * shared / both) if both else LOWEST


@dataclass(frozen=True)
class RatingFile:
    """Ratings made before; a pair that was not rated is an error, never a guess. Made by `read_ratings`."""

    path: Path
    known: Mapping[tuple[str, str, str], int]

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def rate(self, question: str, truth: str, reply: str) -> int:
        """1 to 5; InputError for a pair that the file does not have."""
        key = (question, truth, reply)
        if key not in self.known:
            raise InputError(
                f"{self.path}: expected a rating of the reply {reply[:60]!r} to {truth[:60]!r}, found none"
            )
        return self.known[key]


def read_ratings(path: Path) -> RatingFile:
    """JSON lines {question, truth, reply, rating}; AnnotationError where one is malformed or comes twice."""
    known: dict[tuple[str, str, str], int] = {}
    seen: set[str] = set()
    for place, value in read_json_lines(Path(path)):
        line = validated(_Rating, value, place)
        key = (line.question, line.truth, line.reply)
        once(seen, repr(key), place)
        known[key] = line.rating
    return RatingFile(Path(path), known)
