"""Writes a split in several formats beside one another; a file that two of them ship exists once, under two names.

    FOLDER/frames/<video>/00000.jpg, FOLDER/videos/<video>.mp4    what the formats share
    FOLDER/<format>/...                                           as the format's authors ship theirs
    FOLDER/world.json                                             what is here: seeds, world, formats

Knows workers and media. Does not know any format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from core.atomic import atomic_folder
from core.errors import InputError
from core.reporting import Progress
from miniature import world
from miniature.formats.catalogue import FORMATS, Media
from miniature.formats.files import Role, role_of, write_json
from miniature.formats.footage import Footage, from_clip, from_long
from miniature.formats.media import link, write_frames, write_video
from miniature.long_world import make_long_clip
from miniature.world.layout import check_target, in_order, video_id

NOTE: Final = "world.json"


@dataclass(frozen=True)
class Wanted:
    """What to render. expressions: of a video at most so many of each sort; seconds: the length of long clips."""

    formats: tuple[str, ...]
    long: bool = False
    shifted: bool = False
    expressions: int | None = None
    seconds: int | None = None

    def media(self) -> set[Media]:
        """What the formats share; those that write their own videos need none."""
        return {FORMATS[n].media for n in self.formats if not FORMATS[n].own_videos}


def write_formats(
    folder: Path,
    split: str,
    seeds: Sequence[int],
    wanted: Wanted,
    *,
    overwrite: bool = False,
    workers: int = 1,
    on_progress: Progress | None = None,
) -> None:
    """Render the videos of `seeds` into `folder`, which is either complete or not there.

    on_progress: called with (videos done, videos in all) after each video.

    Raises:
        InputError: for no seeds, no formats or fewer than one worker.
        OutputError: when the folder cannot be written or would be overwritten without `overwrite`.
    """
    if not seeds or workers < 1 or not wanted.formats:
        raise InputError(
            f"render: expected at least one seed, one format and one worker, got {len(seeds)}, "
            f"{len(wanted.formats)} and {workers}"
        )
    check_target(folder, overwrite, NOTE)
    role = role_of(split)
    parts: dict[str, list[Any]] = {name: [] for name in wanted.formats}
    with atomic_folder(folder) as temporary:
        for name in wanted.formats:
            (temporary / name).mkdir()
        for done, found in enumerate(in_order(partial(_render, temporary, role, wanted), seeds, workers), start=1):
            for name, part in found.items():
                parts[name].append(part)
            if on_progress is not None:
                on_progress(done, len(seeds))
        for name, listed in parts.items():
            FORMATS[name].finish(temporary / name, role, listed)
        write_json(temporary / NOTE, {"split": split, "seeds": list(seeds), **vars(wanted)})


def make_footage(seed: int, wanted: Wanted) -> Footage:
    """The video of a seed."""
    name = video_id(seed, wanted.shifted, wanted.long)
    if wanted.long:
        clip = make_long_clip(seed, shifted=wanted.shifted, seconds=wanted.seconds, most=wanted.expressions)
        return from_long(clip, name)
    return from_clip(world.make_clip(seed, shifted=wanted.shifted, expressions=wanted.expressions), name)


def _render(folder: Path, role: Role, wanted: Wanted, seed: int) -> dict[str, Any]:
    """Write one video's media and files; its share of each format's annotations."""
    footage, media = make_footage(seed, wanted), wanted.media()
    frames = write_frames(footage.frames, folder / "frames" / footage.id) if Media.FRAMES in media else []
    video = folder / "videos" / f"{footage.id}.mp4"
    if Media.VIDEOS in media:
        write_video(footage.frames, footage.fps, video)
    parts = {}
    for name in wanted.formats:
        chosen, place = FORMATS[name], folder / name
        if chosen.media is Media.VIDEOS and not chosen.own_videos:
            link(video, place / "videos" / video.name)
        parts[name] = chosen.part(footage, frames if chosen.media is Media.FRAMES else [video], place, role)
    return parts


def expected_megabytes(videos: int, wanted: Wanted) -> float:
    """About how much a split takes on disk: measured bytes a frame of JPEG, MP4 and label maps."""
    frames = videos * ((wanted.seconds or 130) * 2 if wanted.long else 44)
    media = wanted.media()
    kilobytes = 30.0 * (Media.FRAMES in media) + 8.5 * (Media.VIDEOS in media)
    kilobytes += 8.5 * ("didemo" in wanted.formats) + 5.0 * ("ref_youtube_vos" in wanted.formats)
    return frames * (kilobytes + 5.0 * ("ref_davis" in wanted.formats)) / 1000
