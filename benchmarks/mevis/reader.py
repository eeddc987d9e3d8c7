"""Reads a split in MeViS's layout: `meta_expressions.json`, `mask_dict.json`, `JPEGImages/<video>/<frame>.jpg`.

Masks stand in the order of the frames' names, as its authors' loader takes them. Knows the files of MeViS v1 and v2,
whose expressions have a name of their own (`META_V2`), and the optional keys of the rendered world ("fps" of a video;
"kind" and "spans" of an expression). Does not know how frames are decoded. T frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field

from benchmarks.annotation_files import Entry, Window, check_name, entries, read_json, validated
from benchmarks.label_maps import picture_size
from benchmarks.protocol import BenchmarkVideo, named
from core import rle
from core.errors import AnnotationError, InputError
from core.types import Expression, TimeSpan

META = "meta_expressions.json"
META_V2 = ("meta_expressions_v2.json", "meta_expressions_v2_release.json")
"""v2 as it is downloaded: with masks, and where they are hidden. A `META` beside them is read in their place."""
MASKS = "mask_dict.json"
FRAMES = "JPEGImages"
# MeViS names no frame rate. Its authors (henghuiding/MeViS, issue 18): most videos at 5 a second, a few at 3 or 30.
NOMINAL_FPS = 5.0


class _Expression(Entry):
    exp: str
    anno_id: list[int | str] | None = None  # left out where the split hides them; [] means no target
    kind: str = ""
    spans: list[Window] | None = None


class _Video(Entry):
    frames: list[str] = Field(min_length=1)
    expressions: dict[str, _Expression]
    fps: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class _Meta(Entry):
    videos: dict[str, _Video]


@dataclass(frozen=True)
class MevisReader:
    """A split in MeViS's layout; its masks are loaded when first asked for. Made by `open_mevis`."""

    folder: Path
    split: str
    listed: Mapping[str, BenchmarkVideo] = field(repr=False)
    name: str = "mevis"

    @property
    def has_masks(self) -> bool:
        """Whether there is a `mask_dict.json`."""
        return (self.folder / MASKS).is_file()

    def __len__(self) -> int:
        """The number of videos."""
        return len(self.listed)

    def videos(self) -> Iterator[BenchmarkVideo]:
        """All videos in the order of the annotation file."""
        return iter(self.listed.values())

    def video(self, video_id: str) -> BenchmarkVideo:
        """One video; InputError for an unknown id."""
        return named(self.listed, video_id, _meta_file(self.folder) or self.folder / META)

    def masks(self, video: BenchmarkVideo) -> dict[str, tuple[bytes, ...]]:
        """Object id -> T COCO masks of `mask_size`, empty where an object is absent.

        Raises:
            AnnotationError: where there is no mask file, an object is missing from it, or a mask is malformed.
        """
        size = self.mask_size(video)
        return {i: self._object(video, i, size) for i in video.object_ids}

    def mask_size(self, video: BenchmarkVideo) -> rle.Size:
        """(H, W) of the masks; that of the first frame's file where no object is ever visible.

        Raises:
            AnnotationError: where there is neither.
        """
        for object_id in video.object_ids:
            for value in self._frames_of(video, object_id):
                if value is not None:
                    return self._size_of(value, object_id)
        return picture_size(video.frames_path, _frame_names(video)[0])

    @cached_property
    def _mask_dict(self) -> dict[str, Any]:
        path = self.folder / MASKS
        if not path.is_file():
            raise AnnotationError(
                f"{path}: expected ground-truth masks, found no such file: split {self.split!r} has none"
            )
        masks: dict[str, Any] = entries(path, dict)
        return masks

    def _frames_of(self, video: BenchmarkVideo, object_id: str) -> list[Any]:
        value, expected = self._mask_dict.get(object_id), len(_frame_names(video))
        if not isinstance(value, list) or len(value) != expected:
            got = f"{len(value)}" if isinstance(value, list) else type(value).__name__
            raise AnnotationError(
                f"{self.folder / MASKS}: {object_id}: expected {expected} masks, one a frame of video {video.id!r}, "
                f"got {got}"
            )
        return value

    def _object(self, video: BenchmarkVideo, object_id: str, size: rle.Size) -> tuple[bytes, ...]:
        counts = []
        for frame, value in enumerate(self._frames_of(video, object_id)):
            try:
                counts.append(rle.from_json(value, size))
            except InputError as error:
                raise AnnotationError(f"{self.folder / MASKS}: {object_id}.{frame}: {error}") from error
        return tuple(counts)

    def _size_of(self, value: Any, object_id: str) -> rle.Size:
        size = value.get("size") if isinstance(value, dict) else None
        if not (isinstance(size, list) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size)):
            raise AnnotationError(
                f"{self.folder / MASKS}: {object_id}: expected COCO RLE or null, got {str(value)[:80]}"
            )
        return size[0], size[1]


def open_mevis(root: Path, split: str | None = None) -> MevisReader:
    """Open `root/split`, or `root` itself where it holds the file of expressions (its name is then the split's).

    Raises:
        InputError: when neither folder has the file; says which splits there are.
        AnnotationError: when the file is malformed; names file and key.
    """
    root = Path(root)
    folder = root / split if split is not None and _meta_file(root / split) is not None else root
    path = _meta_file(folder)
    if path is None:
        splits = sorted({p.parent.name for name in (META, *META_V2) for p in root.glob(f"*/{name}")})
        wanted = META if split is None else f"{split}/{META}"
        raise InputError(f"{root}: expected {wanted}, found {'splits ' + ', '.join(splits) if splits else 'no split'}")
    if folder == root and split is not None and root.resolve().name != split:
        raise InputError(f"{root}: expected split {split!r}, got the folder of split {root.resolve().name!r}")
    meta = validated(_Meta, read_json(path), str(path))
    listed = {video_id: _video(path, video_id, value) for video_id, value in meta.videos.items()}
    return MevisReader(folder, split or root.resolve().name, listed)


def _meta_file(folder: Path) -> Path | None:
    """The folder's file of expressions; None where it has none."""
    return next((folder / name for name in (META, *META_V2) if (folder / name).is_file()), None)


def _video(path: Path, video_id: str, value: _Video) -> BenchmarkVideo:
    key = f"{path}: videos.{video_id}"
    check_name(video_id, f"{path}: videos")
    for name in (*value.frames, *value.expressions):  # all are parts of paths, the last in answers
        check_name(name, key)
    if len(set(value.frames)) != len(value.frames):
        raise AnnotationError(f"{key}.frames: expected each frame once, got one twice")
    expressions = tuple(_expression(f"{key}.expressions.{i}", i, e) for i, e in value.expressions.items())
    named = dict.fromkeys(i for e in expressions for i in e.target_ids or ())
    frames_path = path.parent / FRAMES / video_id
    frames = tuple(sorted(value.frames))
    return BenchmarkVideo(video_id, frames_path, frames, value.fps or NOMINAL_FPS, expressions, tuple(named))


def _expression(key: str, expression_id: str, value: _Expression) -> Expression:
    targets = None if value.anno_id is None else tuple(dict.fromkeys(str(i) for i in value.anno_id))
    try:
        spans = None if value.spans is None else tuple(TimeSpan(start, end) for start, end in value.spans)
        return Expression(expression_id, value.exp, targets, spans, value.kind)
    except InputError as error:
        raise AnnotationError(f"{key}: {error}") from error


def _frame_names(video: BenchmarkVideo) -> tuple[str, ...]:
    if video.frame_names is None:
        raise InputError(f"video {video.id!r}: expected a video of MeViS with named frames, got a video file")
    return video.frame_names
