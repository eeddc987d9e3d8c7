"""Answers that become due at a time (multi-answer grounded QA), all in one reply: "T seconds, answer." a line.

A streaming grounder says each answer when it is due, as plain words. Times are seconds. Does not know models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llm_grounder.grammar import Grammar, either, listing, sequence
from llm_grounder.grammar_parts import Literal, Text
from llm_grounder.tasks.clock import read_time
from llm_grounder.tasks.failures import Failure, attempt
from llm_grounder.tasks.listings import POINT, need_words, read_items, sentence, told
from llm_grounder.tasks.moments import time_part
from llm_grounder.tasks.spec import NOTHING, Terms, TimedAnswer, clean, says_none
from llm_grounder.times import write_time
from llm_grounder.types import Task

HALF: Final = 0.5


@dataclass(frozen=True)
class TimedAnswerFormat:
    """See the module."""

    task: Task = Task.TIMED_QA
    prompts: tuple[str, ...] = (
        "{text} Answer each time that there is an answer, with its second.",
        "{text} Give every answer and when it becomes true.",
        "{text} List all answers with their times.",
    )
    metric: str = "in-span score, duplicates (benchmarks.metrics.timely_answers)"

    def write(self, answer: Sequence[TimedAnswer], terms: Terms) -> str:
        """See `TaskFormat`; "none" of no answers."""
        lines = [f"{write_time(a.time, terms.style)} seconds, {sentence(a.text)}" for a in answer]
        return "\n".join(lines) or NOTHING

    def parse(self, reply: str, terms: Terms) -> tuple[TimedAnswer, ...] | Failure:
        """See `TaskFormat`: answers in the reply's order; () where it says that there are none."""
        return attempt(lambda: self._read(reply, terms), reply)

    def grammar(self, terms: Terms) -> Grammar:
        """See `TaskFormat`."""
        if terms.given is not None:
            return told([f"{write_time(due(*window), terms.style)} seconds, " for window in terms.given])
        item = (time_part(terms), Literal(" seconds, "), Text())
        return either(listing(item, "\n"), sequence(Literal(NOTHING)))

    def _read(self, reply: str, terms: Terms) -> tuple[TimedAnswer, ...]:
        text = clean(reply)
        if says_none(text):
            return ()
        items = need_words(read_items(text, POINT))
        return tuple(TimedAnswer(read_time(time, terms.end), words) for (time,), words in items)


def due(start: float, end: float) -> float:
    """The second at which an answer of the seconds [start, end) becomes due: its middle."""
    return start + HALF * (end - start)


def said_once(answers: Sequence[TimedAnswer]) -> tuple[TimedAnswer, ...]:
    """Without answers in the words of an earlier one, of which nobody learns anything."""
    first: dict[str, TimedAnswer] = {}
    for answer in answers:
        first.setdefault(answer.text.casefold(), answer)
    return tuple(first.values())


TIMED_ANSWERS: Final = TimedAnswerFormat()
