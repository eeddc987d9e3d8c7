"""Reads MMDuetIT: narrations, dialogues with timed answers, and groundings, each a JSON file of its own.

`{video: {annotation: [{text, time, timespan}]}}`; `[{video_uid, conversation: [{role, content, time, timespan}]}]`;
`[{video_uid, query, timestamps}]`. Does not know videos, whose lengths stand in files of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from benchmarks.annotation_files import Entry, Seconds, Text, Window, check_window, entries, validated
from benchmarks.instructions.dialogue import Dialogue, Role, Turn
from benchmarks.moment_protocol import MomentQuery
from core.errors import AnnotationError, InputError


class _Narration(Entry):
    text: Text
    time: Seconds
    timespan: Window | None = None
    learn: bool = True


class _Turn(Entry):
    role: str
    content: Text
    time: Seconds
    timespan: Window | None = None
    learn: bool = True


class _Conversation(Entry):
    video_uid: Text
    conversation: list[_Turn]


class _Grounding(Entry):
    video_uid: Text
    query: Text
    timestamps: Annotated[list[Window], Field(min_length=1)]


def read_narrations(path: Path) -> Iterator[Dialogue]:
    """Narrations, one dialogue of the assistant alone for each annotation of a video; empty annotations are left out.

    Raises:
        AnnotationError: where an entry is malformed or times go back; names file and key.
    """
    for video, annotated in entries(Path(path), dict).items():
        if not isinstance(annotated, dict):
            raise AnnotationError(f"{path}: {video}: expected an object of annotations, got {type(annotated).__name__}")
        for name, listed in annotated.items():
            place = f"{path}: {video}.{name}"
            if not isinstance(listed, list):
                raise AnnotationError(f"{place}: expected an array of narrations, got {type(listed).__name__}")
            said = [validated(_Narration, value, f"{place}.{i}") for i, value in enumerate(listed)]
            turns = [Turn(Role.ASSISTANT, s.text, s.time, _span(s.timespan, place), s.learn) for s in said]
            if turns:
                yield _dialogue(place, f"{video}_{name}", video, turns)


def read_conversations(path: Path) -> Iterator[Dialogue]:
    """Questions with their timed answers, one dialogue an entry; ids are numbers from 0, empty entries left out.

    Raises:
        AnnotationError: where an entry is malformed, a role unknown or times go back; names file and place.
    """
    for i, value in enumerate(entries(Path(path), list)):
        place = f"{path}: entry {i}"
        entry = validated(_Conversation, value, place)
        turns = []
        for number, turn in enumerate(entry.conversation):
            at = f"{place}: conversation.{number}"
            if turn.role not in set(Role):
                raise AnnotationError(f"{at}: role: expected user or assistant, got {turn.role!r}")
            turns.append(Turn(Role(turn.role), turn.content, turn.time, _span(turn.timespan, at), turn.learn))
        if turns:  # the authors' own loader passes over empty ones, too
            yield _dialogue(place, str(i), entry.video_uid, turns)


def read_groundings(path: Path) -> Iterator[MomentQuery]:
    """Queries with all their windows; ids are numbers from 0.

    Raises:
        AnnotationError: where an entry is malformed; names file and place.
    """
    for i, value in enumerate(entries(Path(path), list)):
        place = f"{path}: entry {i}"
        entry = validated(_Grounding, value, place)
        for number, window in enumerate(entry.timestamps):
            check_window(window, f"{place}: timestamps.{number}")
        yield MomentQuery(str(i), entry.video_uid, entry.query, None, np.array(entry.timestamps, dtype=np.float64))


def _span(window: list[float] | None, place: str) -> tuple[float, float] | None:
    if window is None:
        return None
    check_window(window, f"{place}: timespan", instant=True)  # the authors' own loader takes its middle
    return window[0], window[1]


def _dialogue(place: str, identifier: str, video: str, turns: Sequence[Turn]) -> Dialogue:
    try:
        return Dialogue(identifier, video, tuple(turns))
    except InputError as error:
        raise AnnotationError(f"{place}: {error}") from error
