"""All formats by name: which media they ship, what they know of, who writes them.

Knows the writers. Does not know splits or workers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from core.errors import InputError
from miniature.formats import boxes, instructions, language, masks, moments
from miniature.formats.files import Role
from miniature.formats.footage import Footage


class Media(StrEnum):
    """What a format ships: a folder of JPEG files a video, or an MP4."""

    FRAMES = "frames"
    VIDEOS = "videos"


@dataclass(frozen=True)
class Format:
    """One format. `part` writes one video's files and gives its share of the annotations, which `finish` writes.

    part: called with the footage, the media's files (all frames, or the one MP4), the format's folder and the role.
    long_only: whether it needs what only long clips have: captions, questions, saliency.   own_videos: whether `part`
    writes its videos itself.
    """

    media: Media
    long_only: bool
    part: Callable[[Footage, Sequence[Path], Path, Role], Any]
    finish: Callable[[Path, Role, Sequence[Any]], None]
    own_videos: bool = False


def _told(part: Callable[..., Any], finish: Callable[..., None], own_videos: bool = False) -> Format:
    return Format(Media.VIDEOS, True, part, finish, own_videos)


FORMATS: Final[dict[str, Format]] = {
    "mevis": Format(Media.FRAMES, False, masks.mevis_part, masks.mevis_finish),
    "ref_youtube_vos": Format(Media.FRAMES, False, masks.ref_youtube_vos_part, masks.ref_youtube_vos_finish),
    "ref_davis": Format(Media.FRAMES, False, masks.ref_davis_part, masks.ref_davis_finish),
    "lasot": Format(Media.FRAMES, False, boxes.lasot_part, boxes.lasot_finish),
    "otb": Format(Media.FRAMES, False, boxes.otb_part, boxes.otb_finish),
    "got10k": Format(Media.FRAMES, False, boxes.got10k_part, boxes.got10k_finish),
    "elysium_track": Format(Media.FRAMES, False, boxes.elysium_part, boxes.elysium_finish),
    "charades_sta": _told(moments.charades_part, moments.charades_finish),
    "activitynet": _told(moments.activitynet_part, moments.activitynet_finish),
    "didemo": _told(moments.didemo_part, moments.didemo_finish, own_videos=True),
    "qvhighlights": _told(moments.qvhighlights_part, moments.qvhighlights_finish),
    "timelens": _told(moments.timelens_part, moments.timelens_finish),
    "youcook2": _told(language.youcook2_part, language.youcook2_finish),
    "magqa": _told(language.magqa_part, language.magqa_finish),
    "msvd_qa": _told(language.questions_part, language.one_file_finish),
    "msrvtt_qa": _told(language.questions_part, language.one_file_finish),
    "tgif_qa": _told(language.questions_part, language.tgif_finish),
    "activitynet_qa": _told(language.questions_part, language.activitynet_qa_finish),
    "summaries": _told(language.summaries_part, language.summaries_finish),
    "vtg_it": _told(instructions.vtg_it_part, instructions.vtg_it_finish),
    "mmduet_it": _told(instructions.mmduet_it_part, instructions.mmduet_it_finish),
}


def choose(names: str, long: bool) -> tuple[str, ...]:
    """The formats of a comma-separated list, in the catalogue's order; `all` are all that the world can fill.

    Raises:
        InputError: for an unknown name, no name, or a format that needs the long world without it.
    """
    possible = [n for n, f in FORMATS.items() if long or not f.long_only]
    if names.strip() == "all":
        return tuple(possible)
    wanted = {n.strip() for n in names.split(",") if n.strip()}
    unknown = sorted(wanted - set(FORMATS))
    if unknown or not wanted:
        raise InputError(f"--formats: expected all or some of {', '.join(FORMATS)}, got {names!r}")
    short = sorted(wanted - set(possible))
    if short:
        raise InputError(f"--formats: expected --long with {', '.join(short)}, which short clips cannot fill")
    return tuple(n for n in possible if n in wanted)
