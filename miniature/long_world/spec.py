"""What a long clip consists of: events of objects, and everything that is asked and told about them.

Knows names, units and ranges: seconds, frames from 0 at 2 a second, clips of 2 seconds. Does not know how anything is
drawn, chosen or worded. O objects, T frames, B clips, A annotators, M windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core import rle
from core.errors import InputError
from core.types import Expression
from core.validators import check_array
from miniature.world.spec import SIDE, ObjectSpec

FPS: Final = 2.0
CLIP: Final = 2  # seconds; every event begins and ends with a clip, as QVHighlights' windows do
CLIP_FRAMES: Final = 4
ANNOTATORS: Final = 3
TOP: Final = 4  # the highest saliency


@dataclass(frozen=True)
class Event:
    """An object does something in the seconds [start, end).

    act: a key of `words.ACTS`.   heading: of `cross`, 0 right, 2 up, 4 left, 6 down.   visit: whether the object is in
    the picture during this event only; otherwise it was there before and stays.
    """

    object_id: str
    act: str
    start: int
    end: int
    visit: bool
    heading: int | None = None

    def __post_init__(self) -> None:
        """Refuse times that are not whole clips."""
        if not (0 <= self.start < self.end and self.start % CLIP == self.end % CLIP == 0):
            raise InputError(f"event: expected even seconds with start < end, got {self.start}..{self.end}")

    @property
    def frames(self) -> slice:
        """The frames of the event."""
        return slice(int(self.start * FPS), int(self.end * FPS))

    @property
    def clips(self) -> range:
        """The 2-second clips of the event."""
        return range(self.start // CLIP, self.end // CLIP)


@dataclass(frozen=True)
class Moment:
    """A sentence and the windows [M, 2] in which it holds: seconds, even, sorted, apart.

    kind: event, act, presence or order.   saliency: int [B, A] in 0..4, 0 outside the windows.   object_ids: whom the
    sentence is about.
    """

    id: str
    text: str
    kind: str
    windows: NDArray[np.float64]
    saliency: NDArray[np.int64]
    object_ids: tuple[str, ...]


@dataclass(frozen=True)
class Caption:
    """A sentence about the seconds [start, end)."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Question:
    """A question about the whole video. kind: yesno, colour, count, order, act or shape.

    options: five answers of which one is right, () where the kind has no five.
    """

    id: str
    text: str
    answer: str
    kind: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class TimedQuestion:
    """A question asked at a time, seconds, and its answers in the spans in which they become due, in their order."""

    id: str
    text: str
    asked: float
    answers: tuple[Caption, ...]


@dataclass(frozen=True)
class Description:
    """How a track is described: reference sentences, and the attributes that each of them says.

    looks: two phrases of its look alone, which fit no other object.   attributes: size (absent where
    it changes), colour, texture (absent where it has no name), shape; acts: keys of `words.ACTS` parted by blanks.
    """

    object_id: str
    texts: tuple[str, ...]
    looks: tuple[str, ...]
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class Story:
    """Everything about a long clip except its pixels.

    captions: one tuple an annotator: the first has each event's exact times, the second other words and times up to
    2 seconds off.   importance: int [B, A] in 0..4, how worth keeping each clip is.   summaries: bool [A, T], the
    frames each annotator would keep, at most 15 %.   expressions: phrases with their targets, and spans where the words
    name a moment.
    """

    seed: int
    shifted: bool
    duration: int
    objects: tuple[ObjectSpec, ...]
    events: tuple[Event, ...]
    moments: tuple[Moment, ...]
    captions: tuple[tuple[Caption, ...], tuple[Caption, ...]]
    questions: tuple[Question, ...]
    timed_questions: tuple[TimedQuestion, ...]
    descriptions: tuple[Description, ...]
    expressions: tuple[Expression, ...]
    importance: NDArray[np.int64]
    summaries: NDArray[np.bool_]

    @property
    def frames(self) -> int:
        """T."""
        return int(self.duration * FPS)

    @property
    def clips(self) -> int:
        """B."""
        return self.duration // CLIP


@dataclass(frozen=True)
class LongClip:
    """A long clip with its exact ground truth.

    frames: uint8 [T, 256, 256, 3] RGB.   labels: uint8 [T, 256, 256], k + 1 where `story.objects[k]` is seen, 0 where
    none is.   whole: int64 [O, T], pixels of each object inside the picture, covered or not.
    """

    story: Story
    frames: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    whole: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Refuse arrays that do not match the story."""
        count = self.story.frames
        check_array("long clip frames", self.frames, [count, SIDE, SIDE, 3], "u")
        check_array("long clip labels", self.labels, [count, SIDE, SIDE], "u")
        check_array("long clip whole", self.whole, [len(self.story.objects), count], "i")

    @property
    def times(self) -> NDArray[np.float64]:
        """The start of each frame, seconds [T]."""
        return np.arange(self.story.frames) / FPS

    def masks(self, object_id: str) -> NDArray[np.bool_]:
        """An object's visible pixels, [T, 256, 256]; InputError for an unknown id."""
        ids = [o.id for o in self.story.objects]
        if object_id not in ids:
            raise InputError(f"long clip {self.story.seed}: expected an object of {ids}, got {object_id!r}")
        seen: NDArray[np.bool_] = self.labels == ids.index(object_id) + 1
        return seen

    def boxes(self, object_id: str) -> NDArray[np.float32]:
        """x1, y1, x2, y2 of an object's visible pixels in each frame, [T, 4]; NaN where nothing of it is seen."""
        return rle.boxes(rle.encode(self.masks(object_id)), (SIDE, SIDE))
