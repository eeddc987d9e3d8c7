"""Reads Ref-YouTube-VOS's layout: expressions in one file a split, masks as palette PNG whose values are object ids.

    <root>/meta_expressions/<split>/meta_expressions.json   {"videos": {id: {"frames", "expressions": {id: {"exp",
                                                            "obj_id"}}}}}; obj_id only where masks are public
    <root>/<split>/JPEGImages/<video>/<frame>.jpg
    <root>/<split>/Annotations/<video>/<frame>.png

The file of the split valid lists the test videos, too: those that the file of test lists are left out. Frames are every
fifth of a video of 30 a second. Knows this layout. Does not know how frames are decoded. T frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from pydantic import Field

from benchmarks.annotation_files import Entry, Text, check_name, entries, validated
from benchmarks.label_maps import Labels, picture_size, read_labels
from benchmarks.protocol import BenchmarkVideo, named
from core import rle
from core.errors import AnnotationError, InputError
from core.types import Expression

META: Final = "meta_expressions.json"
FPS: Final = 6.0
VOID: Final = 255


class _Expression(Entry):
    exp: Text
    obj_id: Annotated[int, Field(ge=1, le=254)] | Annotated[str, Field(pattern=r"^[1-9]\d{0,2}$")] | None = None


class _Video(Entry):
    frames: Annotated[list[Text], Field(min_length=1)]
    expressions: dict[Text, _Expression]


@dataclass(frozen=True)
class RefVosReader:
    """A split in this layout; label maps are read when masks are asked for. Made by `open_ref_youtube_vos`."""

    folder: Path
    split: str
    listed: Mapping[str, BenchmarkVideo] = field(repr=False)
    name: str = "ref_youtube_vos"
    label_maps: Path | None = None  # the folder of a folder of label maps a video; None for `Annotations`

    @property
    def has_masks(self) -> bool:
        """Whether there are label maps, and every expression names its object."""
        known = all(e.target_ids is not None for v in self.listed.values() for e in v.expressions)
        return known and self._all_maps().is_dir()

    def __len__(self) -> int:
        """The number of videos."""
        return len(self.listed)

    def videos(self) -> Iterator[BenchmarkVideo]:
        """All videos in the order of the annotation file."""
        return iter(self.listed.values())

    def video(self, video_id: str) -> BenchmarkVideo:
        """One video; InputError for an unknown id."""
        return named(self.listed, video_id, self.folder)

    def masks(self, video: BenchmarkVideo) -> dict[str, tuple[bytes, ...]]:
        """Object id -> T COCO masks of `mask_size`.

        Raises:
            AnnotationError: where a label map is missing, of another size, or no label map.
        """
        labels = self.labels(video)
        return {i: rle.encode(labels == int(i)) for i in video.object_ids}

    def labels(self, video: BenchmarkVideo) -> Labels:
        """The label maps of all frames, [T, H, W]: 0 background, VOID not judged; AnnotationError as `masks`."""
        maps: list[Labels] = []
        for name in video.frame_names or ():
            path = self._maps(video) / f"{name}.png"
            maps.append(read_labels(path))
            if maps[-1].shape != maps[0].shape:
                raise AnnotationError(
                    f"{path}: expected {_size(maps[0])} pixels as the first map, got {_size(maps[-1])}"
                )
        return np.stack(maps)

    def mask_size(self, video: BenchmarkVideo) -> rle.Size:
        """(H, W) of the first label map, or of the first frame where masks are hidden; AnnotationError for neither."""
        first = (video.frame_names or ("",))[0]
        folder = self._maps(video)
        return picture_size(folder if (folder / f"{first}.png").is_file() else video.frames_path, first)

    def _maps(self, video: BenchmarkVideo) -> Path:
        return self._all_maps() / video.id

    def _all_maps(self) -> Path:
        return self.folder / "Annotations" if self.label_maps is None else self.label_maps


def open_ref_youtube_vos(root: Path, split: str, name: str = "ref_youtube_vos", fps: float = FPS) -> RefVosReader:
    """Open a split of `root`.

    Raises:
        InputError: when the split has no file of expressions; says which splits there are.
        AnnotationError: when the file is malformed; names file and key.
    """
    root = Path(root)
    path = root / "meta_expressions" / split / META
    if not path.is_file():
        splits = sorted(p.parent.name for p in root.glob(f"meta_expressions/*/{META}"))
        found = f"splits {', '.join(splits)}" if splits else "no split"
        raise InputError(f"{root}: expected meta_expressions/{split}/{META}, found {found}")
    values: dict[str, Any] = entries(path, dict, "videos")
    test = path.parents[1] / "test" / META
    hidden = entries(test, dict, "videos") if split == "valid" and test.is_file() else {}
    folder = root / split
    listed = {i: _video(path, i, value, folder, fps) for i, value in values.items() if i not in hidden}
    return RefVosReader(folder, split, listed, name)


def _video(path: Path, video_id: str, value: Any, folder: Path, fps: float) -> BenchmarkVideo:
    check_name(video_id, f"{path}: videos")
    key = f"{path}: videos.{video_id}"
    entry = validated(_Video, value, key)
    for name in (*entry.frames, *entry.expressions):  # all are parts of paths, the last in answers
        check_name(name, key)
    if len(set(entry.frames)) != len(entry.frames):
        raise AnnotationError(f"{key}.frames: expected each frame once, got one twice")
    expressions = tuple(
        Expression(i, e.exp, None if e.obj_id is None else (str(e.obj_id),)) for i, e in entry.expressions.items()
    )
    objects = dict.fromkeys(i for e in expressions for i in e.target_ids or ())
    frames_path = folder / "JPEGImages" / video_id
    return BenchmarkVideo(video_id, frames_path, tuple(entry.frames), fps, expressions, tuple(objects))


def _size(labels: Labels) -> str:
    return "x".join(map(str, labels.shape))
