"""Windows of time in a reply: "S - E seconds", "from S to E", [S, E], start and end by name, or JSON.

Strict: a number that belongs to no window fails the whole reply, and nothing is turned around or cut. Times are
seconds. Does not know what the windows are of.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from llm_grounder.tasks.clock import JOIN, NUMBER, UNIT, numerals, read_window, refuse_strange
from llm_grounder.tasks.failures import FailureKind, MalformedReply

RANGE: Final = rf"({NUMBER}){UNIT}?{JOIN}({NUMBER}){UNIT}?"
_BRACKETS: Final = rf"[\[(]\s*({NUMBER}){UNIT}?\s*,\s*({NUMBER}){UNIT}?\s*[\])]"
_NAMED: Final = (
    rf"\bstart(?:\s*time|s)?\s*[:=]?\s*(?:at\s+)?({NUMBER}){UNIT}?[\s,;.]*(?:and\s+)?"
    rf"\bend(?:\s*time|s)?\s*[:=]?\s*(?:at\s+)?({NUMBER}){UNIT}?"
)
_WINDOW: Final = re.compile(f"{RANGE}|{_BRACKETS}|{_NAMED}", re.IGNORECASE)
_CUT: Final = re.compile(rf"\s*(?:[,;]|\band\b)\s*(?:from\s+)?{NUMBER}{UNIT}?(?:{JOIN})?", re.IGNORECASE)
_CUT_FIRST: Final = re.compile(rf".*\b{NUMBER}{UNIT}?{JOIN}", re.IGNORECASE | re.DOTALL)
_LIST_GOES_ON: Final = re.compile(rf"(?:,|;|{JOIN})\s*$", re.IGNORECASE)
_DENIAL: Final = re.compile(r"\bnone\b|\bno such\b|\bnot (?:found|present|shown|visible)\b", re.IGNORECASE)
_TIME: Final = re.compile(rf"({NUMBER}){UNIT}?", re.IGNORECASE)
_NAMES: Final = (("start", "end"), ("start_time", "end_time"), ("begin", "end"), ("from", "to"))
_LISTS: Final = ("moments", "timestamps", "timestamp", "spans", "windows", "segments")

Windows = tuple[tuple[float, float], ...]


def read_windows(text: str, end: float) -> Windows:
    """All windows of a cleaned reply in its order, seconds, at least one unless JSON says [].

    Raises:
        MalformedReply: where the reply is not windows and words around them.
    """
    text = numerals(text)
    value = _json(text)
    if value is not None:
        return tuple(_window(item, end) for item in _items(value))
    refuse_strange(text)
    matches = list(_WINDOW.finditer(text))
    rest = _WINDOW.sub(" ", text)
    if re.search(r"[0-9]", rest):
        if (_CUT.fullmatch(text[matches[-1].end() :]) if matches else _CUT_FIRST.fullmatch(text)) is not None:
            raise MalformedReply(FailureKind.TRUNCATED, f"expected a window's end, got {text[-30:]!r}")
        kind = FailureKind.LEFTOVER if matches else FailureKind.MISSING_PART
        raise MalformedReply(kind, f"expected each number within a window of two, got {rest.strip()[:60]!r}")
    if not matches:
        raise MalformedReply(FailureKind.NO_ITEMS, f"expected windows of time, got {text[:60]!r}")
    if _LIST_GOES_ON.search(text):
        raise MalformedReply(FailureKind.TRUNCATED, f"expected another window, got {text[-30:]!r}")
    if _DENIAL.search(rest):
        raise MalformedReply(FailureKind.CONTRADICTION, f"expected windows or none, got both: {text[:60]!r}")
    pairs = [[group for group in match.groups() if group is not None] for match in matches]
    return tuple(read_window(first, last, end) for first, last in pairs)


def _json(text: str) -> Any:
    """The value of a reply in JSON, None where it is none; `[1.0 - 2.0]` is words."""
    if text[0] not in "[{":
        return None
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if text.startswith("{") or re.match(r"\[\s*[\[{\"]", text):
            raise MalformedReply(FailureKind.BROKEN_JSON, f"expected whole JSON, got {text[:60]!r}") from error
        return None


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict) and not any(set(names) <= set(value) for names in _NAMES):
        held = [value[name] for name in _LISTS if name in value]
        if len(held) != 1:
            raise MalformedReply(FailureKind.MISSING_PART, f"expected start and end, got keys {sorted(value)[:6]}")
        value = held[0]
    if isinstance(value, dict) or (isinstance(value, list) and len(value) == 2 and not _nested(value)):
        return [value]
    if not isinstance(value, list):
        raise MalformedReply(FailureKind.NO_ITEMS, f"expected a list of windows, got {str(value)[:60]}")
    return value


def _nested(value: list[Any]) -> bool:
    return any(isinstance(item, list | dict) for item in value)


def _window(item: Any, end: float) -> tuple[float, float]:
    if isinstance(item, dict):
        names = next((names for names in _NAMES if set(names) <= set(item)), None)
        if names is None:
            raise MalformedReply(FailureKind.MISSING_PART, f"expected start and end, got keys {sorted(item)[:6]}")
        item = [item[name] for name in names]
    if not isinstance(item, list) or len(item) != 2:
        raise MalformedReply(FailureKind.MISSING_PART, f"expected [start, end], got {str(item)[:60]}")
    first, last = (_written(edge) for edge in item)
    return read_window(first, last, end)


def _written(edge: Any) -> str:
    """A JSON time as text that a clock reads."""
    text = f"{edge:f}" if isinstance(edge, float) else str(edge)
    matched = _TIME.fullmatch(text.strip())
    if isinstance(edge, bool) or matched is None:
        kind = FailureKind.OUT_OF_RANGE if text.strip().startswith("-") else FailureKind.BAD_TIME
        raise MalformedReply(kind, f"expected a time in seconds, got {text[:30]!r}")
    return matched[1]
