"""An object that another program has tracked, and what must hold of the objects of one video.

Knows run-length masks. Does not know files or trackers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core import rle
from core.errors import InputError
from core.hashing import json_sha256
from core.types import VideoMeta
from core.validators import check_probability, check_text


@dataclass(frozen=True)
class Masklet:
    """One object: its id, T COCO masks (empty where absent), and its score in 0..1 where its file gives one."""

    id: str
    masks: tuple[bytes, ...]
    score: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a blank id and a score outside 0..1."""
        check_text("masklet id", self.id)
        check_probability(f"object {self.id!r}: score", self.score)


def check_masklets(video: VideoMeta, masklets: Sequence[Masklet], source: Path) -> None:
    """Refuse no objects, ids that repeat, other lengths or sizes than the video's, and objects that never show.

    Raises:
        InputError: naming the file or folder that they came from and the object.
    """
    if not masklets:
        raise InputError(f"{source}: expected at least one object in video {video.id!r}, got none")
    ids = [masklet.id for masklet in masklets]
    repeated = sorted({name for name in ids if ids.count(name) > 1})
    if repeated:
        raise InputError(f"{source}: expected one masklet an object, got several of {repeated[0]!r}")
    for masklet in masklets:
        where = f"{source}, object {masklet.id!r}"
        if len(masklet.masks) != video.frames:
            raise InputError(f"{where}: expected {video.frames} frames of video {video.id!r}, got {len(masklet.masks)}")
        try:
            rle.check(masklet.masks, video.size)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        if not rle.areas(masklet.masks, video.size).any():
            raise InputError(f"{where}: expected a mask on at least one frame, got none")


def masklets_sha256(masklets: Sequence[Masklet]) -> str:
    """Names ids, scores and pixels, in their order."""
    return json_sha256([[m.id, m.score, [counts.decode("ascii") for counts in m.masks]] for m in masklets])
