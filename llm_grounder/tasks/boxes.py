"""Replies that are boxes: of an expression in a picture, or of one object in each frame of a window.

Wanted: "[x1,y1,x2,y2]" in thousandths of the picture's sides, or "none"; of several frames "Frame 1: [..], Frame 2:
none". Frames are matched by their labels and each must be there once, so that one bad frame never shifts the rest.
Boxes are shares of the picture, 0..1. Does not know pixels or models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import InputError
from llm_grounder.grammar import END, Grammar, Part, either, sequence
from llm_grounder.grammar_parts import Literal, Number
from llm_grounder.tasks.failures import Failure, FailureKind, MalformedReply, attempt
from llm_grounder.tasks.spec import GRID, NOTHING, Box, Terms, clean, says_none
from llm_grounder.types import Task

_BOX: Final = re.compile(r"\[([^\[\]]*)\]")
_LABEL: Final = re.compile(r"\bframe\s*([0-9]{1,6})\s*:", re.IGNORECASE)

Boxes = tuple[Box | None, ...]
"""One a frame, None where nothing is seen."""


@dataclass(frozen=True)
class BoxFormat:
    """A task whose answer is a box in each of `terms.frames` frames; without labels where `single`."""

    task: Task
    prompts: tuple[str, ...]
    metric: str
    single: bool = False

    def write(self, answer: Sequence[Box | None], terms: Terms) -> str:
        """See `TaskFormat`; InputError for another number of boxes than frames, or one outside the picture."""
        if len(answer) != self._frames(terms):
            raise InputError(f"boxes: expected one in each of {self._frames(terms)} frames, got {len(answer)}")
        said = [NOTHING if box is None else write_box(box) for box in answer]
        return said[0] if self.single else ", ".join(f"Frame {i}: {text}" for i, text in enumerate(said, start=1))

    def parse(self, reply: str, terms: Terms) -> Boxes | Failure:
        """See `TaskFormat`: a box or None a frame, in the order of frames."""
        return attempt(lambda: self._read(reply, terms), reply)

    def grammar(self, terms: Terms) -> Grammar:
        """See `TaskFormat`."""
        if self.single:
            return either(sequence(*box_parts()), sequence(Literal(NOTHING)))
        return _frames_grammar(terms.frames)

    def _frames(self, terms: Terms) -> int:
        return 1 if self.single else terms.frames

    def _read(self, reply: str, terms: Terms) -> Boxes:
        text = clean(reply)
        if self.single:
            return (_read_box(text),)
        pieces = _LABEL.split(text)
        if len(pieces) == 1:
            raise MalformedReply(FailureKind.NO_ITEMS, f"expected 'Frame 1: [..]', got {text[:60]!r}")
        if pieces[0].strip():
            raise MalformedReply(FailureKind.LEFTOVER, f"expected a frame's label first, got {pieces[0][:40]!r}")
        found: dict[int, Box | None] = {}
        for label, said in zip(pieces[1::2], pieces[2::2], strict=True):
            number = int(label)
            if not 1 <= number <= terms.frames:
                raise MalformedReply(FailureKind.OUT_OF_RANGE, f"expected frames 1..{terms.frames}, got {number}")
            if number in found:
                raise MalformedReply(FailureKind.CONTRADICTION, f"expected frame {number} once, got it twice")
            found[number] = _read_box(said.strip().rstrip(",;").strip())
        if len(found) != terms.frames:
            raise MalformedReply(FailureKind.MISCOUNTED, f"expected {terms.frames} frames, got {len(found)}")
        return tuple(found[number] for number in range(1, terms.frames + 1))


def write_box(box: Box) -> str:
    """A box in thousandths; one thinner than a step becomes a step wide. InputError outside the picture."""
    x1, y1, x2, y2 = box
    if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
        raise InputError(f"box: expected 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1, got {box}")
    (left, right), (top, bottom) = _steps(x1, x2), _steps(y1, y2)
    return f"[{left},{top},{right},{bottom}]"


def box_parts() -> tuple[Part, ...]:
    """A box whose right and bottom are beyond its left and top."""
    return (
        Literal("["), Number(0, GRID - 1, tenths=False, keeps=True), Literal(","),
        Number(0, GRID - 1, tenths=False, keeps=True), Literal(","),
        Number(0, GRID, tenths=False, above=0), Literal(","), Number(0, GRID, tenths=False, above=1), Literal("]"),
    )  # fmt: skip


def _frames_grammar(frames: int) -> Grammar:
    """Each frame's label, then a box or "none"."""
    parts: list[Part] = []
    follow: list[tuple[int, ...]] = []
    for number in range(1, frames + 1):
        label, box = Literal(f"{', ' if number > 1 else ''}Frame {number}: ", clears=True), box_parts()
        first = len(parts)
        none, after = first + 1, first + 2 + len(box)
        leads = END if number == frames else after
        parts += [label, Literal(NOTHING), *box]
        follow += [(none, none + 1), (leads,), *((none + 2 + i,) for i in range(len(box) - 1)), (leads,)]
    return Grammar(tuple(parts), tuple(follow))


def _steps(low: float, high: float) -> tuple[int, int]:
    first, last = round(low * GRID), round(high * GRID)
    return (first, last) if first < last else (min(first, GRID - 1), min(first, GRID - 1) + 1)


def _read_box(text: str) -> Box | None:
    if says_none(text):
        return None
    found = _BOX.findall(text)
    if not found:
        kind = FailureKind.TRUNCATED if "[" in text else FailureKind.MISSING_PART
        raise MalformedReply(kind, f"expected [x1,y1,x2,y2] or none, got {text[:40]!r}")
    if len(found) > 1:
        raise MalformedReply(FailureKind.CONTRADICTION, f"expected one box, got {len(found)}")
    rest = _BOX.sub("", text)
    if re.search(r"[0-9\[\]]", rest):
        raise MalformedReply(FailureKind.LEFTOVER, f"expected one box and no other number, got {text[:60]!r}")
    numbers = [number.strip() for number in found[0].split(",")]
    if len(numbers) != 4 or not all(re.fullmatch(r"-?[0-9]{1,6}", number) for number in numbers):
        raise MalformedReply(FailureKind.BAD_BOX, f"expected four whole numbers, got [{found[0][:40]}]")
    x1, y1, x2, y2 = (int(number) for number in numbers)
    if not all(0 <= value <= GRID for value in (x1, y1, x2, y2)):
        raise MalformedReply(FailureKind.OUT_OF_RANGE, f"expected numbers in 0..{GRID}, got [{found[0][:40]}]")
    if x1 >= x2 or y1 >= y2:
        raise MalformedReply(FailureKind.INVERTED, f"expected x1 < x2 and y1 < y2, got [{found[0][:40]}]")
    return x1 / GRID, y1 / GRID, x2 / GRID, y2 / GRID


GROUNDING: Final = BoxFormat(
    Task.GROUNDING,
    (
        "Where is this: {text}? Give its box.",
        "Point out with a box: {text}.",
        "Give the box of the following object, or none: {text}.",
    ),
    "accuracy at IoU 0.5 (benchmarks.evaluation.boxes)",
    single=True,
)
REFERRED_TRACKING: Final = BoxFormat(
    Task.RSOT,
    (
        "Follow this object and give its box in every frame: {text}.",
        "Where is this in each frame: {text}? Say none where it cannot be seen.",
        "Give a box a frame, or none, of: {text}.",
    ),
    "AUC, P, Pnorm (benchmarks.metrics.success)",
)
TRACKING: Final = BoxFormat(
    Task.SOT,
    (
        "Follow the object in the marked box and give its box in every frame.",
        "Where is the marked object in each frame? Say none where it cannot be seen.",
        "Give a box a frame, or none, of the object that is marked.",
    ),
    "AUC, P, Pnorm (benchmarks.metrics.success)",
)
