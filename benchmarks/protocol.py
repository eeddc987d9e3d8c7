"""What every dataset reader gives: videos with their expressions, and ground-truth masks when they are asked for.

Knows the types of `core`. Does not know any dataset's files, nor how frames are decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from core import rle
from core.errors import InputError
from core.types import Expression

Found = TypeVar("Found")


@dataclass(frozen=True)
class BenchmarkVideo:
    """One video of a split.

    frames_path: a folder of frames, or a video file.   frame_names: the frames that count, in order, T names (with or
    without suffix); None for a file.   fps: frames a second of a folder; None where nobody knows.
    object_ids: the ground-truth objects that expressions name, in the order of first mention; () where hidden.
    """

    id: str
    frames_path: Path
    frame_names: tuple[str, ...] | None
    fps: float | None
    expressions: tuple[Expression, ...]
    object_ids: tuple[str, ...]


class Reader(Protocol):
    """A split of a dataset."""

    @property
    def name(self) -> str:
        """The dataset's short name, as in the path of a cache."""

    @property
    def split(self) -> str:
        """The split's name."""

    @property
    def has_masks(self) -> bool:
        """Whether ground-truth masks are public."""

    def __len__(self) -> int:
        """The number of videos."""

    def videos(self) -> Iterator[BenchmarkVideo]:
        """All videos, in the order of the annotation file."""

    def video(self, video_id: str) -> BenchmarkVideo:
        """One video; InputError for an unknown id."""

    def masks(self, video: BenchmarkVideo) -> Mapping[str, tuple[bytes, ...]]:
        """Object id -> T COCO masks; AnnotationError where there are none or they are malformed."""

    def mask_size(self, video: BenchmarkVideo) -> rle.Size:
        """(H, W) of the ground-truth masks."""


def named(listed: Mapping[str, Found], video_id: str, place: Path) -> Found:
    """What a split lists under a video's id; InputError for an unknown one, naming the file or folder of the list."""
    if video_id not in listed:
        raise InputError(f"{place}: expected a video {video_id!r}, got {len(listed)} others")
    return listed[video_id]


def target_masks(
    masks: Mapping[str, Sequence[bytes]], expression: Expression, frames: int, size: rle.Size
) -> tuple[bytes, ...]:
    """The union of an expression's targets, T COCO masks; empty ones for a no-target expression.

    Raises:
        InputError: when the expression's targets are unknown, or one of them has no masks.
    """
    if expression.target_ids is None:
        raise InputError(f"expression {expression.id!r}: expected known targets, got none: its split hides them")
    absent = [i for i in expression.target_ids if i not in masks]
    if absent:
        raise InputError(f"expression {expression.id!r}: expected masks of every target, got none of {absent}")
    targets = [masks[i] for i in expression.target_ids]
    return tuple(rle.union([t[frame] for t in targets], size) for frame in range(frames))
