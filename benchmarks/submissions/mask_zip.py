"""Zips of masks, as MeViS's and Ref-YouTube-VOS's servers take them: written as answers come, and checked.

MeViS: `<video>/<expression>/<frame>.png`. Ref-YouTube-VOS: the same under `Annotations/`. Each is an 8-bit grey PNG of
the frame's size, 255 where the answer is and 0 elsewhere; every frame that the split lists has one, empty ones too. An
evaluator leaves out of its mean an expression that lacks a frame, and one frame of another size ends its worker: both
are problems here. Knows zips and PNG. Does not know who answered. T frames.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.protocol import BenchmarkVideo
from benchmarks.submissions.check import Findings, SubmissionCheck
from benchmarks.zip_files import leads_outside, open_zip, unpack
from core import rle
from core.atomic import atomic_path
from core.errors import InputError, OutputError

ON: Final = 255
_DATE: Final = (1980, 1, 1, 0, 0, 0)  # the same answers make the same file


class Server(StrEnum):
    """Whose zip; the value is the folder that all of it lies in."""

    MEVIS = ""
    REF_YOUTUBE_VOS = "Annotations/"


Answer = tuple[str, str, Sequence[bytes], rle.Size]
"""Video id, expression id, T COCO masks, (H, W)."""


def pack_masks(
    target: Path,
    server: Server,
    videos: Iterable[BenchmarkVideo],
    answers: Iterable[Answer],
    sizes: Mapping[str, rle.Size] | None = None,
) -> int:
    """Write answers to a zip, one in memory at a time; counts the PNGs.

    An expression of the split without an answer gets empty masks of its video's size: that in `sizes`, or that of the
    video's other answers.

    Raises:
        InputError: for an answer to nothing in the split, a second one, or one of another number of frames or size; for
            an expression without an answer in a video of unknown size.
        OutputError: when the zip cannot be written.
    """
    listed = {video.id: video for video in videos}
    left = {(v.id, e.id): _names(v) for v in listed.values() for e in v.expressions}
    known = dict(sizes or {})
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        written = 0
        for video_id, expression_id, masks, size in answers:
            names = left.pop((video_id, expression_id), None)
            place = f"answer to video {video_id!r}, expression {expression_id!r}"
            if names is None:
                raise InputError(f"{place}: expected each of the split's once, got one that is not left")
            if len(masks) != len(names):
                raise InputError(f"{place}: expected {len(names)} masks, one a frame, got {len(masks)}")
            if known.setdefault(video_id, size) != size:
                raise InputError(f"{place}: expected masks of {known[video_id]} pixels, got {size}")
            written += _put(archive, f"{server}{video_id}/{expression_id}/", names, rle.decode(masks, size))
        for (video_id, expression_id), names in left.items():
            if video_id not in known:
                raise InputError(f"video {video_id!r}: expected an answer that gives its size, got none")
            empty = np.zeros((1, *known[video_id]), dtype=np.bool_)
            written += _put(archive, f"{server}{video_id}/{expression_id}/", names, [empty[0]] * len(names))
    return written


def check_masks(
    path: Path, server: Server, videos: Iterable[BenchmarkVideo], sizes: Mapping[str, rle.Size] | None = None
) -> SubmissionCheck:
    """What is wrong with a zip for the videos of a split.

    sizes: (H, W) by video where known; otherwise all masks of a video must be of one size.

    Raises:
        InputError: when the file is missing or no zip.
    """
    findings = Findings()
    wanted = {f"{server}{v.id}/{e.id}/{name}.png": v.id for v in videos for e in v.expressions for name in _names(v)}
    known = dict(sizes or {})
    with open_zip(path, "a zip") as archive:
        files = [entry for entry in archive.infolist() if not entry.is_dir()]
        _check_names(findings, [entry.filename for entry in files], wanted, server)
        for entry in files:
            if entry.filename in wanted:
                findings.problems(_picture(archive, entry, wanted[entry.filename], known))
    return findings.result(len(files))


def _check_names(findings: Findings, names: list[str], wanted: dict[str, str], server: Server) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            findings.problem(f"{name}: expected each file once, got it twice")
        elif leads_outside(name):
            findings.problem(f"{name[:200]}: expected a name inside the zip's own folder, got one that leads out of it")
        elif name not in wanted:
            findings.remark(f"{name}: expected files of the split alone, got another")
        seen.add(name)
    if names and not seen & set(wanted):
        findings.problem(f"expected names as {next(iter(wanted), 'none')!r}, got {names[0]!r} and the like")
        return
    missing: dict[str, int] = {}
    for name in wanted:
        if name not in seen:
            folder = name.rpartition("/")[0]
            missing[folder] = missing.get(folder, 0) + 1
    for folder, count in missing.items():
        findings.problem(f"{folder}: expected a PNG of every frame, got {count} too few")


def _picture(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, video: str, sizes: dict[str, rle.Size]) -> Iterator[str]:
    """The problems of one PNG."""
    try:
        data = unpack(archive, entry)
    except InputError as error:
        yield f"{entry.filename}: {error}"
        return
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            mode, size = image.mode, (image.height, image.width)
            image.load()
            values = np.flatnonzero(image.histogram()) if mode == "L" else np.zeros(0)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        yield f"{entry.filename}: expected a PNG, got {error}"
        return
    if mode != "L":
        yield f"{entry.filename}: expected an 8-bit grey PNG, got mode {mode}"
    if sizes.setdefault(video, size) != size:
        yield f"{entry.filename}: expected {sizes[video]} pixels as its video, got {size}"
    if not np.isin(values, (0, ON)).all():
        yield f"{entry.filename}: expected values 0 and {ON}, got {values[~np.isin(values, (0, ON))][:5].tolist()}"


def _put(archive: zipfile.ZipFile, folder: str, names: Sequence[str], masks: Iterable[NDArray[np.bool_]]) -> int:
    for name, mask in zip(names, masks, strict=True):
        picture = io.BytesIO()
        Image.fromarray(np.where(mask, ON, 0).astype(np.uint8)).save(picture, "PNG")
        try:
            entry = zipfile.ZipInfo(f"{folder}{name}.png", _DATE)
            entry.external_attr = 0o644 << 16  # unpacked files that nobody may read are no answers
            archive.writestr(entry, picture.getvalue())
        except (OSError, zipfile.LargeZipFile) as error:
            raise OutputError(f"{archive.filename}: expected room to write, got {error}") from error
    return len(names)


def _names(video: BenchmarkVideo) -> tuple[str, ...]:
    """The frames without suffix, as the names of their PNGs."""
    if video.frame_names is None:
        raise InputError(f"video {video.id!r}: expected named frames, got a video file")
    return tuple(Path(name).stem for name in video.frame_names)
