"""Outside masklets -> cache files, one video or a whole file of them: what is whole and current is kept.

An import has its own place, `<cache>/imported/<name of the masks>/<video>.h5`, so that it never replaces the tracks
that `generate` found. Knows the importer, looks and the cache. Does not know command lines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from cache import cache_path, is_current, open_cache, rewrite_cache, verify_cache
from core.atomic import check_folder
from core.errors import CacheError, InputError, TrackSiftError
from core.frames import VideoReader
from core.hashing import json_sha256
from core.image_folders import SUFFIXES as IMAGES
from core.image_folders import FolderReader
from core.images import ImageEncoder
from core.types import TrackSet
from core.video_files import SUFFIXES as VIDEOS
from proposals.checkpoints import LoadedTracker
from proposals.generate import Progress
from proposals.importer import Masklet, VideoFile, import_facts, import_tracks, read_png_masks, read_video_json
from proposals.looks import look_facts, with_looks, without_look_facts
from tracksift.generate import JobResult
from tracksift.jobs import Job

IMPORTED = "imported"
"""Dataset of imported tracks; their split is the name of the masks' file or folder."""


@dataclass(frozen=True)
class ImportJob:
    """One video's import: its frames and cache file (`job`), and its masks: a folder of PNGs, or a file once read."""

    job: Job
    masks: Path | VideoFile

    def masklets(self, reader: VideoReader) -> list[Masklet]:
        """The video's objects, checked against it; InputError for masks that are not of this video."""
        if isinstance(self.masks, VideoFile):
            return self.masks.masklets(self.masks.entry(self.job.video_id), reader.meta)
        names = [path.stem for path in reader.paths] if isinstance(reader, FolderReader) else None
        return read_png_masks(self.masks, reader.meta, names)


def import_jobs(video: Path, masks: Path, cache_root: Path, fps: float | None = None) -> list[ImportJob]:
    """The import of one video (a file, or a folder of frames), or of every video of a folder of videos.

    masks: a folder of PNGs, or a JSON file. Over a folder of videos: a folder with one such folder a video, or a JSON
    file whose every video lies there as a folder or file of its name.

    Raises:
        InputError: for masks or videos that are not there, or a JSON file of another form.
    """
    if not masks.exists():
        raise InputError(f"--masks {masks}: expected a folder of PNGs or a JSON file, got nothing there")
    file = None if masks.is_dir() else read_video_json(masks)
    if not holds_videos(video):
        name = video.resolve().name if video.is_dir() else video.stem
        frames = None if file is None or not video.is_dir() else file.entry(name).frame_names
        return [ImportJob(_job(name, video, masks, cache_root, fps, frames), masks if file is None else file)]
    entries: list[tuple[str, Path | VideoFile, tuple[str, ...] | None]]
    if file is not None:
        entries = [(entry.name, file, entry.frame_names) for entry in file.videos]
    else:
        folders = sorted(path for path in masks.iterdir() if path.is_dir() and not path.name.startswith("."))
        entries = [(folder.name, folder, None) for folder in folders]
    if not entries:
        raise InputError(f"--masks {masks}: expected the masks of at least one video, got none")
    jobs = []
    for name, source, frames in entries:
        place = find_video(video, name)
        listed = frames if place.is_dir() else None
        jobs.append(ImportJob(_job(name, place, masks, cache_root, fps if place.is_dir() else None, listed), source))
    return jobs


def import_all(
    jobs: Iterable[ImportJob],
    tracker: LoadedTracker,
    *,
    image_encoder: ImageEncoder | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    on_frames: Progress | None = None,
    on_result: Callable[[JobResult], None] | None = None,
) -> list[JobResult]:
    """Make the cache file of every job that has none that is whole and made of these masks, frames and models.

    A video that fails is reported and the others go on; the caller decides what a failure means.
    """
    results = []
    for job in jobs:
        try:
            result = _import(job, tracker, image_encoder, overwrite, dry_run, on_frames)
        except TrackSiftError as error:
            result = JobResult(job.job.video_id, "failed", cause=str(error))
        results.append(result)
        if on_result is not None:
            on_result(result)
    return results


def imported_jobs(jobs: Iterable[Job], cache_root: Path, name: str) -> list[Job]:
    """The same videos with the cache files that an import of masks called `name` made of them.

    Raises:
        InputError: for a video that has no such file, or whose frames are not those of the file.
        CacheError: for a file that cannot be used.
    """
    found = []
    for job in jobs:
        path = cache_path(cache_root, IMPORTED, name, job.video_id)
        if not path.exists():
            raise InputError(f"video {job.video_id!r}: expected an import at {path}, got none; run `tracksift import`")
        reader = job.open()
        reader.close()
        if open_cache(path).video.fingerprint != reader.meta.fingerprint:
            raise InputError(f"{path}: expected an import of {job.frames_path}, got one of other frames")
        found.append(replace(job, cache=path))
    return found


def _import(
    job: ImportJob,
    tracker: LoadedTracker,
    image_encoder: ImageEncoder | None,
    overwrite: bool,
    dry_run: bool,
    on_frames: Progress | None,
) -> JobResult:
    reader = job.job.open()
    try:
        masklets = job.masklets(reader)
        facts = import_facts(reader.meta, tracker, masklets)
        path, frames = job.job.cache, reader.meta.frames
        if not overwrite and is_current(path, facts | look_facts(image_encoder)):
            return JobResult(job.job.video_id, "kept", frames=frames)
        if dry_run:
            return JobResult(job.job.video_id, "planned", frames=frames)
        check_folder(path.parent)
        start = time.perf_counter()
        tracks = None if overwrite else _held(path, facts)
        passes = 0.0 if tracks is not None else 1.0
        if tracks is None:
            tracks = import_tracks(reader, tracker, masklets, on_frames)
        rewrite_cache(path, with_looks(tracks, reader, image_encoder))
    finally:
        reader.close()
    return JobResult(job.job.video_id, "made", len(tracks.tracks), frames, passes, time.perf_counter() - start)


def _held(path: Path, facts: dict[str, object]) -> TrackSet | None:
    """The tracks of a whole file that differs in looks alone."""
    try:
        held = verify_cache(path)
        same = json_sha256(without_look_facts(held.provenance)) == json_sha256(facts)
        return held.track_set() if same else None
    except CacheError:
        return None


def _job(
    name: str, video: Path, masks: Path, cache_root: Path, fps: float | None, frames: tuple[str, ...] | None
) -> Job:
    return Job(name, video, cache_path(cache_root, IMPORTED, masks.stem, name), fps, frames)


def holds_videos(folder: Path) -> bool:
    """Whether a folder has videos, or folders of frames, in it, and no frames of its own."""
    if not folder.is_dir():
        return False
    suffixes = {path.suffix.lower() for path in folder.iterdir() if path.is_file()}
    has_more = any(path.is_dir() and not path.name.startswith(".") for path in folder.iterdir())
    return not suffixes & set(IMAGES) and (has_more or bool(suffixes & set(VIDEOS)))


def find_video(folder: Path, name: str) -> Path:
    """The video of a name in a folder of videos: a folder of frames or a file; where it lacks, opening it says so."""
    files = [folder / (name + suffix) for suffix in VIDEOS]
    return next((path for path in (folder / name, *files) if path.exists()), folder / name)
