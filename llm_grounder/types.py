"""What the grounder reads and says: clips of features, requests, turns, targets, samples and replies.

Knows shapes, units and ranges. Does not know models, tokens or wordings. Times are seconds; boxes here are x1, y1, x2,
y2 as shares of the picture in 0..1, NaN where absent. Axis letters: T frames, P patches a frame, C feature width,
N tracks, D object-token width, M spans or boxes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import InputError
from core.types import TimeSpan
from core.validators import check_array, check_finite, check_probability, check_rising, check_text


class Task(StrEnum):
    """What is asked for."""

    MOMENTS = "moments"  # all windows that a sentence names
    HIGHLIGHTS = "highlights"  # the best times for a sentence, with saliency
    CAPTIONS = "captions"  # events with their times
    SUMMARY = "summary"  # the times to keep
    TIMED_QA = "timed_qa"  # multi-answer grounded QA: answers when they become due
    QA = "qa"  # one short answer about the clip, or about a picture (T = 1)
    GROUNDING = "grounding"  # the box of an expression in a picture
    REG = "reg"  # a sentence that describes one track
    RSOT = "rsot"  # the boxes of an expression's object
    SOT = "sot"  # the boxes of the object in a given box


class Role(StrEnum):
    """Who speaks in a turn."""

    USER = "user"
    ASSISTANT = "assistant"


class Read(StrEnum):
    """Read-outs that need tokens of their own after the last frame; frame and box heads need none."""

    SPANS = "spans"
    TRACKS = "tracks"


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames at exact times, as a frozen encoder saw them, and tracks.

    features: [T, P, C] float.   times: [T] float64 rising; a frame is shown until the next one's time, the last until
    `end`.   track_tokens: [N, T, D] float, zeros where absent.   track_boxes: [N, T, 4] shares of the picture, NaN
    where absent.   N may be 0 with any D. `cache` is the cache's content hash, "" where there is none.
    """

    id: str
    features: Tensor
    times: NDArray[np.float64]
    end: float
    track_tokens: Tensor = field(default_factory=lambda: torch.zeros(0, 0, 0))
    track_boxes: Tensor = field(default_factory=lambda: torch.zeros(0, 0, 4))
    cache: str = ""

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit together."""
        check_text("clip id", self.id)
        check_array(f"clip {self.id!r}: times", self.times, [None], "f")
        edges = np.append(self.times, self.end)
        check_finite(f"clip {self.id!r}: times", edges)
        check_rising(f"clip {self.id!r}: times", edges)
        frames = len(self.times)
        if self.features.ndim != 3 or self.features.shape[0] != frames or not frames or 0 in self.features.shape:
            raise InputError(
                f"clip {self.id!r}: expected features [{frames}, P, C] of one frame or more, "
                f"got {list(self.features.shape)}"
            )
        tokens, boxes = list(self.track_tokens.shape), list(self.track_boxes.shape)
        if len(tokens) != 3 or boxes != [*tokens[:2], 4] or (tokens[0] and tokens[1] != frames):
            raise InputError(
                f"clip {self.id!r}: expected track tokens [N, {frames}, D] and boxes [N, {frames}, 4], "
                f"got {tokens} and {boxes}"
            )

    @property
    def frames(self) -> int:
        """T."""
        return len(self.times)

    @property
    def tracks(self) -> int:
        """N."""
        return len(self.track_tokens)

    @cached_property
    def seen(self) -> tuple[tuple[int, ...], ...]:
        """The tracks that each of the T frames shows."""
        there = ~self.track_boxes[..., 0].isnan().T.cpu().numpy()
        return tuple(tuple(np.flatnonzero(row).tolist()) for row in there)


@dataclass(frozen=True)
class Region:
    """A box that a request points at: the time of its frame, and x1, y1, x2, y2 as shares of the picture."""

    time: float
    box: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        """Refuse boxes that are none."""
        x1, y1, x2, y2 = self.box
        if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
            raise InputError(f"region: expected 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1, got {self.box}")


@dataclass(frozen=True)
class Request:
    """One thing that is asked of a clip.

    text: sentence, expression or question; "" where the task needs none.   asked: seconds, 0 or less before the first
    frame.   options: answers to choose from, () for a free one.   track: index of the track that is meant (Video-REG).
    region: the box to follow (SOT).   id: the expression or question, for score files
    """

    task: Task
    text: str = ""
    asked: float = 0.0
    options: tuple[str, ...] = ()
    track: int | None = None
    region: Region | None = None
    id: str = ""

    def __post_init__(self) -> None:
        """Refuse tracks below 0."""
        if self.track is not None and self.track < 0:
            raise InputError(f"request: expected a track index from 0, got {self.track}")


@dataclass(frozen=True)
class Turn:
    """Something said at a time: it stands before the first frame whose time is later (or equal, for the user's).

    A user's turn at `time` stands before the frame that starts at it; an assistant's after it. `math.inf` is after the
    last frame. learn: whether the words of an assistant's turn reach the language loss.   given: whether the times in
    them come from a read-out, and are not learnt as words where they are written in time tokens.
    region: a box that stands in a user's turn, after its text.
    """

    time: float
    role: Role
    text: str
    learn: bool = True
    given: bool = False
    region: Region | None = None


@dataclass(frozen=True, eq=False)
class Targets:
    """What is known to be true; None is never a loss, NaN is a frame (or track) without a label.

    spans: [M, 2] seconds, M may be 0 (nothing fits; the scores then learn 0).   relevance, informative: [T] in 0..1.
    boxes: [T, M, 4] shares, NaN where fewer than M are there; `boxed` [T] bool says which frames have labels.
    tracks: [N] in 0..1, whether each track is meant.   now: [N, T] in 0..1, whether what is asked for holds of each
    track in each frame; where it does not show, nothing is learnt.
    """

    spans: Tensor | None = None
    relevance: Tensor | None = None
    informative: Tensor | None = None
    boxes: Tensor | None = None
    boxed: Tensor | None = None
    tracks: Tensor | None = None
    now: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """A clip, what is asked, all that is said in order, and what should come out.

    turns: the conversation as words (`llm_grounder.tasks` makes them of a request); at inference it ends with the
    user's last turn.   reads: read-outs that get tokens after the last frame.   system: the system's words.
    """

    clip: Clip
    request: Request
    turns: tuple[Turn, ...]
    targets: Targets = field(default_factory=Targets)
    reads: tuple[Read, ...] = ()
    system: str = ""

    def __post_init__(self) -> None:
        """Refuse targets that do not fit the clip, and turns that go back in time."""
        frames, tracks = self.clip.frames, self.clip.tracks
        shapes: dict[str, list[int | None]] = {
            "spans": [None, 2], "relevance": [frames], "informative": [frames], "boxes": [frames, None, 4],
            "boxed": [frames], "tracks": [tracks], "now": [tracks, frames],
        }  # fmt: skip
        for name, shape in shapes.items():
            value: Tensor | None = getattr(self.targets, name)
            if value is not None and (
                value.ndim != len(shape)
                or any(want is not None and got != want for got, want in zip(value.shape, shape, strict=True))
            ):
                raise InputError(
                    f"sample of clip {self.clip.id!r}: expected targets.{name} of shape {shape}, "
                    f"got {list(value.shape)}"
                )
        if (self.targets.boxes is None) != (self.targets.boxed is None):
            raise InputError(f"sample of clip {self.clip.id!r}: expected targets boxes and boxed both or none")
        times = [turn.time for turn in self.turns]
        if times != sorted(times):
            raise InputError(f"sample of clip {self.clip.id!r}: expected turns in the order of time, got {times}")


@dataclass(frozen=True, eq=False)
class Reply:
    """What the grounder says of one sample.

    text: generated words, "" where none were asked for.   spans: seconds with scores, best first.   relevance,
    informative: [T] in 0..1.   boxes: [T, K, 4] shares, `box_scores` [T, K] in 0..1, best first.
    tracks: [N] in 0..1 with `presence`, that any is meant.   fits: [N, T] in 0..1, whether what is asked for holds of
    each track in each frame, 0 where it is absent.   Empty or None where the read-out was not asked for.
    """

    text: str = ""
    spans: tuple[TimeSpan, ...] = ()
    relevance: NDArray[np.float64] | None = None
    informative: NDArray[np.float64] | None = None
    boxes: NDArray[np.float64] | None = None
    box_scores: NDArray[np.float64] | None = None
    tracks: NDArray[np.float64] | None = None
    presence: float | None = None
    fits: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Refuse scores outside 0..1."""
        for name in ("relevance", "informative", "box_scores", "tracks", "fits"):
            if (values := getattr(self, name)) is not None:
                check_probability(f"reply {name}", values)
