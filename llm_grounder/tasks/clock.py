"""Every form in which replies say times: time tokens, numerals, and m:ss or h:mm:ss with decimals.

`llm_grounder.times` writes them. Times are seconds. Does not know what happens at a time.
"""

from __future__ import annotations

import re
from typing import Final

from llm_grounder.tasks.failures import FailureKind, MalformedReply
from llm_grounder.times import DIGITS, TIME_TOKENS

SLACK: Final = 0.5  # seconds past the clip's end that rounding to whole seconds explains
SIGNS: Final = dict(zip(DIGITS, TIME_TOKENS, strict=True))

NUMBER: Final = r"(?<![\w.:])(?:[0-9]{1,3}(?::[0-9]{2}){1,2}(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?)(?![0-9]|[.:][0-9])"
UNIT: Final = r"(?:\s*(?:seconds?|secs?|s)\b\.?)"
JOIN: Final = r"\s*(?:--?>?|[\u2013\u2014]|~|→|\bto\b|\band\b|\buntil\b|\btill\b)\s*"

_READ: Final = {token: sign for sign, token in SIGNS.items()}
_RUN: Final = re.compile(r"(?:<TIME_[A-Z]*>?\s?)+")
_TOKEN: Final = re.compile(r"<TIME_[A-Z]*>?")
_TIME: Final = re.compile(r"[0-9]{4}\.[0-9]")
_FOREIGN: Final = re.compile(
    r"[0-9]\s*(?:%|(?:percent|minutes?|mins?|m|hours?|hrs?|h|frames?|fps|ms|milliseconds?)\b)|\bframes?\s*#?[0-9]",
    re.IGNORECASE,
)
_NEGATIVE: Final = re.compile(r"(?:^|[(\[,:-]|\b(?:from|to|and))\s*-[0-9.]+", re.MULTILINE)


def numerals(text: str) -> str:
    """`text` with each time of tokens as a numeral.

    Raises:
        MalformedReply: for a run of time tokens that is no whole time.
    """
    return _RUN.sub(_numeral, text)


def _numeral(match: re.Match[str]) -> str:
    said = "".join(_READ.get(token, "?") for token in _TOKEN.findall(match[0]))
    if not _TIME.fullmatch(said):
        raise MalformedReply(
            FailureKind.BAD_TIME, f"expected time tokens of four digits, a dot and a digit, got {said[:40]!r}"
        )
    return f"{float(said):.1f}" + (" " if match[0][-1].isspace() else "")


def refuse_strange(text: str) -> None:
    """MalformedReply for numbers in minutes, frames or percent, and for negative ones."""
    negative = _NEGATIVE.search(text)
    if negative:
        raise MalformedReply(FailureKind.OUT_OF_RANGE, f"expected times from 0, got {negative[0].strip()!r}")
    found = _FOREIGN.search(text)
    if found:
        raise MalformedReply(FailureKind.BAD_TIME, f"expected times in seconds, got {found[0]!r}")


def read_time(written: str, end: float) -> float:
    """The seconds of what `NUMBER` matched, held within the clip's `end`.

    Up to half a second past the end is rounding and becomes the end.

    Raises:
        MalformedReply: for minutes or seconds of 60 or more in a clock time, and for times past the end.
    """
    parts = [float(part) for part in written.split(":")]
    if any(part >= 60 for part in parts[1:]):
        raise MalformedReply(FailureKind.BAD_TIME, f"expected a clock time, got {written[:20]!r}")
    seconds: float = sum(part * 60.0**i for i, part in enumerate(reversed(parts)))
    if seconds > end + SLACK:
        raise MalformedReply(
            FailureKind.OUT_OF_RANGE, f"expected times up to the clip's end of {end:g} s, got {written[:20]}"
        )
    return min(seconds, end)


def read_window(start: str, finish: str, end: float) -> tuple[float, float]:
    """A window of two written times; MalformedReply unless start < end within the clip."""
    first, last = read_time(start, end), read_time(finish, end)
    if first >= last:
        raise MalformedReply(FailureKind.INVERTED, f"expected a start before its end, got {start[:20]} - {finish[:20]}")
    return first, last
