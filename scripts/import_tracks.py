"""`tracksift import`: masks that another program tracked -> cache files.

Knows flags and tables. Does not know how masks are read or tokens are made.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from core import reporting
from core.errors import InputError, TrackSiftError
from scripts import options

SHOWN = 20
EPILOG = (
    "Examples: [bold]tracksift import clip.mp4 --masks clip_masks/[/]  |  "
    "[bold]tracksift import JPEGImages/480p/blackswan --masks Annotations/480p/blackswan --fps 24[/]  |  "
    "[bold]tracksift import JPEGImages/ --masks instances.json --fps 6 --cache caches[/]"
)


def main(
    video: Annotated[Path, typer.Argument(help="A video file, a folder of frames, or a folder of either.")],
    masks: Annotated[
        Path,
        typer.Option(
            help="A folder with one PNG a frame whose values are object ids, a folder with one folder of PNGs an "
            "object, or a JSON file in YouTube-VIS's form. For a folder of videos: such a file, or one folder a video."
        ),
    ],
    cache: options.Cache = Path("caches"),
    fps: options.Fps = None,
    tracker: options.Tracker = "miniature",
    looks: Annotated[
        bool | None,
        typer.Option(help="Also store what each track looks like; default: with trackers that have an encoder for it."),
    ] = None,
    device: options.Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make every file again.")] = False,
    dry_run: options.DryRun = False,
) -> None:
    """Turn masks that another program tracked into a cache: its tracks, with object tokens of our tracker.

    The masks stay as they are; the tracker is told each of them on its frame and gives the tokens. Writes
    CACHE/imported/NAME OF THE MASKS/VIDEO.h5; files that are whole and of the same masks, models and frames are kept.
    """
    from tracksift.ask import Pipeline
    from tracksift.generate import JobResult
    from tracksift.imports import import_all, import_jobs
    from tracksift.models import Models

    jobs = import_jobs(video, masks, cache, fps)
    pipeline = Pipeline(Models(tracker=tracker), device)
    image_spec = None if looks is False else pipeline.models.image_spec
    if looks and image_spec is None:
        raise InputError(f"--looks: expected a tracker with an image encoder (miniature), got {tracker!r}")
    one, done = len(jobs) == 1, Counter[str]()
    with reporting.progress_bar("frames" if one else "videos", None if one else len(jobs)) as bar:

        def count(result: JobResult) -> None:
            done.update([result.state])
            if not one:
                bar(done.total(), len(jobs))

        results = import_all(
            jobs, pipeline.tracker, image_encoder=None if image_spec is None else pipeline.image_encoder,
            overwrite=overwrite, dry_run=dry_run, on_frames=bar if one else None, on_result=count,
        )  # fmt: skip
    failed = [r for r in results if r.state == "failed"]
    if one and failed:
        raise TrackSiftError(failed[0].cause)
    rows = [(r.video_id, r.state, r.frames, r.tracks, r.seconds) for r in results]
    reporting.print_table("imports", ["video", "state", "frames", "tracks", "seconds"], rows[:SHOWN])
    reporting.emit(
        {
            "made": done["made"],
            "kept": done["kept"],
            "planned": done["planned"],
            "failures": done["failed"],
            "frames": sum(r.frames for r in results),
            "tracks": sum(r.tracks for r in results),
            "seconds": sum(r.seconds for r in results),
        },
        {"tracker": tracker, "looks": image_spec is not None, "cache": str(cache), "dry_run": dry_run},
    )
    if failed:
        listed = "; ".join(f"{r.video_id}: {r.cause}" for r in failed[:SHOWN])
        raise TrackSiftError(f"{len(failed)} of {len(results)} videos failed: {listed}")
