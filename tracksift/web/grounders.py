"""What the page asks of a language model that watches: one small protocol for all of its panels.

Knows cached videos and remarks with times. Does not know any model: where none is installed, `NO_GROUNDER` is said and
nothing is made up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from core.errors import InputError
from core.types import TimeSpan
from tracksift.jobs import Job

NO_GROUNDER = (
    "There is no grounder here: this needs a language model that watches the video. "
    "Start the page with --grounder FOLDER."
)


class Task(StrEnum):
    """What a grounder may be asked."""

    DESCRIBE = "describe"
    MOMENTS = "moments"
    CAPTIONS = "captions"
    HIGHLIGHTS = "highlights"
    QUESTION = "question"
    DUET = "duet"


NEEDS_WORDS = frozenset({Task.MOMENTS, Task.QUESTION})
"""Without words these mean nothing; in the duet and for highlights they may be left out."""


@dataclass(frozen=True)
class Request:
    """One question. job: the video and its cache file.   words: "" where the task takes none.

    track: index in the cache, for `describe`.   at: seconds at which the words of a duet are said.
    """

    task: Task
    job: Job
    words: str = ""
    track: int | None = None
    at: float = 0.0


@dataclass(frozen=True)
class Remark:
    """One thing said about a video, of a time where it has one; score in 0..1 where it has one."""

    text: str
    span: TimeSpan | None = None


class Grounder(Protocol):
    """A model behind the panels. Not asked by two threads at once."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def tasks(self) -> Collection[Task]:
        """What it can do."""

    def remarks(self, request: Request) -> Iterator[Remark]:
        """What it says, as it comes; a duet's remarks come in the order of their times.

        Raises:
            TrackSiftError: when the request cannot be answered.
        """


def check_request(grounder: Grounder | None, request: Request) -> Grounder:
    """The grounder of a request that it can answer.

    Raises:
        InputError: without a grounder, for a task that it cannot do, or one that lacks its words or track.
    """
    if grounder is None:
        raise InputError(NO_GROUNDER)
    if request.task not in grounder.tasks:
        able = ", ".join(sorted(grounder.tasks))
        raise InputError(f"{request.task}: expected a task of {grounder.name} ({able}), got another")
    if request.task in NEEDS_WORDS and not request.words:
        raise InputError(f"{request.task}: expected a few words, got none")
    if request.task is Task.DESCRIBE and request.track is None:
        raise InputError("describe: expected a track, got none; click one in the list first")
    return grounder
