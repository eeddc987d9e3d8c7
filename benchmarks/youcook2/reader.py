"""Reads YouCook2's captions: `{video: {duration, timestamps, sentences}}`, or VTG-LLM's `{annotations: [...]}`.

The second has "segments" and all captions in one string, "pure_cap", parted by ". ". Does not know videos.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from benchmarks.activitynet.reader import captioned, from_captions
from benchmarks.annotation_files import Entry, Seconds, Text, Window, entries, once, read_json, validated
from benchmarks.moment_protocol import CaptionedVideo
from core.errors import AnnotationError


class _Annotation(Entry):
    image_id: Text
    duration: Annotated[Seconds, Field(gt=0)]
    segments: Annotated[list[Window], Field(min_length=1)]
    pure_cap: Text


class _Caption(Entry):
    timestamp: Window
    caption: str


@dataclass(frozen=True)
class YouCook2Reader:
    """A split of YouCook2."""

    path: Path
    split: str
    name: str = "youcook2"

    def videos(self) -> Iterator[CaptionedVideo]:
        """All videos in file order, ids without suffix.

        Raises:
            AnnotationError: where an entry is malformed; names file and key.
        """
        value = read_json(self.path)
        if not isinstance(value, dict):
            raise AnnotationError(f"{self.path}: expected an object, got {type(value).__name__}")
        if "annotations" in value:
            yield from _from_annotations(self.path)
        else:
            yield from from_captions(self.path, value)


def open_youcook2(path: Path, split: str = "val") -> YouCook2Reader:
    """Open an annotation file of either form."""
    path = Path(path)
    if not path.is_file():
        raise AnnotationError(f"{path}: expected YouCook2 captions, found no such file")
    return YouCook2Reader(path, split)


def read_caption_predictions(path: Path) -> dict[str, tuple[NDArray[np.float64], tuple[str, ...]]]:
    """Video id (without suffix) -> segments [K, 2] and K captions: JSON {video: [{"timestamp", "caption"}, ...]}.

    Segments are as the model said them, reversed ones included.

    Raises:
        AnnotationError: where an entry is malformed; names file and key.
    """
    found = {}
    for video, listed in entries(Path(path), dict).items():
        if not isinstance(listed, list):
            raise AnnotationError(f"{path}: {video}: expected an array of captions, got {type(listed).__name__}")
        said = [validated(_Caption, value, f"{path}: {video}.{i}") for i, value in enumerate(listed)]
        segments = np.array([s.timestamp for s in said], dtype=np.float64).reshape(-1, 2)
        found[_stem(video)] = (segments, tuple(s.caption for s in said))
    return found


def _from_annotations(path: Path) -> Iterator[CaptionedVideo]:
    seen: set[str] = set()
    for i, value in enumerate(entries(path, list, "annotations")):
        place = f"{path}: annotations.{i}"
        entry = validated(_Annotation, value, place)
        video = _stem(entry.image_id)
        once(seen, video, f"{place}: image_id")
        captions: Sequence[Any] = [f"{caption}." for caption in entry.pure_cap.split(". ")]
        yield captioned(place, video, entry.duration, entry.segments, captions)


def _stem(video: str) -> str:
    return video.rsplit("/", 1)[-1].removesuffix(".mp4")
