"""What every task's format offers, and the values that replies hold.

Knows seconds, shares of a picture in 0..1, and texts. Does not know any task.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Protocol

from core.errors import InputError
from llm_grounder.grammar import Grammar
from llm_grounder.tasks.failures import Failure, FailureKind, MalformedReply
from llm_grounder.times import TimeStyle
from llm_grounder.types import Request, Task

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 as shares of the picture, 0..1."""

GRID: Final = 1000  # steps of a picture's side in written boxes; 100 would cap LaSOT's AUC at .85

_THOUGHT: Final = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_FENCE: Final = re.compile(r"^\s*```[a-z]*\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)
_MARKUP: Final = re.compile(r"<\|?/?[A-Za-z_][\w ]*\|?>|<unk>|�")
_NONE: Final = re.compile(
    r"(?:there (?:is|are) )?(?:none|nothing|no such (?:moment|event|object)s?|not (?:found|present|shown|visible))\.?",
    re.IGNORECASE,
)
_NO_LIST: Final = "[]"


@dataclass(frozen=True)
class Terms:
    """What a reply is held against.

    end: the clip's, seconds.   style: how times are written.   options: answers to choose from, () for a free one.
    frames: how many frames a box is asked of.   given: windows that read-outs found, in the order in which the reply
    tells of them; None where it names its own.
    """

    end: float
    style: TimeStyle = "text"
    options: tuple[str, ...] = ()
    frames: int = 1
    given: tuple[tuple[float, float], ...] | None = None

    def __post_init__(self) -> None:
        """Refuse clips shorter than a tenth of a second, the step of written times."""
        if not 0.1 <= self.end < float("inf"):
            raise InputError(f"terms: expected a clip's end of 0.1 s or more, got {self.end}")
        if self.frames < 1:
            raise InputError(f"terms: expected one frame or more, got {self.frames}")


@dataclass(frozen=True)
class Told:
    """A sentence about the seconds [start, end)."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Highlight:
    """A time in seconds worth seeing: score in 0..5, and words that may be ""."""

    time: float
    score: float
    text: str = ""


@dataclass(frozen=True)
class TimedAnswer:
    """An answer and the second at which it became due."""

    time: float
    text: str


class TaskFormat(Protocol):
    """A task in words. `metric` names what its answers are scored by in `benchmarks`."""

    @property
    def task(self) -> Task:
        """Which."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """Wordings of the request; {text} stands for the request's text."""

    @property
    def metric(self) -> str:
        """What its answers are scored by."""

    def write(self, answer: Any, terms: Terms) -> str:
        """The wanted reply. Raises InputError for an answer that the form cannot say."""

    def parse(self, reply: str, terms: Terms) -> Any | Failure:
        """The answer of a reply, or why there is none. Never raises for any text."""

    def grammar(self, terms: Terms) -> Grammar:
        """Replies that `parse` is sure to read."""


def ask(format_: TaskFormat, request: Request, wording: int = 0) -> str:
    """The prompt of a request in one of the task's wordings (any number: they come in turn)."""
    text = format_.prompts[wording % len(format_.prompts)].format(text=request.text.strip())
    if request.options:
        listed = " ".join(f"({letter(i)}) {option}" for i, option in enumerate(request.options))
        text = f"{text} Options: {listed}"
    return text


def letter(number: int) -> str:
    """A, B, C ... of an option's number from 0; InputError past Z."""
    if not 0 <= number < 26:
        raise InputError(f"options: expected 26 at most, got number {number + 1}")
    return chr(ord("A") + number)


def clean(reply: str) -> str:
    """A reply without a finished thought before it and without the fence of a code block around it.

    Raises:
        MalformedReply: where nothing is said, a thought never ends, or special tokens stand among the words.
    """
    text = _THOUGHT.sub("", reply, count=1)
    if "<think>" in text:
        raise MalformedReply(FailureKind.TRUNCATED, "expected an answer after the thought, got none")
    fenced = _FENCE.match(text)
    text = (fenced[1] if fenced else text).strip()
    if not any(char.isalnum() for char in text) and text != _NO_LIST:
        raise MalformedReply(FailureKind.EMPTY, f"expected words, got {text[:20]!r}")
    found = next((m for m in _MARKUP.finditer(text) if not m[0].startswith("<TIME_")), None)
    if found:
        raise MalformedReply(FailureKind.MARKUP, f"expected words, got {found[0]!r} among them")
    return text


def says_none(text: str) -> bool:
    """Whether a cleaned reply says that there is nothing."""
    return text == _NO_LIST or _NONE.fullmatch(text) is not None


NOTHING: Final = "none"
"""How a reply says that there is nothing."""
