"""Reads MAGQA questions (`{question_id, video, conversation, answer}`, a JSON array) and replies (JSON lines).

A reply line is `{question_id, model_response_list: [{role, content, time}]}`; of it only the assistant's turns are
replies, and a time of -1 means that the model answered once for the whole video. Does not know videos.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from benchmarks.annotation_files import LONGEST, Entry, Seconds, Text, Window, entries, once, read_json_lines, validated
from benchmarks.metrics.timely_answers import (
    GoldAnswer,
    Reply,
    ReplyJudge,
    TimelyFigures,
    TimelyTotals,
    score_replies,
)
from core.errors import AnnotationError, InputError

WHOLE_VIDEO: Final = -1.0
ASSISTANT: Final = "assistant"


class _Turn(Entry):
    role: Text
    content: str
    time: Seconds = 0.0


class _Answer(Entry):
    content: Text
    time: Window


class _Example(Entry):
    question_id: int | str
    video: str = ""
    conversation: Annotated[list[_Turn], Field(min_length=1)]
    answer: Annotated[list[_Answer], Field(min_length=1)]


class _ReplyTurn(Entry):
    role: Text
    content: str
    time: Annotated[float, Field(ge=WHOLE_VIDEO, le=LONGEST, allow_inf_nan=False)]


class _ReplyLine(Entry):
    question_id: int | str
    model_response_list: list[_ReplyTurn]


@dataclass(frozen=True)
class TimelyQuestion:
    """One question, asked at a time in seconds, and its true answers with the spans in which they are due."""

    id: str
    video_id: str
    question: str
    asked: float
    answers: tuple[GoldAnswer, ...]


def read_questions(path: Path) -> Iterator[TimelyQuestion]:
    """All questions in file order; the question is the first turn of the user.

    Raises:
        AnnotationError: where an entry is malformed; names file and place.
    """
    seen: set[str] = set()
    for i, value in enumerate(entries(Path(path), list)):
        place = f"{path}: entry {i}"
        question = _question(value, place)
        once(seen, question.id, f"{place}: question_id")
        yield question


def read_replies(path: Path) -> dict[str, tuple[Reply, ...]]:
    """Replies by question id, in the order of the file.

    Raises:
        AnnotationError: where a line is malformed or a question comes twice; names file, line and key.
    """
    found: dict[str, tuple[Reply, ...]] = {}
    seen: set[str] = set()
    for place, value in read_json_lines(Path(path)):
        line = validated(_ReplyLine, value, place)
        once(seen, str(line.question_id), f"{place}: question_id")
        found[str(line.question_id)] = tuple(
            _reply(turn, f"{place}: model_response_list.{i}")
            for i, turn in enumerate(line.model_response_list)
            if turn.role == ASSISTANT
        )
    return found


def score_split(
    questions: Iterable[TimelyQuestion], replies: Mapping[str, tuple[Reply, ...]], judge: ReplyJudge
) -> TimelyFigures:
    """Score all questions; one without replies counts as the least, as MMDuet's evaluator pads.

    Raises:
        InputError: for replies to no question, or no question at all.
    """
    totals, left = TimelyTotals(), set(replies)
    for question in questions:
        left.discard(question.id)
        totals.update(score_replies(question.question, question.answers, replies.get(question.id, ()), judge))
    if left:
        raise InputError(f"replies: expected questions of the split, got one of {min(left)!r}")
    return totals.compute()


def _question(value: Any, place: str) -> TimelyQuestion:
    entry = validated(_Example, value, place)
    asked = next((turn for turn in entry.conversation if turn.role == "user" and turn.content.strip()), None)
    if asked is None:
        raise AnnotationError(f"{place}: conversation: expected a turn of the user with a text, got none")
    for i, answer in enumerate(entry.answer):
        if answer.time[0] > answer.time[1]:
            raise AnnotationError(
                f"{place}: answer.{i}.time: expected start <= end in seconds, got {answer.time[0]}..{answer.time[1]}"
            )
    answers = tuple(GoldAnswer(a.content, a.time[0], a.time[1]) for a in entry.answer)
    return TimelyQuestion(str(entry.question_id), entry.video, asked.content, asked.time, answers)


def _reply(turn: _ReplyTurn, place: str) -> Reply:
    if WHOLE_VIDEO < turn.time < 0:
        raise AnnotationError(f"{place}.time: expected a time from 0, or -1 for none, got {turn.time}")
    return Reply(turn.content, None if turn.time == WHOLE_VIDEO else turn.time)
