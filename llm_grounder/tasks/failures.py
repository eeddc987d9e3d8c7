"""Why a reply could not be read, as a value that is counted.

Parsers raise `MalformedReply` inside and return `Failure` at their border. Knows texts. Does not know tasks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from core.errors import TrackSiftError

Value = TypeVar("Value")
QUOTED: Final = 200  # characters of a reply that a failure keeps


class FailureKind(StrEnum):
    """What is wrong with a reply."""

    EMPTY = "empty"  # no letter and no digit
    TRUNCATED = "truncated"  # ends amid an item
    NO_ITEMS = "no_items"  # words, but none of what was asked for
    LEFTOVER = "leftover"  # numbers or words that belong to no item
    BAD_TIME = "bad_time"  # a time that is none, or in another unit
    BAD_BOX = "bad_box"  # not four whole numbers
    INVERTED = "inverted"  # an end that is not after its start
    OUT_OF_RANGE = "out_of_range"  # beyond the clip, the picture or the scale
    MISSING_PART = "missing_part"  # an item without its text or score
    MISCOUNTED = "miscounted"  # other frames than were asked for
    UNKNOWN_OPTION = "unknown_option"  # none of the options
    CONTRADICTION = "contradiction"  # two answers where one was asked for
    BROKEN_JSON = "broken_json"  # begins as JSON and is none
    MARKUP = "markup"  # special tokens among the words


@dataclass(frozen=True)
class Failure:
    """A reply that could not be read: what is wrong, a sentence that says where, and the reply's beginning."""

    kind: FailureKind
    detail: str
    text: str


class MalformedReply(TrackSiftError):
    """Inside parsers only: becomes a `Failure` in `attempt`."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def attempt(read: Callable[[], Value], text: str) -> Value | Failure:
    """What `read` returns, or the failure that it met on `text`."""
    try:
        return read()
    except MalformedReply as error:
        return Failure(error.kind, str(error), text[:QUOTED])


@dataclass
class FailureCounts:
    """How many replies of a task were read and how many failed, by kind."""

    replies: int = 0
    kinds: Counter[FailureKind] = field(default_factory=Counter)

    def update(self, parsed: object) -> None:
        """Count one parsed reply, a `Failure` or not."""
        self.replies += 1
        if isinstance(parsed, Failure):
            self.kinds[parsed.kind] += 1

    def add(self, other: FailureCounts) -> None:
        """Count what another counted."""
        self.replies += other.replies
        self.kinds.update(other.kinds)

    @property
    def failures(self) -> int:
        """How many failed."""
        return self.kinds.total()

    def compute(self) -> dict[str, int | float]:
        """`replies`, `failures`, `failure_rate` in 0..1 (0 of no replies), and `failures_KIND` of each kind met."""
        rate = self.failures / self.replies if self.replies else 0.0
        counted = {f"failures_{kind}": count for kind, count in sorted(self.kinds.items())}
        return {"replies": self.replies, "failures": self.failures, "failure_rate": rate} | counted
