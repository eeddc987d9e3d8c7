"""Highlights: times worth seeing, with a score. Wanted: "T seconds, significance score: X." a line.

VTG-IT's captions after the score and its sentences on one line are read too. Times are seconds, scores 0..5. Does not
know models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import InputError
from llm_grounder.grammar import Grammar, either, listing, sequence
from llm_grounder.grammar_parts import Literal, Number
from llm_grounder.tasks.clock import read_time
from llm_grounder.tasks.failures import Failure, FailureKind, MalformedReply, attempt
from llm_grounder.tasks.listings import POINT, Item, read_items, sentence
from llm_grounder.tasks.moments import time_part
from llm_grounder.tasks.spec import NOTHING, Highlight, Terms, clean, says_none
from llm_grounder.times import write_time
from llm_grounder.types import Task

BEST: Final = 5.0

_NAME: Final = r"(?:significance|saliency|salience)(?:\s+score)?\s*[:=]?\s*"
_HEAD: Final = rf"{POINT}{_NAME}(-?[0-9.]+)(?:\s*/\s*5)?(?![0-9])(?:\s*[.,;:](?=\s|$)|$)"


@dataclass(frozen=True)
class HighlightFormat:
    """See the module."""

    task: Task = Task.HIGHLIGHTS
    prompts: tuple[str, ...] = (
        "Find the highlights of this: {text}. Give their seconds and a significance score from 0 to 5.",
        "Which seconds show this best: {text}? Score each from 0 to 5.",
        "Rate the times at which this is seen, from 0 to 5: {text}.",
    )
    metric: str = "mAP, HIT@1 (benchmarks.metrics.highlights)"

    def write(self, answer: Sequence[Highlight], terms: Terms) -> str:
        """See `TaskFormat`; "none" of no highlights. InputError for scores outside 0..5."""
        for highlight in answer:
            if not 0 <= highlight.score <= BEST:
                raise InputError(f"highlight: expected a score in 0..{BEST:g}, got {highlight.score}")
        return "\n".join(_line(highlight, terms) for highlight in answer) or NOTHING

    def parse(self, reply: str, terms: Terms) -> tuple[Highlight, ...] | Failure:
        """See `TaskFormat`: highlights in the reply's order; () where it says that there are none."""
        return attempt(lambda: self._read(reply, terms), reply)

    def grammar(self, terms: Terms) -> Grammar:
        """See `TaskFormat`; without words after the score."""
        score = Number(0, int(BEST * 10))
        item = (time_part(terms), Literal(" seconds, significance score: "), score, Literal("."))
        return either(listing(item, "\n"), sequence(Literal(NOTHING)))

    def _read(self, reply: str, terms: Terms) -> tuple[Highlight, ...]:
        text = clean(reply)
        if says_none(text):
            return ()
        items = read_items(text, _HEAD)
        return tuple(_highlight(item, terms) for item in items)


def _line(highlight: Highlight, terms: Terms) -> str:
    head = f"{write_time(highlight.time, terms.style)} seconds, significance score: {highlight.score:.1f}"
    return f"{head}, {sentence(highlight.text)}" if highlight.text.strip() else f"{head}."


def _highlight(item: Item, terms: Terms) -> Highlight:
    (time, said), words = item
    if not re.fullmatch(r"-?[0-9]+(?:\.[0-9]+)?\.?", said):
        raise MalformedReply(FailureKind.LEFTOVER, f"expected a score as a number, got {said[:20]!r}")
    score = float(said.rstrip("."))
    if not 0 <= score <= BEST:
        raise MalformedReply(FailureKind.OUT_OF_RANGE, f"expected a score in 0..{BEST:g}, got {said[:20]}")
    return Highlight(read_time(time, terms.end), score, words)


HIGHLIGHTS: Final = HighlightFormat()
