"""Writes clips in MeViS's own layout, so that the reader of the benchmark reads them.

    FOLDER/meta_expressions.json  {"videos": {id: {"frames": ["00000", ...], "expressions": {id: {"exp", "anno_id",
                                  "obj_id", "kind", "spans"}}, "fps"}}}; kind, spans (seconds) and fps are ours
    FOLDER/mask_dict.json         {anno_id: [COCO run lengths or null, one a frame]}; anno_ids count over all videos
    FOLDER/JPEGImages/<id>/00000.jpg

Knows files. Does not know how clips are drawn or which seeds belong to which split.
"""

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core import rle
from core.atomic import atomic_folder
from core.errors import InputError, OutputError
from miniature.world import NO_TARGET, Clip, make_clip

META, MASKS, FRAMES = "meta_expressions.json", "mask_dict.json", "JPEGImages"
JPEG_QUALITY = 95

Result = TypeVar("Result")
RunLengths = list[dict[str, Any] | None]


@dataclass(frozen=True)
class Written:
    """What one clip left: its id, number of frames, expressions as JSON (anno_id still counted from 0), masks."""

    video_id: str
    frames: int
    fps: float
    expressions: dict[str, dict[str, Any]]
    masks: tuple[RunLengths, ...]


def video_id(seed: int, shifted: bool = False, long: bool = False) -> str:
    """The video's name: m000007 for seed 7, ms000007 shifted, ml000007 of the long world, msl000007 both."""
    return f"m{'s' if shifted else ''}{'l' if long else ''}{seed:06d}"


def run_lengths(masks: NDArray[np.bool_]) -> RunLengths:
    """Masks [T, H, W] -> COCO run lengths; None where a mask is empty."""
    seen: NDArray[np.bool_] = masks.any(axis=(1, 2)).reshape(-1)
    size = (masks.shape[1], masks.shape[2])
    return [rle.to_json(c, size) if s else None for c, s in zip(rle.encode(masks), seen, strict=True)]


def write_clip(clip: Clip, name: str, folder: Path) -> Written:
    """Write a clip's frames to FOLDER/JPEGImages/<name> and return the rest."""
    frames = folder / FRAMES / name
    frames.mkdir(parents=True)
    for t, frame in enumerate(clip.frames):
        Image.fromarray(frame).save(frames / f"{t:05d}.jpg", quality=JPEG_QUALITY, subsampling=0)
    masks = tuple(run_lengths(m) for m in clip.masks)
    return Written(name, len(clip.frames), clip.fps, expressions_json(clip), masks)


def expressions_json(clip: Clip) -> dict[str, dict[str, Any]]:
    """A clip's expressions as the layout has them; anno_ids count from 0."""
    return {
        e.id: {
            "exp": e.text,
            "anno_id": [int(i) - 1 for i in e.target_ids or ()],
            "obj_id": [int(i) for i in e.target_ids or ()],
            "kind": e.kind,
            "spans": None if e.spans is None else [[s.start, s.end] for s in e.spans],
        }
        for e in clip.expressions
    }


def _render(folder: Path, shifted: bool, expressions: int | None, no_target: float, seed: int) -> Written:
    clip = make_clip(seed, shifted=shifted, expressions=expressions, no_target=no_target)
    return write_clip(clip, video_id(seed, shifted), folder)


def in_order(render: Callable[[int], Result], seeds: Sequence[int], workers: int) -> Iterator[Result]:
    """What `render` gives for each seed, in the order of `seeds`, by `workers` processes."""
    if workers == 1:
        yield from map(render, seeds)
        return
    # Spawned, because a caller may hold threads (torch) that a forked child would inherit locked.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(render, seeds)


def check_target(folder: Path, overwrite: bool, sign: str = META) -> None:
    """Refuse a folder that holds something, unless it may be replaced and is a rendered split, which has a file `sign`.

    Raises:
        OutputError: for a folder that is not empty, or that does not look like a split.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not overwrite:
        raise OutputError(
            f"output {folder}: expected an empty or new folder, got one with files (overwrite replaces it)"
        )
    if not (folder / sign).is_file():
        raise OutputError(f"output {folder}: expected a rendered split to replace, got a folder without {sign}")


def write_split(
    folder: Path,
    seeds: Sequence[int],
    *,
    shifted: bool = False,
    expressions: int | None = None,
    no_target: float = NO_TARGET,
    overwrite: bool = False,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Render the clips of `seeds` into `folder`, which is either complete or not there.

    expressions: of a clip at most so many, instead of 8 to 12.   no_target: share that try to have no target.
    on_progress: called with (clips done, clips in all) after each clip.

    Raises:
        InputError: for no seeds, or fewer than one worker.
        OutputError: when the folder cannot be written or would be overwritten without `overwrite`.
    """
    if not seeds or workers < 1:
        raise InputError(f"render: expected at least one seed and one worker, got {len(seeds)} and {workers}")
    check_target(folder, overwrite)
    videos: dict[str, Any] = {}
    masks: dict[str, RunLengths] = {}
    with atomic_folder(folder) as temporary:
        render = partial(_render, temporary, shifted, expressions, no_target)
        for done, clip in enumerate(in_order(render, seeds, workers), 1):
            first = len(masks)
            for e in clip.expressions.values():
                e["anno_id"] = [first + i for i in e["anno_id"]]
            masks.update({str(first + i): m for i, m in enumerate(clip.masks)})
            names = [f"{t:05d}" for t in range(clip.frames)]
            videos[clip.video_id] = {"frames": names, "expressions": clip.expressions, "fps": clip.fps}
            if on_progress is not None:
                on_progress(done, len(seeds))
        (temporary / META).write_text(json.dumps({"videos": videos}))
        (temporary / MASKS).write_text(json.dumps(masks))


def expected_megabytes(clips: int) -> float:
    """About how much a split takes on disk: 30 kB a frame (measured), 44 frames a clip."""
    return clips * 44 * 0.030
