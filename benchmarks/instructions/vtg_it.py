"""Reads VTG-IT-style instructions: a JSON array of `{video, QA: [{q, a}]}` whose times are runs of `<TIME_*>` tokens.

A time is six tokens, four digits, a dot and a digit: `<TIME_ZERO><TIME_ZERO><TIME_ONE><TIME_TWO><TIME_DOT><TIME_FIVE>`
is 12.5 seconds. Leading zeros may be left out, as the authors' own writer does for whole numbers. An instruction "i"
stands in for an empty question, as in TimeIT, from which the form comes. Does not know videos.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from benchmarks.annotation_files import Entry, Text, entries, validated
from benchmarks.instructions.dialogue import Dialogue, Role, Turn
from core.errors import AnnotationError, InputError

LATEST: Final = 9999.9  # seconds, the last that the tokens can say

_DIGITS: Final = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
_SIGNS: Final = {name: str(i) for i, name in enumerate(_DIGITS)} | {"DOT": "."}
_RUN: Final = re.compile(r"(?:<TIME_[A-Z]+>)+")
_TIME: Final = re.compile(r"\d{1,4}\.\d")


class _Pair(Entry):
    q: str
    i: str = ""
    a: Text


class _Sample(Entry):
    video: Text
    QA: Annotated[list[_Pair], Field(min_length=1)]


def read_vtg_it(path: Path) -> Iterator[Dialogue]:
    """All samples in file order, their times written as plain seconds ("12.5"); ids are numbers from 0.

    Raises:
        AnnotationError: where an entry is malformed, or time tokens are no whole times; names file and place.
    """
    for i, value in enumerate(entries(Path(path), list)):
        place = f"{path}: entry {i}"
        sample = validated(_Sample, value, place)
        turns = []
        for number, pair in enumerate(sample.QA):
            asked = pair.q if pair.q.strip() else pair.i
            if not asked.strip():
                raise AnnotationError(f"{place}: QA.{number}: expected a question q, or an instruction i, got neither")
            for role, text in ((Role.USER, asked), (Role.ASSISTANT, pair.a)):
                try:
                    turns.append(Turn(role, plain_times(text)))
                except InputError as error:
                    raise AnnotationError(f"{place}: QA.{number}: {error}") from error
        yield Dialogue(str(i), sample.video, tuple(turns))


def plain_times(text: str) -> str:
    """`text` with each time of tokens as seconds without needless zeros; InputError for a run that is no whole time."""
    return _RUN.sub(_seconds, text)


def time_tokens(seconds: float) -> str:
    """The six tokens of a time, rounded to a tenth; InputError outside 0..9999.9."""
    if not 0 <= seconds <= LATEST:
        raise InputError(f"time tokens: expected 0..{LATEST} seconds, got {seconds}")
    names = [*_DIGITS, "DOT"]
    return "".join(f"<TIME_{names[10 if sign == '.' else int(sign)]}>" for sign in f"{seconds:06.1f}")


def _seconds(match: re.Match[str]) -> str:
    signs = [_SIGNS.get(name) for name in re.findall(r"<TIME_([A-Z]+)>", match[0])]
    said = "".join(sign or "?" for sign in signs)
    if not _TIME.fullmatch(said):
        raise InputError(f"time tokens: expected up to four digits, a dot and a digit, got {said[:40]!r}")
    return f"{float(said):g}"
