"""COCO-VID files in YouTube-VIS's form -> masklets: for every object a list with one COCO mask a frame, or null.

Two forms: an annotation file (`videos`, `annotations`), and a result file (a list of objects with `video_id`). Knows
JSON and run lengths. Does not know trackers or where videos lie.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from core import rle
from core.errors import AnnotationError, InputError
from core.types import VideoMeta
from proposals.importer.masklets import Masklet, check_masklets

SHOWN = 5


@dataclass(frozen=True)
class VideoEntry:
    """A video of the file: its id there, its name (the folder of its frames, or its id), its frames without suffix."""

    id: str
    name: str
    frame_names: tuple[str, ...] | None


@dataclass(frozen=True)
class VideoFile:
    """A file that was read: its videos, and their objects as they stand in it."""

    path: Path
    videos: tuple[VideoEntry, ...]
    objects: Mapping[str, Sequence[Mapping[str, Any]]]

    def entry(self, video_id: str) -> VideoEntry:
        """The one video of a file, or of several the one of this name or id; InputError for none."""
        if len(self.videos) == 1:
            return self.videos[0]
        found = [entry for entry in self.videos if video_id in (entry.name, entry.id)]
        if len(found) != 1:
            known = ", ".join(repr(entry.name) for entry in self.videos[:SHOWN])
            more = ", ..." if len(self.videos) > SHOWN else ""
            raise InputError(
                f"{self.path}: expected one video called {video_id!r}, got {len(found)} among {known}{more}"
            )
        return found[0]

    def masklets(self, entry: VideoEntry, video: VideoMeta) -> list[Masklet]:
        """The objects of a video, in the order of the file.

        Raises:
            AnnotationError: for masks that are no run lengths of the video's size (polygons are not read).
            InputError: for other numbers of frames than the video's, ids that repeat, or objects that never show.
        """
        found = [
            self._masklet(number, value, video) for number, value in enumerate(self.objects.get(entry.id, ()))
        ]  # fmt: skip
        check_masklets(video, found, self.path)
        return found

    def _masklet(self, number: int, value: Mapping[str, Any], video: VideoMeta) -> Masklet:
        """One object; without an id of its own it is called by its number among the video's."""
        name = str(value.get("id", number))
        where = f"{self.path}, video {video.id!r}, object {name!r}"
        segmentations, score = value.get("segmentations"), value.get("score", 1.0)
        if not isinstance(segmentations, list):
            raise AnnotationError(f"{where}: expected `segmentations`, a list with one mask or null a frame, got none")
        if not isinstance(score, int | float) or not 0 <= score <= 1:
            raise AnnotationError(f"{where}: expected a score in 0..1, got {score!r}")
        masks = []
        for t, mask in enumerate(segmentations):
            try:
                masks.append(rle.from_json(mask, video.size))
            except InputError as error:
                raise AnnotationError(f"{where}, frame {t}: {error}") from error
        return Masklet(name, tuple(masks), float(score))


def read_video_json(path: Path) -> VideoFile:
    """A file's videos and objects; their masks are read when they are asked for.

    Raises:
        AnnotationError: for a file that is no JSON, of another form, or whose objects name videos that it lacks.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise AnnotationError(f"{path}: expected a JSON file, got: {error}") from error
    if isinstance(content, list):
        objects = _grouped(path, content)
        return VideoFile(path, tuple(VideoEntry(name, name, None) for name in objects), objects)
    keys = ("videos", "annotations")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in keys):
        raise AnnotationError(f"{path}: expected lists `videos` and `annotations`, or a list of objects, got neither")
    videos = tuple(_entry(path, number, value) for number, value in enumerate(content["videos"]))
    for kind, names in (("id", [entry.id for entry in videos]), ("name", [entry.name for entry in videos])):
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise AnnotationError(f"{path}: expected videos of distinct {kind}s, got several of {twice!r}")
    objects = _grouped(path, content["annotations"])
    strangers = sorted(set(objects) - {entry.id for entry in videos})
    if strangers:
        raise AnnotationError(f"{path}: expected objects of the videos listed, got one of video_id {strangers[0]}")
    return VideoFile(path, videos, objects)


def _grouped(path: Path, objects: Sequence[Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Objects by the id of their video, in the order of the file."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for number, value in enumerate(objects):
        if not isinstance(value, dict) or not isinstance(value.get("video_id"), int | str):
            raise AnnotationError(f"{path}, object {number}: expected an object with `video_id`, got {str(value)[:60]}")
        grouped.setdefault(str(value["video_id"]), []).append(value)
    if not grouped:
        raise AnnotationError(f"{path}: expected at least one object, got none")
    return grouped


def _entry(path: Path, number: int, value: Any) -> VideoEntry:
    """A video of the list."""
    if not isinstance(value, dict) or not isinstance(value.get("id"), int | str):
        raise AnnotationError(f"{path}, videos[{number}]: expected a video with `id`, got {str(value)[:60]}")
    files = value.get("file_names")
    if files is None:
        return VideoEntry(str(value["id"]), str(value.get("name", value["id"])), None)
    if not isinstance(files, list) or not files or not all(isinstance(name, str) for name in files):
        raise AnnotationError(
            f"{path}, videos[{number}]: expected `file_names`, a list of names, got {str(files)[:60]}"
        )
    folders = {str(PurePosixPath(name).parent) for name in files}
    if len(folders) > 1 or any(
        PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in files
    ):
        raise AnnotationError(
            f"{path}, videos[{number}]: expected `file_names` in one folder below the videos, got others"
        )
    folder = folders.pop()
    name = str(value["id"]) if folder == "." else folder
    return VideoEntry(str(value["id"]), name, tuple(PurePosixPath(file).stem for file in files))
