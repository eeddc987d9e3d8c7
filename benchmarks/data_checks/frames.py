"""Videos of a split: whether their frames and their annotations are there, can be read and agree.

Knows readers with masks and with boxes. Does not know scores. T frames.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.data_checks.inventory import Fault, Inventory
from benchmarks.protocol import BenchmarkVideo, Reader
from benchmarks.tracking_protocol import BoxReader, BoxTruth
from core import rle
from core.errors import InputError
from core.reporting import Progress

_SUFFIXES = (".jpg", ".jpeg", ".png")


def check_masks(reader: Reader, videos: Path | None, progress: Progress, *, thorough: bool = False) -> Inventory:
    """Frames, masks and expressions of every video; `thorough` decodes every frame, else the first of each.

    videos: a folder of <video>/<frame> in place of the dataset's own.
    """
    found = Inventory()
    for done, video in enumerate(reader.videos(), start=1):
        found.count(videos=1, expressions=len(video.expressions), objects=len(video.object_ids))
        found.count(
            no_target=sum(e.target_ids == () for e in video.expressions),
            hidden=sum(e.target_ids is None for e in video.expressions),
        )
        if not video.expressions:
            found.note(Fault.ODD, f"video {video.id!r}: expected expressions, got none")
        size = _frames(video, videos, found, thorough)
        if reader.has_masks:
            _true_masks(reader, video, size, found)
        progress(done, len(reader))
    found.count(videos_with_masks=found.counts["videos"] if reader.has_masks else 0)
    return found


def check_boxes(reader: BoxReader, videos: Path | None, progress: Progress, *, thorough: bool = False) -> Inventory:
    """Frames, boxes and flags of every sequence; `videos` and `thorough` as for `check_masks`."""
    found, walk, done = Inventory(), reader.videos(), 0
    while (video := _next(walk, found)) is not None:
        done += 1
        found.count(videos=1, expressions=len(video.expressions))
        size = _frames(video, videos, found, thorough)
        try:
            truth = reader.truth(video)
        except InputError as error:
            found.note(Fault.UNREADABLE, str(error))
        else:
            _true_boxes(video, truth, size, found)
        progress(done, len(reader))
    return found


def _next(walk: Iterator[BenchmarkVideo], found: Inventory) -> BenchmarkVideo | None:
    """The next video that can be read; those that cannot are noted: readers' iterators go on after one."""
    while True:
        try:
            return next(walk, None)
        except InputError as error:
            found.count(videos=1)
            found.note(Fault.UNREADABLE, str(error))


def _frames(video: BenchmarkVideo, videos: Path | None, found: Inventory, thorough: bool) -> rle.Size | None:
    """(H, W) of the first frame, None where it cannot be told; notes what is wrong with the frames."""
    folder, names = video.frames_path if videos is None else videos / video.frames_path.name, video.frame_names or ()
    if videos is not None and not os.path.isdir(folder):  # of too long a name Path would raise
        folder = videos / video.id
    if not os.path.isdir(folder):
        found.note(Fault.MISSING, f"{folder}: expected the frames of video {video.id!r}, found no such folder")
        return None
    there = {path.stem: path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES}
    wanted = [Path(name).stem if Path(name).suffix.lower() in _SUFFIXES else name for name in names]
    absent = [name for name in wanted if name not in there]
    if absent:
        found.note(
            Fault.MISSING,
            f"{folder}: expected {len(names)} frames, found none of {len(absent)}, first {absent[0]!r}",
        )
    paths = [there[name] for name in wanted if name in there]
    found.count(frames=len(paths))
    first: rle.Size | None = None
    for path in paths if thorough else paths[:1]:
        size = _size(path, found)
        first = first or size
        if size is not None and size != first:
            found.note(Fault.MISMATCHED, f"{path}: expected {first} pixels as the video's first frame, got {size}")
    return first


def _size(path: Path, found: Inventory) -> rle.Size | None:
    try:
        with Image.open(path) as image:
            image.load()
            return image.height, image.width
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        found.note(Fault.UNREADABLE, f"{path}: expected a picture, got {error}")
        return None


def _true_masks(reader: Reader, video: BenchmarkVideo, size: rle.Size | None, found: Inventory) -> None:
    try:
        of_masks = reader.mask_size(video)
        masks = reader.masks(video)
    except InputError as error:
        found.note(Fault.UNREADABLE, str(error))
        return
    if size is not None and size != of_masks:
        found.note(Fault.MISMATCHED, f"video {video.id!r}: expected masks of its frames' {size} pixels, got {of_masks}")
    for name, counts in masks.items():
        seen = int((rle.areas(counts, of_masks) > 0).sum())
        found.count(masks=seen)
        if not seen:
            found.note(Fault.ODD, f"video {video.id!r}: expected object {name!r} in some frame, got it in none")


def _true_boxes(video: BenchmarkVideo, truth: BoxTruth, size: rle.Size | None, found: Inventory) -> None:
    frames = len(video.frame_names or ())
    known = np.isfinite(truth.boxes).all(axis=1)
    found.count(boxes=int(known.sum()), absent=0 if truth.absent is None else int(truth.absent.sum()))
    if len(truth.boxes) != frames:
        found.note(Fault.MISMATCHED, f"video {video.id!r}: expected {frames} boxes, got {len(truth.boxes)}")
    if truth.size is not None and size is not None and truth.size != size[::-1]:
        found.note(
            Fault.MISMATCHED, f"video {video.id!r}: expected frames of {truth.size} pixels, W and H, got {size[::-1]}"
        )
    shown = known if truth.absent is None else known & ~truth.absent
    shown = shown if truth.cover is None else shown & (truth.cover > 0)
    flat = shown & (truth.boxes[:, 2:] <= 0).any(axis=1)  # OTB closes Board and Twinnings with zeros
    if flat.any():
        found.note(Fault.ODD, f"video {video.id!r}: expected boxes with an area, got {int(flat.sum())} shown without")
    if size is not None:
        corners = truth.corners()[shown & ~flat]  # of absent targets LaSOT writes zeros
        beyond = int(((corners[:, 0] >= size[1]) | (corners[:, 1] >= size[0]) | (corners[:, 2:] <= 0).any(1)).sum())
        if beyond:
            found.note(Fault.MISMATCHED, f"video {video.id!r}: expected boxes in the picture, got {beyond} outside it")
