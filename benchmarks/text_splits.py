"""Splits of questions, instructions and descriptions under the protocol of one split: a name and an iterator.

Knows the functions that read these files. Does not know their entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from benchmarks.elysium_track.reader import ElysiumTrackReader
from benchmarks.instructions.dialogue import Dialogue
from benchmarks.magqa.reader import TimelyQuestion
from benchmarks.moment_protocol import MomentQuery
from benchmarks.video_qa.reader import VideoQuestion
from core.errors import InputError

Item = TypeVar("Item")


@dataclass(frozen=True)
class _Split(Generic[Item]):
    """A split that a function reads, file by file."""

    name: str
    split: str
    read: Callable[[], Iterator[Item]]


class QuestionSplit(_Split[VideoQuestion]):
    """Questions with one short answer each."""

    def questions(self) -> Iterator[VideoQuestion]:
        """All questions in file order; AnnotationError where an entry is malformed."""
        return self.read()


class TimelySplit(_Split[TimelyQuestion]):
    """Questions with several timed answers each."""

    def questions(self) -> Iterator[TimelyQuestion]:
        """All questions in file order; AnnotationError where an entry is malformed."""
        return self.read()


class DialogueSplit(_Split[Dialogue]):
    """Instructions."""

    def dialogues(self) -> Iterator[Dialogue]:
        """All dialogues in file order; AnnotationError where an entry is malformed."""
        return self.read()


class QuerySplit(_Split[MomentQuery]):
    """Groundings of an instruction file."""

    def queries(self) -> Iterator[MomentQuery]:
        """All queries in file order; AnnotationError where an entry is malformed."""
        return self.read()


@dataclass(frozen=True)
class DescriptionSplit:
    """The described objects of a file in ElysiumTrack's form; lines without a description are left out."""

    tracks: ElysiumTrackReader
    name: str = "video_reg"

    @property
    def split(self) -> str:
        """The split's name."""
        return self.tracks.split

    def descriptions(self) -> Iterator[tuple[str, str]]:
        """Line id and true description, in file order."""
        for video in self.tracks.videos():
            for expression in video.expressions:
                yield video.id, expression.text


def text_file(data: Path, *names: str) -> Path:
    """`data` itself where it is a file, else the first of `names` in it that is there.

    Raises:
        InputError: when there is none.
    """
    if data.is_file():
        return data
    for name in names:
        found = sorted(data.glob(name)) if "*" in name else [data / name] * (data / name).is_file()
        if found:
            return found[0]
    raise InputError(f"{data}: expected {' or '.join(names)}, found none")
