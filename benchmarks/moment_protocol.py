"""What every dataset of moments or timed captions gives: queries with windows, videos with captioned segments.

Knows times in seconds. Does not know any dataset's files. M windows of a query, B clips of a video, A annotators.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.types import Expression, TimeSpan
from core.validators import check_array, check_finite, check_text

Windows = NDArray[np.float64]  # [M, 2], start and end in seconds


@dataclass(frozen=True)
class MomentQuery:
    """One sentence about one video and the windows in which it holds.

    duration: seconds; None where the annotation does not say.   windows: [M, 2]; None where the split hides them. Ends
    beyond the duration are kept as annotated.   saliency: [B, A], each annotator's score of each clip; None where
    there is none.
    """

    id: str
    video_id: str
    text: str
    duration: float | None
    windows: Windows | None
    saliency: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Refuse blank ids and texts, and windows that are no [M, 2] of finite rising times."""
        for name in ("id", "video_id", "text"):
            check_text(f"query {self.id!r}: {name}", getattr(self, name))
        if self.windows is not None:
            check_windows(f"query {self.id!r}: windows", self.windows)
        if self.saliency is not None:
            check_array(f"query {self.id!r}: saliency", self.saliency, [None, None], "f")

    def expression(self) -> Expression:
        """The query as every stage knows it."""
        spans = None if self.windows is None else tuple(TimeSpan(float(s), float(e)) for s, e in self.windows)
        return Expression(self.id, self.text, spans=spans)

    @property
    def beyond_duration(self) -> bool:
        """Whether a window ends after the video: no prediction inside the video can then reach IoU 1."""
        return self.duration is not None and self.windows is not None and bool((self.windows > self.duration).any())


@dataclass(frozen=True)
class CaptionedVideo:
    """A video with captions of its segments: `segments` [M, 2] in seconds, M captions."""

    id: str
    duration: float
    segments: Windows
    captions: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse blank ids, and captions that are not as many as the segments."""
        check_text("video id", self.id)
        check_windows(f"video {self.id!r}: segments", self.segments)
        if len(self.segments) != len(self.captions):
            raise InputError(
                f"video {self.id!r}: expected one caption a segment, got {len(self.captions)} for {len(self.segments)}"
            )


class MomentReader(Protocol):
    """A split of a dataset of moments."""

    @property
    def name(self) -> str:
        """The dataset's short name."""

    @property
    def split(self) -> str:
        """The split's name."""

    def queries(self) -> Iterator[MomentQuery]:
        """All queries in the order of the annotation file, read as they are asked for."""


class CaptionReader(Protocol):
    """A split of a dataset of timed captions."""

    @property
    def name(self) -> str:
        """The dataset's short name."""

    @property
    def split(self) -> str:
        """The split's name."""

    def videos(self) -> Iterator[CaptionedVideo]:
        """All videos in the order of the annotation file."""


def check_windows(name: str, windows: Windows) -> None:
    """Refuse anything but [M, 2] of finite times from 0 with start < end."""
    check_array(name, windows, [None, 2], "f")
    check_finite(name, windows)
    wrong = (windows[:, 0] >= windows[:, 1]) | (windows[:, 0] < 0)
    if wrong.any():
        start, end = windows[int(np.argmax(wrong))]
        raise InputError(f"{name}: expected 0 <= start < end in seconds, got {start}..{end}")
