"""Dense captions: events with their windows. Wanted: "S - E seconds, words." a line.

VTG-IT's sentences on one line are read too. Times are seconds. Does not know models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llm_grounder.grammar import Grammar, either, listing, sequence
from llm_grounder.grammar_parts import Literal, Text
from llm_grounder.tasks.clock import read_window
from llm_grounder.tasks.failures import Failure, attempt
from llm_grounder.tasks.listings import WINDOW, need_words, read_items, sentence, told
from llm_grounder.tasks.moments import window_parts, write_window
from llm_grounder.tasks.spec import NOTHING, Terms, Told, clean, says_none
from llm_grounder.types import Task


@dataclass(frozen=True)
class CaptionFormat:
    """See the module."""

    task: Task = Task.CAPTIONS
    prompts: tuple[str, ...] = (
        "Tell what happens in the video, each event with its seconds.",
        "List all events of the video with their start and end.",
        "Describe the video event by event and say when each takes place.",
    )
    metric: str = "F1, SODA_c, CIDEr (benchmarks.metrics.dense_captions)"

    def write(self, answer: Sequence[Told], terms: Terms) -> str:
        """See `TaskFormat`; "none" of no events."""
        lines = [f"{write_window(t.start, t.end, terms.style)} seconds, {sentence(t.text)}" for t in answer]
        return "\n".join(lines) or NOTHING

    def parse(self, reply: str, terms: Terms) -> tuple[Told, ...] | Failure:
        """See `TaskFormat`: events in the reply's order; () where it says that there are none."""
        return attempt(lambda: self._read(reply, terms), reply)

    def grammar(self, terms: Terms) -> Grammar:
        """See `TaskFormat`."""
        if terms.given is not None:
            return told([f"{write_window(*window, terms.style)} seconds, " for window in terms.given])
        item = (*window_parts(terms), Literal(" seconds, ", clears=True), Text())
        return either(listing(item, "\n"), sequence(Literal(NOTHING)))

    def _read(self, reply: str, terms: Terms) -> tuple[Told, ...]:
        text = clean(reply)
        if says_none(text):
            return ()
        items = need_words(read_items(text, WINDOW))
        return tuple(Told(*read_window(first, last, terms.end), words) for (first, last), words in items)


CAPTIONS: Final = CaptionFormat()
