"""Moments that a sentence names, and the times that a summary keeps: windows of time.

Wanted: "S - E seconds, S - E seconds." or "none". Times are seconds. Does not know models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import InputError
from core.types import TimeSpan
from llm_grounder.grammar import Grammar, Part, either, listing, sequence
from llm_grounder.grammar_parts import Literal, Number
from llm_grounder.tasks.clock import SIGNS
from llm_grounder.tasks.failures import Failure, attempt
from llm_grounder.tasks.spec import NOTHING, Terms, clean, says_none
from llm_grounder.tasks.windows import read_windows
from llm_grounder.times import LONGEST, TimeStyle, write_time
from llm_grounder.types import Task

Spans = tuple[TimeSpan, ...]


@dataclass(frozen=True)
class WindowFormat:
    """A task whose answer is windows."""

    task: Task
    prompts: tuple[str, ...]
    metric: str

    def write(self, answer: Sequence[TimeSpan], terms: Terms) -> str:
        """See `TaskFormat`; "none" of no windows, scores are not said."""
        if not answer:
            return NOTHING
        return ", ".join(f"{write_window(s.start, s.end, terms.style)} seconds" for s in answer) + "."

    def parse(self, reply: str, terms: Terms) -> Spans | Failure:
        """See `TaskFormat`: the windows in the reply's order, without scores; () where it says that there is none."""
        return attempt(lambda: self._read(reply, terms), reply)

    def grammar(self, terms: Terms) -> Grammar:
        """See `TaskFormat`."""
        item = (*window_parts(terms), Literal(" seconds"))
        return either(listing(item, ", ", "."), sequence(Literal(NOTHING)))

    def _read(self, reply: str, terms: Terms) -> Spans:
        text = clean(reply)
        if says_none(text):
            return ()
        return tuple(TimeSpan(first, last) for first, last in read_windows(text, terms.end))


def write_window(start: float, end: float, style: TimeStyle) -> str:
    """A window as "S - E"; InputError where a tenth of a second cannot tell start from end."""
    if not round(start, 1) < round(end, 1):
        raise InputError(f"window: expected a start a tenth of a second or more before its end, got {start}..{end}")
    return f"{write_time(start, style)} - {write_time(end, style)}"


def time_part(terms: Terms, *, keeps: bool = False, above: int | None = None) -> Number:
    """A time up to the clip's end as it is written; one that keeps itself leaves room for a later one."""
    high = round(float(f"{terms.end:.1f}") * 10)
    signs, width = None, 0
    if terms.style == "tokens":
        signs, width, high = SIGNS, 4, min(high, int(LONGEST * 10))
    return Number(0, high - 1 if keeps else high, above=above, keeps=keeps, width=width, signs=signs)


def window_parts(terms: Terms) -> tuple[Part, ...]:
    """A window whose end is after its start."""
    return time_part(terms, keeps=True), Literal(" - "), time_part(terms, above=0)


MOMENTS: Final = WindowFormat(
    Task.MOMENTS,
    (
        "When does this happen: {text}? Name every window.",
        "Find all times at which this can be seen: {text}.",
        "During which seconds of the video: {text}?",
    ),
    "R1@0.5, R1@0.7, mAP (benchmarks.metrics.moments)",
)
SUMMARY: Final = WindowFormat(
    Task.SUMMARY,
    (
        "Which parts should a short summary of the video keep?",
        "Choose the seconds that sum up the video best.",
        "Name the windows that somebody in a hurry should see.",
    ),
    "F1 (benchmarks.metrics.summaries)",
)
