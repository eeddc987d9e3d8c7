"""What happens in a stream: frames, questions, replies and silences, and how long frames take.

Knows times and words. Does not know models or policies.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.validators import check_text
from llm_grounder.policy import Verdict


class EventKind(StrEnum):
    """What happened."""

    QUESTION = "question"
    FRAME = "frame"
    REPLY = "reply"
    SILENCE = "silence"


@dataclass(frozen=True)
class Event:
    """Something that happened in a stream at a time in seconds.

    text: of a question, a reply, or the words of a silence.   question: index of the last question, None before the
    first.   scores: of a frame, by head.   verdict: of a reply or silence.   milliseconds: of work for a frame.
    """

    kind: EventKind
    time: float
    text: str = ""
    question: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    verdict: Verdict | None = None
    milliseconds: float = 0.0

    def line(self) -> dict[str, object]:
        """What is known of it, JSON-able: kind and time, and the rest where it is not empty."""
        line: dict[str, object] = {"kind": self.kind.value, "time": self.time, "question": self.question}
        if self.kind is EventKind.FRAME:
            return line | {"scores": dict(self.scores), "milliseconds": self.milliseconds}
        return line | {"text": self.text} | ({"verdict": self.verdict.value} if self.verdict else {})


@dataclass(frozen=True)
class Question:
    """A question and when it is asked, seconds; it is read before the first frame whose time is not earlier."""

    time: float
    text: str

    def __post_init__(self) -> None:
        """Refuse blank questions."""
        check_text(f"question at {self.time} s", self.text)


class Latencies:
    """Milliseconds a frame: count, mean and maximum of all, median and 95th percentile of the last 1,000."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=1000)
        self._count, self._sum, self._most = 0, 0.0, 0.0

    def add(self, milliseconds: float) -> None:
        """Take one in."""
        self._last.append(milliseconds)
        self._count, self._sum = self._count + 1, self._sum + milliseconds
        self._most = max(self._most, milliseconds)

    def figures(self) -> dict[str, float | int | None]:
        """Under flat names; None where no frame came."""
        ordered = sorted(self._last)

        def at(share: float) -> float | None:
            return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

        return {
            "frames": self._count,
            "ms_mean": self._sum / self._count if self._count else None,
            "ms_median": at(0.5),
            "ms_p95": at(0.95),
            "ms_max": self._most if self._count else None,
        }
