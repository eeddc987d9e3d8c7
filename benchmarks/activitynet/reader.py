"""Reads ActivityNet Captions: `{video: {duration, timestamps, sentences}}`, as moments or as captions.

The validation videos have two annotators' files, val_1 (17,505 sentences) and val_2 (17,031): a figure names
which one it is from. Some segments end after their video (134 and 111); they are kept. Does not know videos.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from benchmarks.annotation_files import Entry, Seconds, Text, Window, check_window, entries, validated
from benchmarks.moment_protocol import CaptionedVideo, MomentQuery
from core.errors import AnnotationError


class _Video(Entry):
    duration: Annotated[Seconds, Field(gt=0)]
    timestamps: Annotated[list[Window], Field(min_length=1)]
    sentences: list[Text]


@dataclass(frozen=True)
class ActivityNetReader:
    """One annotation file; the split is its name (val_1, val_2, train)."""

    path: Path
    split: str
    name: str = "activitynet"

    def videos(self) -> Iterator[CaptionedVideo]:
        """All videos in file order.

        Raises:
            AnnotationError: where an entry is malformed; names file and key.
        """
        return from_captions(self.path, entries(self.path, dict))

    def queries(self) -> Iterator[MomentQuery]:
        """Each sentence as a query, its id `VIDEO_NUMBER`, numbered from 0 in each video."""
        for video in self.videos():
            for i, (segment, text) in enumerate(zip(video.segments, video.captions, strict=True)):
                yield MomentQuery(f"{video.id}_{i}", video.id, text, video.duration, segment[None])


def open_activitynet(path: Path, split: str | None = None) -> ActivityNetReader:
    """Open an annotation file; its split is the file's name unless given."""
    path = Path(path)
    if not path.is_file():
        raise AnnotationError(f"{path}: expected ActivityNet Captions, found no such file")
    return ActivityNetReader(path, split or path.stem)


@dataclass(frozen=True)
class TwoAnnotators:
    """Both annotators' files of the same videos (`val_1` and `val_2`), as densevid_eval takes them."""

    first: ActivityNetReader
    second: ActivityNetReader
    name: str = "activitynet"

    @property
    def split(self) -> str:
        """Both splits' names."""
        return f"{self.first.split}+{self.second.split}"

    def videos(self) -> Iterator[CaptionedVideo]:
        """The videos of the first annotator, and those that the second alone described, in file order."""
        seen = set()
        for reader in (self.first, self.second):
            for video in reader.videos():
                if video.id not in seen:
                    seen.add(video.id)
                    yield video

    def others(self) -> dict[str, CaptionedVideo]:
        """What the second annotator said of the videos that the first described, too."""
        first = {video.id for video in self.first.videos()}
        return {video.id: video for video in self.second.videos() if video.id in first}


def from_captions(path: Path, videos: Mapping[str, Any]) -> Iterator[CaptionedVideo]:
    """The videos of `{video: {duration, timestamps, sentences}}`, read from `path`."""
    for video, value in videos.items():
        entry = validated(_Video, value, f"{path}: {video}")
        yield captioned(f"{path}: {video}", video, entry.duration, entry.timestamps, entry.sentences)


def captioned(
    place: str, video: str, duration: float, segments: Sequence[list[float]], captions: Sequence[str]
) -> CaptionedVideo:
    """A video of checked segments; AnnotationError where one is reversed or captions are not as many."""
    if not video.strip():
        raise AnnotationError(f"{place}: expected a video id, got {video!r}")
    if len(segments) != len(captions):
        raise AnnotationError(f"{place}: expected one sentence a segment, got {len(captions)} for {len(segments)}")
    for i, segment in enumerate(segments):
        check_window(segment, f"{place}: segment {i}")
    table = np.array(segments, dtype=np.float64)
    return CaptionedVideo(video, duration, table, tuple(caption.strip() for caption in captions))
