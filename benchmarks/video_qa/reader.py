"""Reads video questions: one JSON array (MSVD, MSRVTT), two that share ids (ActivityNet-QA), or a table (TGIF-QA).

Keys: `question`, `answer`, `video_id` or `video`, `id`; `video_name`, `question`, `question_id` beside `answer`,
`type`, `question_id`; columns `gif_name`, `question`, `answer`, and `a1` to `a5` where there is a choice. Does not know
videos.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.annotation_files import Entry, Text, entries, once, read_lines, validated
from core.errors import AnnotationError

_OPTIONS: Final = ("a1", "a2", "a3", "a4", "a5")


@dataclass(frozen=True)
class VideoQuestion:
    """One question. options: the choices, () for an open question.   answer: the text; with options one of them.

    kind: the dataset's own category, or the question's first word, by which MSVD and MSRVTT are reported.
    """

    id: str
    video_id: str
    question: str
    answer: str
    options: tuple[str, ...] = ()
    kind: str = ""


class _Whole(Entry):
    id: int | str
    question: Text
    answer: Text
    video_id: int | str | None = None
    video: str | None = None


class _Question(Entry):
    video_name: Text
    question: Text
    question_id: int | str


class _Answer(Entry):
    answer: Text
    question_id: int | str
    type: int | str = ""


def read_one_file(path: Path) -> Iterator[VideoQuestion]:
    """The questions of MSVD-QA and MSRVTT-QA.

    Raises:
        AnnotationError: where an entry is malformed; names file and place.
    """
    seen: set[str] = set()
    for i, value in enumerate(entries(Path(path), list)):
        place = f"{path}: entry {i}"
        entry = validated(_Whole, value, place)
        video = entry.video if entry.video_id is None else str(entry.video_id)
        if not video:
            raise AnnotationError(f"{place}: expected a video_id or a video, got neither")
        once(seen, str(entry.id), f"{place}: id")
        yield VideoQuestion(str(entry.id), video, entry.question, entry.answer, (), entry.question.split()[0].lower())


def read_two_files(questions: Path, answers: Path) -> Iterator[VideoQuestion]:
    """The questions of ActivityNet-QA (`test_q.json`, `test_a.json`).

    Raises:
        AnnotationError: where an entry is malformed, or a question has no answer; names file and place.
    """
    known: dict[str, _Answer] = {}
    answered: set[str] = set()
    for i, value in enumerate(entries(Path(answers), list)):
        place = f"{answers}: entry {i}"
        found = validated(_Answer, value, place)
        once(answered, str(found.question_id), f"{place}: question_id")
        known[str(found.question_id)] = found
    seen: set[str] = set()
    for i, value in enumerate(entries(Path(questions), list)):
        place = f"{questions}: entry {i}"
        entry = validated(_Question, value, place)
        question_id = str(entry.question_id)
        once(seen, question_id, f"{place}: question_id")
        if question_id not in known:
            raise AnnotationError(f"{place}: expected an answer to {question_id!r} in {answers}, found none")
        answer = known[question_id]
        yield VideoQuestion(question_id, entry.video_name, entry.question, answer.answer, (), str(answer.type))


def read_table(path: Path) -> Iterator[VideoQuestion]:
    """The questions of TGIF-QA, tab-separated with a head line; with a1 to a5 the answer is the number of one of them.

    Raises:
        AnnotationError: where a column is missing or a row malformed; names file and line.
    """
    rows = read_lines(Path(path))
    try:
        place, head = next(rows)
    except StopIteration:
        raise AnnotationError(f"{path}: expected a head line, got an empty file") from None
    columns = head.split("\t")
    for name in ("gif_name", "question", "answer"):
        if name not in columns:
            raise AnnotationError(f"{place}: expected a column {name!r}, got {', '.join(columns)[:80]}")
    choice = all(name in columns for name in _OPTIONS)
    for number, (place, row) in enumerate(rows):
        cells = next(csv.reader([row], delimiter="\t"))
        if len(cells) != len(columns):
            raise AnnotationError(f"{place}: expected {len(columns)} cells, got {len(cells)}")
        yield _from_row(str(number), dict(zip(columns, cells, strict=True)), choice, place)


def _from_row(number: str, row: dict[str, str], choice: bool, place: str) -> VideoQuestion:
    for name in ("gif_name", "question", "answer"):
        if not row[name].strip():
            raise AnnotationError(f"{place}: {name}: expected a text, got {row[name]!r}")
    options = tuple(row[name] for name in _OPTIONS) if choice else ()
    answer = row["answer"]
    if choice:
        if answer not in {"0", "1", "2", "3", "4"}:
            raise AnnotationError(f"{place}: answer: expected the number of an option in 0..4, got {answer!r}")
        answer = options[int(answer)]
    return VideoQuestion(number, row["gif_name"], row["question"], answer, options, row.get("type", ""))
