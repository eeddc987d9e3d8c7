"""`tracksift cache diff`, `export` and `import`: caches beside each other, and in other programs' layouts.

Knows flags and tables. Does not know any layout.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from core import reporting
from core.errors import CacheError, InputError, TrackSiftError
from scripts import import_tracks, options

SHOWN = 40
FORMATS = ("coco-vid", "png", "sola")
DIFF_EPILOG = "Examples: [bold]tracksift cache diff a.h5 b.h5[/]  |  [bold]tracksift cache diff caches other_caches[/]"
EXPORT_EPILOG = (
    "Examples: [bold]tracksift cache export caches/mevis/valid --format coco-vid --out valid.json[/]  |  "
    "[bold]tracksift cache export caches --format sola --out sam2_tracks[/]"
)
IMPORT_EPILOG = (
    "Examples: [bold]tracksift cache import sam2_tracks --cache caches[/]  |  "
    "[bold]tracksift cache import instances.json --videos JPEGImages --fps 6[/]  |  "
    "[bold]tracksift cache import Annotations/blackswan --videos JPEGImages/blackswan --fps 24[/]"
)


def diff(
    a: Annotated[Path, typer.Argument(help="A cache file, or a root of them.")],
    b: Annotated[Path, typer.Argument(help="What it is compared with: a file, or a root of the same videos.")],
) -> None:
    """Compare caches of the same videos track by track: best mask IoU, tokens' cosine, tracks that only one has.

    Every track of A is paired with at most one of B, by the largest sum of IoUs.
    """
    from tracksift.cache_tools import compare_caches, matched_files

    pairs, alone = matched_files(a, b)
    found = [compare_caches(*pair) for pair in reporting.track(pairs, "files")]
    if len(found) == 1:
        rows = [(p.a, p.b, p.iou, p.cosine) for p in found[0].pairs]
        reporting.print_table(f"video {found[0].video_id}", ["track of A", "of B", "IoU", "cosine"], rows)
    else:
        summary = [
            (c.video_id, c.equal, len(c.pairs), len(c.left_over), c.mean_iou, c.least_cosine, ", ".join(c.changed))
            for c in found
        ]
        columns = ["video", "equal", "tracks of A", "only in B", "mean IoU", "least cosine", "provenance that differs"]
        reporting.print_table("caches", columns, summary[:SHOWN])
    ious = [pair.iou for c in found for pair in c.pairs]
    reporting.emit(
        {
            "files": len(found),
            "alone": len(alone),
            "equal": sum(c.equal for c in found),
            "tracks": len(ious),
            "only_in_b": sum(len(c.left_over) for c in found),
            "mean_iou": sum(ious) / len(ious) if ious else None,
            "least_cosine": min((c.least_cosine for c in found if c.least_cosine is not None), default=None),
        },
        {"a": str(a), "b": str(b), "changed": sorted({key for c in found for key in c.changed})},
    )


def export(
    place: Annotated[Path, typer.Argument(help="A root of cache files, a folder below it, or one file.")],
    out: Annotated[Path, typer.Option(help="The JSON file (coco-vid) or folder (png, sola) to write.")],
    form: Annotated[str, typer.Option("--format", help=f"{', '.join(FORMATS)}.")] = "coco-vid",
    dry_run: options.DryRun = False,
) -> None:
    """Write tracks in another program's layout, all or nothing.

    [bold]coco-vid[/]: one JSON file in YouTube-VIS's form. [bold]png[/]: VIDEO/TRACK/FRAME.png, 0 and 255.
    [bold]sola[/]: a JSON file of masks and a .npy file of tokens a track, as SOLA reads them, and the videos' times in
    a folder beside.
    """
    from cache import find_caches
    from tracksift.cache_tools import export_pngs, export_sola, export_video_json

    if form not in FORMATS:
        raise InputError(f"--format: expected one of {', '.join(FORMATS)}, got {form!r}")
    files = find_caches(place)
    if not files:
        raise InputError(f"{place}: expected cache files, got none")
    written = 0
    if not dry_run:
        with reporting.progress_bar("videos", len(files)) as bar:
            if form == "coco-vid":
                written = export_video_json(files, out, bar)
            elif form == "png":
                written = export_pngs(files, out, bar)
            else:
                named = [(Path(os.path.abspath(path)).parent, path) for path in files]
                written = export_sola([(p.parent.name or "-", p.name or "-", path) for p, path in named], out, bar)
    unit = "images" if form == "png" else "tracks"
    reporting.emit(
        {"videos": len(files), unit: written},
        {"place": str(place), "format": form, "out": str(out), "dry_run": dry_run},
    )


def import_(
    tracks: Annotated[
        Path, typer.Argument(help="A folder in SOLA's layout, a JSON file in YouTube-VIS's form, or folders of PNGs.")
    ],
    cache: options.Cache = Path("caches"),
    videos: Annotated[
        Path | None,
        typer.Option(help="The video, or the folder of videos; SOLA's layout needs it where no times lie beside it."),
    ] = None,
    fps: options.Fps = None,
    tracker: options.Tracker = "miniature",
    tracker_sha256: Annotated[
        str | None, typer.Option(help="SOLA's layout: names the weights that made the tokens, which stay as they are.")
    ] = None,
    device: options.Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make every file again.")] = False,
    dry_run: options.DryRun = False,
) -> None:
    """Read tracks of another layout into caches.

    SOLA's layout has tokens, which are kept: CACHE/DATASET/SPLIT/VIDEO.h5. The others have masks alone: their tokens
    come from a tracker of ours, as `tracksift import VIDEOS --masks TRACKS` does it.
    """
    if not any((tracks / folder).is_dir() for folder in ("grid_tracks", "gdino_tracks", "gt_tracks")):
        if videos is None or tracker_sha256 is not None:
            raise InputError(
                f"{tracks}: expected --videos, and no --tracker-sha256, with masks that have no tokens of their own"
            )
        import_tracks.main(
            video=videos, masks=tracks, cache=cache, fps=fps, tracker=tracker, looks=None, device=device,
            overwrite=overwrite, dry_run=dry_run,
        )  # fmt: skip
        return
    from tracksift.cache_tools import find_sola_videos, import_sola

    found, done, failed = find_sola_videos(tracks), Counter[str](), list[str]()
    choices: dict[str, Any] = {"videos": videos, "fps": fps, "tracker_sha256": tracker_sha256}
    for video in reporting.track(found, "videos"):
        try:
            done.update([import_sola(video, cache, **choices, overwrite=overwrite, dry_run=dry_run)])
        except TrackSiftError as error:
            failed.append(f"{video.name}: {error}")
    reporting.emit(
        {"videos": len(found), "made": done["made"], "kept": done["kept"], "planned": done["planned"],
         "failures": len(failed)},
        {"tracks": str(tracks), "cache": str(cache), "dry_run": dry_run},
    )  # fmt: skip
    if failed:
        raise CacheError(f"{len(failed)} of {len(found)} videos failed: {'; '.join(failed[:20])}")
