"""Folders of PNG masks -> masklets: one image a frame whose values are object ids (DAVIS), or one folder an object.

Knows images and the names of frames. Does not know trackers. PNGs belong to the frames of the same name where the video
is a folder of frames; a video file's frames have no names: there must be as many PNGs as frames, in their order. Every
value but 0 is an object, 255 too: a file that marks "do not care" so must have it cleared first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core import rle
from core.errors import InputError
from core.image_folders import FolderReader
from core.types import VideoMeta
from proposals.importer.masklets import Masklet, check_masklets

MODES = ("P", "L", "1")  # a palette's numbers, grey values, two values


def read_png_masks(folder: Path, video: VideoMeta, frame_names: Sequence[str] | None = None) -> list[Masklet]:
    """The objects of one video, by id, from a folder of PNGs or of one folder of PNGs an object.

    frame_names: of the video's T frames, without suffix, where it is a folder of frames. There an object's own folder
    may leave frames out, on which the object is absent; a palette image is needed for every frame.

    Raises:
        InputError: for another layout, images of other sizes or kinds, frames that the video does not have, or objects
            that never show.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of PNG masks, got none")
    images = [path for path in _visible(folder) if path.is_file() and path.suffix.lower() in (".png", ".jpg", ".jpeg")]
    objects = [path for path in _visible(folder) if path.is_dir()]
    if bool(images) == bool(objects):
        got = "both" if images else "neither"
        raise InputError(f"{folder}: expected either one PNG a frame or one folder an object, got {got}")
    found = _by_value(folder, video, frame_names) if images else _by_folder(objects, video, frame_names)
    check_masklets(video, found, folder)
    return found


def _by_value(folder: Path, video: VideoMeta, names: Sequence[str] | None) -> list[Masklet]:
    """One image a frame, whose values are ids."""
    paths = _frames(folder, video, names)
    if len(paths) != video.frames:
        lacking = next(t for t in range(video.frames) if t not in paths)
        frame = names[lacking] if names else lacking
        raise InputError(f"{folder}: expected one PNG for each of {video.frames} frames, got none for {frame!r}")
    empty = rle.union([], video.size)
    found: dict[int, list[bytes]] = {}
    for t, path in sorted(paths.items()):
        values = _values(path, video.size)
        ids = [int(value) for value in np.unique(values) if value]
        counts = rle.encode(np.stack([values == i for i in ids])) if ids else ()
        for i, mask in zip(ids, counts, strict=True):
            found.setdefault(i, [empty] * video.frames)[t] = mask
    return [Masklet(str(i), tuple(found[i])) for i in sorted(found)]


def _by_folder(folders: Sequence[Path], video: VideoMeta, names: Sequence[str] | None) -> list[Masklet]:
    """One folder an object, of images with two values."""
    empty = rle.union([], video.size)
    masklets = []
    for folder in folders:
        masks = [empty] * video.frames
        for t, path in _frames(folder, video, names).items():
            values = _values(path, video.size)
            kinds = [int(value) for value in np.unique(values) if value]
            if len(kinds) > 1:
                raise InputError(f"{path}: expected a mask of 0 and one other value, got values {kinds[:4]}")
            masks[t] = rle.encode((values != 0)[None])[0]
        masklets.append(Masklet(folder.name, tuple(masks)))
    return masklets


def _frames(folder: Path, video: VideoMeta, names: Sequence[str] | None) -> Mapping[int, Path]:
    """The PNG of each frame index that has one."""
    reader = FolderReader(folder, folder.name, fps=1.0)
    if reader.meta.size != video.size:
        (height, width), (h, w) = video.size, reader.meta.size
        raise InputError(f"{folder}: expected masks of the video's size, {width} x {height}, got {w} x {h}")
    if names is None:
        if len(reader.paths) != video.frames:
            raise InputError(
                f"{folder}: expected one PNG for each of {video.frames} frames of {video.source}, got "
                f"{len(reader.paths)}; give the video as a folder of frames to match them by name"
            )
        return dict(enumerate(reader.paths))
    places = {name: t for t, name in enumerate(names)}
    strangers = [path for path in reader.paths if path.stem not in places]
    if strangers:
        raise InputError(f"{strangers[0]}: expected the name of a frame of {video.source}, got {strangers[0].stem!r}")
    return {places[path.stem]: path for path in reader.paths}


def _values(path: Path, size: rle.Size) -> NDArray[np.uint8]:
    """The numbers in an image [H, W], as they are stored."""
    try:
        with Image.open(path) as image:
            kind, mode, values = image.format, image.mode, np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: expected a whole PNG, got a broken one: {error}") from error
    if kind != "PNG" or mode not in MODES:
        raise InputError(f"{path}: expected a PNG of one channel (palette or grey), got a {kind} of mode {mode}")
    if values.shape != size:
        raise InputError(f"{path}: expected {size[1]} x {size[0]} pixels, got {values.shape[1]} x {values.shape[0]}")
    return values.astype(np.uint8)


def _visible(folder: Path) -> list[Path]:
    """What is in a folder but hidden files, by number where every name is one, else by name."""
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    numbered = all(path.stem.isascii() and path.stem.isdigit() for path in paths)
    return sorted(paths, key=lambda path: int(path.stem)) if numbered else paths
