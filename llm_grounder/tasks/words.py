"""Replies that are words alone: one short answer, free or out of options, and the description of a track (Video-REG).

Does not know models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from core.errors import InputError
from llm_grounder.grammar import Grammar, either, sequence
from llm_grounder.grammar_parts import Literal, Text
from llm_grounder.tasks.failures import Failure, FailureKind, MalformedReply, attempt
from llm_grounder.tasks.spec import Terms, clean, letter
from llm_grounder.types import Task

_LETTER: Final = re.compile(
    r"(?i:(?:the )?(?:answer|option)(?: is)?:?\s*)?\(?([A-Z])\)?(?:[.):]*\s*$|[.):]+\s*(.+)$)", re.S
)


@dataclass(frozen=True)
class WordsFormat:
    """A task whose answer is one line of words; `closing` is the point that descriptions end with."""

    task: Task
    prompts: tuple[str, ...]
    metric: str
    closing: str = ""

    def write(self, answer: str, terms: Terms) -> str:
        """See `TaskFormat`; InputError for no words, or for none of the options."""
        text = " ".join(answer.split())
        if not any(char.isalnum() for char in text):
            raise InputError(f"answer: expected words, got {answer!r}")
        if terms.options:
            if text not in terms.options:
                raise InputError(f"answer: expected one of {list(terms.options)}, got {text!r}")
            number = terms.options.index(text)
            return f"({letter(number)}) {text}"
        return text if text.endswith((".", "!", "?")) else text + self.closing

    def parse(self, reply: str, terms: Terms) -> str | Failure:
        """See `TaskFormat`: the words without a closing point, or the option that is named."""
        return attempt(lambda: self._read(reply, terms), reply)

    def grammar(self, terms: Terms) -> Grammar:
        """See `TaskFormat`."""
        if terms.options:
            said = (f"({letter(i)}) {option}" for i, option in enumerate(terms.options))
            return either(*(sequence(Literal(text)) for text in said))
        return sequence(Text(closing=self.closing, digits=not self.closing))

    def _read(self, reply: str, terms: Terms) -> str:
        text = clean(reply)
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1:
            raise MalformedReply(FailureKind.LEFTOVER, f"expected one line, got {len(lines)}")
        if terms.options:
            return _option(text, terms.options)
        return text.removesuffix(".").strip()


def _option(text: str, options: tuple[str, ...]) -> str:
    """The option that a reply names by its letter, its words or both."""
    plain = {_plain(option): option for option in options}
    if _plain(text) in plain:
        return plain[_plain(text)]
    named = _LETTER.match(text)
    if named is None:
        within = [o for o in options if re.search(rf"\b{re.escape(_plain(o))}\b", _plain(text))]
        if len(within) > 1:
            raise MalformedReply(FailureKind.CONTRADICTION, f"expected one option, got {within[:3]}")
        raise MalformedReply(FailureKind.UNKNOWN_OPTION, f"expected an option, got {text[:60]!r}")
    number, words = ord(named[1]) - ord("A"), _plain(named[2] or "")
    if number >= len(options):
        raise MalformedReply(
            FailureKind.UNKNOWN_OPTION, f"expected options up to {letter(len(options) - 1)}, got {named[1]}"
        )
    if words and words != _plain(options[number]):
        kind = FailureKind.CONTRADICTION if words in plain else FailureKind.UNKNOWN_OPTION
        raise MalformedReply(kind, f"expected {options[number]!r} after its letter, got {named[2][:40]!r}")
    return options[number]


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[.!\"'`*]", " ", text).lower().split())


ANSWERS: Final = WordsFormat(
    Task.QA,
    ("{text}", "{text} Answer in a word or two.", "Look at the video. {text}"),
    "accuracy (benchmarks.metrics.question_answers)",
)
DESCRIPTIONS: Final = WordsFormat(
    Task.REG,
    (
        "Describe the marked object and what it does, so that it can be told from all others.",
        "Which object is this track, and what does it do?",
        "Give a sentence that fits this track alone.",
    ),
    "CIDEr, METEOR, attribute accuracy (benchmarks.evaluation.captions)",
    closing=".",
)
