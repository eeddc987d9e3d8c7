"""`tracksift generate`: a dataset split or one video -> cache files.

Knows flags and tables. Does not know how tracks are made.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from core import reporting
from core.errors import InputError, TrackSiftError
from core.types import Source
from scripts import options

SHOWN = 20
EPILOG = (
    "Examples: [bold]tracksift generate clip.mp4[/]  |  [bold]tracksift generate frames/ --fps 8 --cache caches[/]  |  "
    "[bold]tracksift generate --data world --split train --source grid --source ground_truth --shard 0/4[/]"
)


def main(
    video: options.Video = None,
    data: options.Data = None,
    split: options.Split = "valid",
    cache: options.Cache = Path("caches"),
    source: Annotated[list[str], typer.Option(help="Prompts: grid, ground_truth (training). Repeatable.")] = ["grid"],  # noqa: B006
    bin_size: Annotated[int, typer.Option(help="Grid prompts every so many frames; 0: first and middle frame.")] = 0,
    looks: Annotated[
        bool | None,
        typer.Option(help="Also store what each track looks like; default: with trackers that have an encoder for it."),
    ] = None,
    points: Annotated[int | None, typer.Option(help="Grid points a side; default 16 (miniature) or 32.")] = None,
    fps: options.Fps = None,
    limit: options.Limit = None,
    workers: Annotated[int, typer.Option(help="Processes that track, each with its own model.", min=1)] = 1,
    shard: Annotated[str | None, typer.Option(help="Only part i/n of the videos, i from 0.")] = None,
    tracker: options.Tracker = "miniature",
    device: options.Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make every file again.")] = False,
    dry_run: options.DryRun = False,
) -> None:
    """Track every video once: masklets and object tokens into one HDF5 file a video.

    Files that are whole and were made with the same models, settings and frames are kept; all others are made again,
    those that lack no more than looks from their own tracks.
    """
    from dataclasses import replace

    from tracksift.ask import Pipeline
    from tracksift.generate import JobResult, generate
    from tracksift.jobs import choose_jobs
    from tracksift.jobs import shard as part_of
    from tracksift.models import Models
    from tracksift.workers import generate_in_parallel

    jobs = part_of(choose_jobs(video, data, split, cache, fps, limit), shard)
    pipeline = Pipeline(Models(tracker=tracker), device)
    grid = replace(pipeline.proposals.grid, bin_size=bin_size)
    grid = grid if points is None else replace(grid, points_per_side=points)
    settings = replace(pipeline.proposals, sources=_sources(source), grid=grid)
    image_spec = None if looks is False else pipeline.models.image_spec
    if looks and image_spec is None:
        raise InputError(f"--looks: expected a tracker with an image encoder (miniature), got {tracker!r}")
    done = Counter[str]()
    with reporting.progress_bar("frames" if video else "videos", None if video else len(jobs)) as bar:

        def count(result: JobResult) -> None:
            done.update([result.state])
            if video is None:
                bar(done.total(), len(jobs))

        if workers > 1 and not dry_run:
            results = generate_in_parallel(
                jobs, pipeline.models.tracker_spec, device, settings, workers,
                image_encoder=image_spec, overwrite=overwrite, on_result=count,
            )  # fmt: skip
        else:
            results = generate(
                jobs,
                pipeline.tracker,
                settings,
                image_encoder=None if image_spec is None else pipeline.image_encoder,
                overwrite=overwrite,
                dry_run=dry_run,
                on_frames=bar if video is not None else None,
                on_result=count,
            )
    failed = [r for r in results if r.state == "failed"]
    if video is not None and failed:
        raise TrackSiftError(failed[0].cause)
    rows = [(r.video_id, r.state, r.frames, r.tracks, r.seconds) for r in results]
    reporting.print_table("caches", ["video", "state", "frames", "tracks", "seconds"], rows[:SHOWN])
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
        {
            "tracker": tracker,
            "sources": list(source),
            "bin_size": bin_size,
            "looks": image_spec is not None,
            "cache": str(cache),
            "dry_run": dry_run,
        },
    )
    if failed:
        listed = "; ".join(f"{r.video_id}: {r.cause}" for r in failed[:SHOWN])
        raise TrackSiftError(f"{len(failed)} of {len(results)} videos failed: {listed}")


def _sources(names: list[str]) -> tuple[Source, ...]:
    known = {s.value: s for s in Source}
    unknown = [n for n in names if n not in known]
    if unknown:
        raise InputError(f"--source: expected some of {', '.join(known)}, got {', '.join(unknown)}")
    return tuple(dict.fromkeys(known[n] for n in names))
