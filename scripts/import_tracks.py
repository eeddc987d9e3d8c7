"""`tracksift import`: masks that another program tracked -> cache files.

Knows flags and tables. Does not know how masks are read or tokens are made.
"""

from pathlib import Path
from typing import Annotated

import typer

from core import reporting
from scripts import options
from scripts.results import refuse_failures, show

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
    looks: options.Looks = None,
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
    image_spec = options.choose_looks(looks, pipeline.models)
    one, done = len(jobs) == 1, 0
    with reporting.progress_bar("frames" if one else "videos", None if one else len(jobs)) as bar:

        def count(_: JobResult) -> None:
            nonlocal done
            done += 1
            if not one:
                bar(done, len(jobs))

        results = import_all(
            jobs, pipeline.tracker, image_encoder=None if image_spec is None else pipeline.image_encoder,
            overwrite=overwrite, dry_run=dry_run, on_frames=bar if one else None, on_result=count,
        )  # fmt: skip
    if one:
        refuse_failures(results, one=True)
    reporting.emit(
        show("imports", results),
        {"tracker": tracker, "looks": image_spec is not None, "cache": str(cache), "dry_run": dry_run},
    )
    refuse_failures(results)
