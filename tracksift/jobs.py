"""Videos to track, one job each: a benchmark's split or a single video, and where its cache lies.

Knows readers, videos and cache paths. Does not know trackers or scorers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.mevis.reader import MevisReader, open_mevis
from benchmarks.protocol import BenchmarkVideo, Reader
from benchmarks.ref_davis.reader import open_ref_davis
from benchmarks.ref_youtube_vos.reader import RefVosReader, open_ref_youtube_vos
from cache import cache_path
from core import rle
from core.errors import InputError
from core.frames import VideoReader, open_video
from core.image_folders import SUFFIXES as PICTURES
from core.types import Expression
from core.video_files import SUFFIXES

SINGLE = "videos"
"""Dataset of videos that belong to no benchmark; their split is `single`."""


@dataclass(frozen=True)
class Job:
    """One video's work: its frames, its cache file, and its annotations where a benchmark gives them."""

    video_id: str
    frames_path: Path
    cache: Path
    fps: float | None = None
    frame_names: tuple[str, ...] | None = None
    annotated: BenchmarkVideo | None = None
    reader: Reader | None = None

    def open(self) -> VideoReader:
        """The video's frames."""
        return open_video(self.frames_path, video_id=self.video_id, fps=self.fps, frame_names=self.frame_names)

    def ground_truth(self) -> Mapping[str, tuple[bytes, ...]] | None:
        """Object id -> T COCO masks; None where the split has none."""
        if self.reader is None or self.annotated is None or not self.reader.has_masks:
            return None
        return self.reader.masks(self.annotated)


def open_split(data: Path, split: str) -> MevisReader | RefVosReader:
    """A split of a dataset of referred masks, by the layout of its folder: MeViS's, or that of Ref-YouTube-VOS, which
    Ref-DAVIS17 shares (a folder named so is read as such, for its frames a second).

    Raises:
        InputError: for a folder without the split.
        AnnotationError: for malformed annotations.
    """
    if not (data / "meta_expressions").is_dir():
        return open_mevis(data, split)
    return (open_ref_davis if "davis" in data.resolve().name.lower() else open_ref_youtube_vos)(data, split)


def split_jobs(
    data: Path, split: str, cache_root: Path, limit: int | None = None
) -> tuple[MevisReader | RefVosReader, list[Job]]:
    """A split that `open_split` opens and its jobs, in the order of the annotation file.

    Raises:
        InputError: for a folder without the split, or a limit below 1.
        AnnotationError: for malformed annotations.
    """
    if limit is not None and limit < 1:
        raise InputError(f"--limit: expected 1 or more videos, got {limit}")
    reader = open_split(data, split)
    jobs = [
        Job(
            video.id,
            video.frames_path,
            cache_path(cache_root, reader.name, reader.split, video.id),
            video.fps,
            video.frame_names,
            video,
            reader,
        )
        for video in reader.videos()
    ]
    return reader, jobs[:limit]


def video_job(video: Path, cache_root: Path, fps: float | None = None) -> Job:
    """The job of one video file or folder of frames; its id is the file's stem or the folder's name."""
    name = video.resolve().name if video.is_dir() else video.stem
    return Job(name, video, cache_path(cache_root, SINGLE, "single", name), fps)


def labelled_caches(
    data: Path, split: str, cache_root: Path, limit: int | None = None
) -> list[tuple[Path, tuple[Expression, ...]]]:
    """Cache file and expressions of every video of a split that has both.

    Raises:
        InputError: when a video of the split has no cache file.
    """
    _, jobs = split_jobs(data, split, cache_root, limit)
    missing = [job.video_id for job in jobs if not job.cache.exists()]
    if missing:
        raise InputError(
            f"{cache_root}: expected the caches of split {split!r}, got none of {len(missing)} of {len(jobs)} videos "
            f"(first {missing[0]!r}); run `tracksift generate --data {data} --split {split} --cache {cache_root}`"
        )
    return [(job.cache, job.annotated.expressions) for job in jobs if job.annotated and job.annotated.expressions]


def choose_jobs(
    video: Path | None,
    data: Path | None,
    split: str,
    cache_root: Path,
    fps: float | None = None,
    limit: int | None = None,
) -> list[Job]:
    """The jobs of a single video, of a folder of videos, or of a split, whichever is given.

    limit: only the first so many videos of a split or folder.

    Raises:
        InputError: when both or none are given, --fps is given for a split, whose reader knows it, or two videos of a
            folder have one name.
    """
    if (video is None) == (data is None):
        raise InputError(f"expected either a VIDEO or --data, got {'both' if data is not None else 'neither'}")
    if video is not None:
        files = videos_in(video)
        return [video_job(path, cache_root, fps) for path in files[:limit] or [video]]
    if data is None or fps is not None:
        raise InputError("--fps: expected none with --data, whose annotations say it")
    return split_jobs(data, split, cache_root, limit)[1]


def videos_in(folder: Path) -> list[Path]:
    """The video files of a folder by name; none of a file, or of a folder of frames.

    Raises:
        InputError: where it holds frames as well, or two videos whose names differ in their suffix alone.
    """
    if not folder.is_dir():
        return []
    shown = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    files = [path for path in shown if path.suffix.lower() in SUFFIXES]
    pictures = [path for path in shown if path.suffix.lower() in PICTURES]
    if files and pictures:
        raise InputError(
            f"{folder}: expected videos or the frames of one, got both ({files[0].name}, {pictures[0].name})"
        )
    if twice := [path for path, after in pairwise(files) if path.stem == after.stem]:
        raise InputError(f"{folder}: expected videos of different names, got {twice[0].stem!r} twice")
    return files


def shard(jobs: Sequence[Job], part: str | None) -> list[Job]:
    """The jobs of part `i/n` (i from 0): every n-th one, so that parts have about equal work.

    Raises:
        InputError: for another form, or i not below n.
    """
    if part is None:
        return list(jobs)
    match = re.fullmatch(r"(\d+)/(\d+)", part)
    if match is None or int(match[1]) >= int(match[2]):
        raise InputError(f"--shard: expected i/n with i from 0 and below n, got {part!r}")
    return list(jobs)[int(match[1]) :: int(match[2])]


def decoded(masks: Mapping[str, Sequence[bytes]], size: rle.Size) -> dict[str, NDArray[np.bool_]]:
    """Object id -> [T, H, W] bool."""
    return {name: rle.decode(counts, size) for name, counts in masks.items()}
