"""Videos in SOLA's layout -> cache files, one by one: what is whole and current is kept.

Knows the layout's reader, videos and the cache. Does not know command lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from cache import cache_path, is_current, rewrite_cache
from core.errors import InputError
from core.frames import open_video
from core.types import VideoMeta
from tracksift.cache_tools.sola_read import SolaVideo, read_sola_video
from tracksift.imports import find_video, holds_videos


def import_sola(
    source: SolaVideo,
    cache_root: Path,
    *,
    videos: Path | None = None,
    fps: float | None = None,
    tracker_sha256: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> Literal["made", "kept", "planned"]:
    """Make `<cache_root>/DATASET/SPLIT/VIDEO.h5` of one video unless it is there, whole and of the same files.

    videos: the video, or a folder of videos by name; needed where no facts lie beside the layout.   fps: of a folder of
    frames.   tracker_sha256: names the weights that made the tokens, where the facts do not.

    Raises:
        InputError: for a video or tracker that nobody says, or frames that are not those of the facts.
        AnnotationError: for files that are not masks and tokens of the video.
        OutputError: when the place cannot be written.
        CacheForeignError, CacheVersionError: for a file there that is not ours to replace.
    """
    tracks, labels = read_sola_video(source, _meta(source, videos, fps), tracker_sha256)
    path = cache_path(cache_root, source.dataset, source.split, tracks.video.id)
    if not overwrite and is_current(path, tracks.provenance):
        return "kept"
    if dry_run:
        return "planned"
    rewrite_cache(path, tracks, labels)
    return "made"


def _meta(source: SolaVideo, videos: Path | None, fps: float | None) -> VideoMeta | None:
    """The video as its frames say it; None where no frames are given."""
    if videos is None:
        return None
    place = find_video(videos, source.name) if holds_videos(videos) else videos
    name = str((source.facts or {}).get("id", source.name))
    reader = open_video(place, video_id=name, fps=fps if place.is_dir() else None)
    reader.close()
    if source.facts and source.facts["fingerprint"] != reader.meta.fingerprint:
        raise InputError(f"video {name!r}: expected the frames that its tracks were made of, got others at {place}")
    return reader.meta
