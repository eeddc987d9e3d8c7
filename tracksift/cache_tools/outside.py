"""Tracks of caches in forms that other programs read: one COCO-VID JSON file, or folders of PNG masks.

Both are read back by `tracksift import`. Knows caches and run lengths. Does not know command lines. T frames.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cache import CacheFile, open_cache
from core import rle
from core.atomic import atomic_folder, atomic_path
from core.errors import InputError
from core.ids import safe_name

Progress = Callable[[int, int], None]


def export_video_json(files: Sequence[Path], target: Path, on_done: Progress | None = None) -> int:
    """All tracks in YouTube-VIS's form (`videos`, `annotations`, one category), and how many there are.

    Each annotation has the tracks' masks as COCO run lengths or null where empty, boxes as x, y, width, height or null,
    areas, the prompt's score, and the source as `source`.

    Raises:
        InputError: for two files of one video.
        CacheError, OutputError: for a file that cannot be used, or a place that cannot be written.
    """
    videos, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
    for number, path in enumerate(files, start=1):
        cache = open_cache(path)
        if cache.video.id in {video["name"] for video in videos}:
            raise InputError(f"{path}: expected one file a video, got another of {cache.video.id!r}; export one split")
        video = _video(cache, number)
        videos.append(video)
        annotations += _annotations(cache, number, len(annotations) + 1)
        if on_done is not None:
            on_done(number, len(files))
    content = {"videos": videos, "annotations": annotations, "categories": [{"id": 1, "name": "object"}]}
    with atomic_path(target) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")
    return len(annotations)


def export_pngs(files: Sequence[Path], target: Path, on_done: Progress | None = None) -> int:
    """Folders VIDEO/TRACK/FRAME.png of masks, 0 and 255, and how many images there are.

    TRACK is the track's number in three digits, FRAME the frame's index in five. One folder a track, since tracks
    overlap and an image of numbers has one object a pixel.

    Raises:
        InputError: for a folder with something in it.
        CacheError, OutputError: for a file that cannot be used, or a place that cannot be written.
    """
    refuse_full_folder(target)
    images = 0
    with atomic_folder(target) as folder:
        for number, path in enumerate(files, start=1):
            cache = open_cache(path)
            for n, counts in enumerate(cache.masks()):
                place = folder / safe_name(cache.video.id) / f"{n:03d}"
                place.mkdir(parents=True)
                for t, mask in enumerate(counts):
                    picture = rle.decode([mask], cache.video.size)[0]
                    Image.fromarray(picture.astype(np.uint8) * 255).save(place / f"{t:05d}.png")
                images += len(counts)
            if on_done is not None:
                on_done(number, len(files))
    return images


def refuse_full_folder(target: Path) -> None:
    """A folder is written whole, and would take the place of what is in it; InputError where there is something."""
    if target.is_dir() and any(target.iterdir()):
        raise InputError(f"{target}: expected a new or an empty folder to write to, got one with files in it")


def _video(cache: CacheFile, number: int) -> dict[str, Any]:
    """A cache does not know the names of frames, hence no `file_names`."""
    height, width = cache.video.size
    return {"id": number, "name": cache.video.id, "height": height, "width": width, "length": cache.video.frames}


def _annotations(cache: CacheFile, video: int, first: int) -> list[dict[str, Any]]:
    """The tracks of one video, numbered from `first`."""
    size, rows = cache.video.size, zip(cache.masks(), cache.prompts(), cache.sources(), strict=True)
    found = []
    for number, (masks, prompt, source) in enumerate(rows, start=first):
        areas, boxes = rle.areas(masks, size).tolist(), rle.boxes(masks, size).tolist()
        frames = list(zip(masks, areas, boxes, strict=True))
        found.append(
            {
                "id": number,
                "video_id": video,
                "category_id": 1,
                "iscrowd": 0,
                "score": prompt.score,
                "source": source.value,
                "segmentations": [rle.to_json(mask, size) if area else None for mask, area, _ in frames],
                "areas": [area or None for area in areas],
                "bboxes": [[x1, y1, x2 - x1, y2 - y1] if area else None for _, area, (x1, y1, x2, y2) in frames],
            }
        )
    return found
