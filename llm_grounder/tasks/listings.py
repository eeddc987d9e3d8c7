"""Replies that are lists of a time and words: one item a line, or all on one line after one another.

A reply of several lines has one item in each; a single line is cut where a time begins a sentence. Nothing before the
first time is allowed, so that words never slip to the next item. Does not know what the items mean.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from llm_grounder.grammar import Grammar, Part, sequence
from llm_grounder.grammar_parts import Literal, Text
from llm_grounder.tasks.clock import JOIN, NUMBER, UNIT, numerals, refuse_strange
from llm_grounder.tasks.failures import FailureKind, MalformedReply
from llm_grounder.tasks.spec import NOTHING

_CLOCK: Final = r"[0-9]+:[0-9]{2}(?::[0-9]{2})?(?:\.[0-9]+)?"
_TIMED: Final = rf"(?:({NUMBER}){UNIT}|({_CLOCK}))"  # a number without a unit is a time only where it is a clock's
POINT: Final = rf"(?:at\s+)?{_TIMED}\s*[,:]\s*"
WINDOW: Final = rf"(?:from\s+)?({NUMBER}){UNIT}?{JOIN}{_TIMED}\s*[,:]\s*"

_BULLET: Final = r"(?:[-*•]\s+|[0-9]{1,3}[.)]\s+)?"
_CUT: Final = re.compile(rf"(?:^|[.,;!?]\s+){NUMBER}{UNIT}?(?:{JOIN}(?:{NUMBER}{UNIT}?)?)?\s*[,:]?\s*$", re.IGNORECASE)

Item = tuple[tuple[str, ...], str]
"""What the head's groups matched, and the words after it without the closing point, maybe ""."""


def read_items(text: str, head: str) -> list[Item]:
    """The items of a cleaned reply, one at least; `head` is `POINT`, `WINDOW` or a longer pattern.

    Raises:
        MalformedReply: where something stands before the first time, between items, or an item is cut.
    """
    text = numerals(text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1:
        items = [_line(line, head, number == len(lines) - 1) for number, line in enumerate(lines)]
    else:
        items = _sentences(lines[0], head)
    inner = re.compile(head, re.IGNORECASE)
    for _, words in items:
        found = inner.search(words)
        if found:
            raise MalformedReply(FailureKind.LEFTOVER, f"expected one time an item, got {found[0][:40]!r} too")
    if _CUT.search(items[-1][1]):
        raise MalformedReply(FailureKind.TRUNCATED, f"expected a whole item, got {items[-1][1][-30:]!r}")
    return items


def need_words(items: list[Item]) -> list[Item]:
    """`items`, each with words; MalformedReply where one has none."""
    for number, (_, words) in enumerate(items):
        if not any(char.isalnum() for char in words):
            last = number == len(items) - 1
            kind = FailureKind.TRUNCATED if last else FailureKind.MISSING_PART
            raise MalformedReply(kind, f"expected words after each time, got none in item {number + 1}")
    return items


def sentence(words: str) -> str:
    """Words on one line that end with a point, as lists are written."""
    text = " ".join(words.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def told(heads: Sequence[str]) -> Grammar:
    """Replies of one line of words after each of the heads, or that there is nothing where there are none."""
    if not heads:
        return sequence(Literal(NOTHING))
    parts: list[Part] = []
    for number, head in enumerate(heads):
        parts += [Literal(f"\n{head}" if number else head), Text()]
    return sequence(*parts)


def _line(line: str, head: str, last: bool) -> Item:
    match = re.match(_BULLET + head, line, re.IGNORECASE)
    if match is None:
        refuse_strange(line)
        kind = FailureKind.TRUNCATED if last and re.match(r"\W*(?:<|[0-9])", line) else FailureKind.LEFTOVER
        raise MalformedReply(kind, f"expected a time and words in each line, got {line[:60]!r}")
    return _item(match, line[match.end() :])


def _sentences(line: str, head: str) -> list[Item]:
    pattern = re.compile(rf"(?:^|(?<=[.!?;])\s+){_BULLET}{head}", re.IGNORECASE)
    matches = list(pattern.finditer(line))
    if not matches or matches[0].start() > 0:
        if matches:
            raise MalformedReply(FailureKind.LEFTOVER, f"expected a time at the beginning, got {line[:60]!r}")
        refuse_strange(line)
        begun = FailureKind.MISSING_PART if re.match(_BULLET + NUMBER, line) else FailureKind.NO_ITEMS
        kind = FailureKind.TRUNCATED if _CUT.search(line) else begun
        raise MalformedReply(kind, f"expected times with words, got {line[:60]!r}")
    ends = [match.start() for match in matches[1:]] + [len(line)]
    return [_item(match, line[match.end() : end]) for match, end in zip(matches, ends, strict=True)]


def _item(match: re.Match[str], words: str) -> Item:
    groups = tuple(group for group in match.groups() if group is not None)
    return groups, words.strip().rstrip(",;").removesuffix(".").strip()
