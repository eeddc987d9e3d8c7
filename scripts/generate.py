"""`tracksift generate`: a dataset split or one video -> cache files.

Knows flags and tables. Does not know how tracks are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core import reporting
from core.errors import InputError
from core.types import Source
from scripts import options
from scripts.crew import Crew, Work, all_at_once, check_crew, end, one_after_another
from scripts.results import refuse_failures, show

if TYPE_CHECKING:  # slow to import, and `--help` shall be there at once
    from proposals.user import UserPrompt
    from tracksift.ask import Pipeline
    from tracksift.generate import JobResult
    from tracksift.sources import Extra

EPILOG = (
    "Examples: [bold]tracksift generate clip.mp4[/]  |  [bold]tracksift generate frames/ --fps 8 --cache caches[/]  |  "
    "[bold]tracksift generate --data world --split train --source grid --source ground_truth --shard 0/4[/]  |  "
    "[bold]tracksift generate --data world --workers 4 --gpu-share 0.5 --retry-failed[/]  |  "
    "[bold]tracksift generate --data world --ray-address auto --workers 16[/]  |  "
    "[bold]tracksift generate --data world --split valid --source grid --source grounding_dino[/]  |  "
    "[bold]tracksift generate clip.mp4 --source user --box 0,40,30,120,90[/]"
)


def main(
    video: options.Video = None,
    data: options.Data = None,
    split: options.Split = "valid",
    cache: options.Cache = Path("caches"),
    source: Annotated[
        list[str], typer.Option(help="Prompts: grid, grounding_dino, user, ground_truth (training). Repeatable.")
    ] = ["grid"],  # noqa: B006
    bin_size: Annotated[
        int | None,
        typer.Option(help="Grid prompts every so many frames; 0: first, middle. Default: 0; miniature: 12."),
    ] = None,
    looks: options.Looks = None,
    points: Annotated[int | None, typer.Option(help="Grid points a side; default 16 (miniature) or 32.")] = None,
    preset: Annotated[
        str,
        typer.Option(
            help="fast (prompts of the first frame, half the points a side: misses what enters later), balanced, or "
            "faithful (SOLA's order, duplicates and scenery kept). Oracle J&F on the miniature .85, .92, .93; seconds "
            "a clip 5.3, 9.6, 9.7."
        ),
    ] = "balanced",
    order: Annotated[
        str | None,
        typer.Option(
            help="time (one sweep forward, one backward) or area (SOLA's: largest first); default: the preset's."
        ),
    ] = None,
    detector: options.Detector = "miniature",
    expression: Annotated[
        list[str] | None,
        typer.Option("--expression", "-e", help="With VIDEO: what the detector looks for. Repeatable."),
    ] = None,
    box_threshold: Annotated[float | None, typer.Option(help="Least score of a detector's box.")] = None,
    text_threshold: Annotated[float | None, typer.Option(help="Least score of a word of its phrase.")] = None,
    detector_bin_size: Annotated[
        int | None, typer.Option(help="Detect every so many frames; 0: first, middle.")
    ] = None,
    box: Annotated[list[str] | None, typer.Option(help="Track what is in FRAME,X1,Y1,X2,Y2. Repeatable.")] = None,
    point: Annotated[
        list[str] | None,
        typer.Option(help="Track what is at FRAME,X,Y[,LABEL], label 0: not this. Points of a frame: one object."),
    ] = None,
    mask: Annotated[list[str] | None, typer.Option(help="Track the mask in FRAME,FILE.png. Repeatable.")] = None,
    fps: options.Fps = None,
    limit: options.Limit = None,
    workers: Annotated[int, typer.Option(help="Processes that track, each with its own model.", min=1)] = 1,
    together: Annotated[
        int,
        typer.Option(
            help="Videos that one process tracks at once, their steps shared: for small trackers on a GPU, such as "
            "four processes (--shard 0/4 ...) of 16 videos each (proposals/PROFILE.md); no gain elsewhere.",
            min=1,
        ),
    ] = 1,
    gpu_share: Annotated[
        float | None, typer.Option(help="Of a GPU for each worker, such as 0.5; default: workers spread over all GPUs.")
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="With --data: --workers are actors on Ray (an extra).")] = False,
    ray_address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster; default: RAY_ADDRESS, else one of this machine.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also videos that failed before in the same way.")
    ] = False,
    shard: Annotated[str | None, typer.Option(help="Only part i/n of the videos, i from 0.")] = None,
    tracker: options.Tracker = "miniature",
    device: options.Device = "auto",
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the tracker: minutes once, for many or long videos on a GPU.")
    ] = False,
    replayed: Annotated[
        bool, typer.Option("--replay", help="On a GPU, steps of few objects as CUDA graphs: for small trackers.")
    ] = False,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="One object and one frame at a time, in the order of SAM2's own predictor: slower, and equal to it "
            "where batches differ by rounding. Files that are there are kept, unless --overwrite.",
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make every file again.")] = False,
    dry_run: options.DryRun = False,
) -> None:
    """Track every video once: masklets and object tokens into one HDF5 file a video.

    Files that are whole and were made with the same models, settings and frames are kept; all others are made again.
    Those that differ in looks or in one source of prompts alone keep the tracks of the others. A video that fails gets
    a note beside its file, <video>.failed.json, and is left out until it, the models or the settings change. Ctrl-C
    finishes the videos in work; a second one discards them. Run it again to go on: nothing is lost.
    """
    from dataclasses import replace

    from proposals.presets import with_preset
    from proposals.settings import read_order
    from tracksift.ask import Pipeline
    from tracksift.jobs import choose_jobs
    from tracksift.jobs import shard as part_of
    from tracksift.models import Models

    jobs = part_of(choose_jobs(video, data, split, cache, fps, limit), shard)
    pipeline = Pipeline(Models(tracker=tracker, detector=detector), device, compiled, replayed, exact)
    crew = Crew(workers, gpu_share, ray or ray_address is not None, ray_address, retry_failed, together)
    check_crew(crew, compiled=compiled, replayed=replayed, exact=exact, one=video is not None)
    user = options.read_user_prompts(box, point, mask)
    sources = _sources([*source, *([Source.USER.value] if user else [])])
    changes = {"box_threshold": box_threshold, "text_threshold": text_threshold, "bin_size": detector_bin_size}
    extra = _extra(pipeline, sources, expression, user, changes, one=video is not None)
    grid = pipeline.proposals.grid
    grid = grid if bin_size is None else replace(grid, bin_size=bin_size)
    grid = grid if points is None else replace(grid, points_per_side=points)
    settings = with_preset(replace(pipeline.proposals, sources=sources, grid=grid), preset)
    settings = settings if order is None else replace(settings, order=read_order(order))
    image_spec = options.choose_looks(looks, pipeline.models)
    work = Work(jobs, pipeline, settings, extra, image_spec, overwrite)
    if video is not None or dry_run:
        ended = one_after_another(work, dry_run=dry_run, one=video is not None)
    else:
        ended = all_at_once(work, crew)
    if video is not None:
        refuse_failures(ended.results, one=True)
    if extra.detector:
        reporting.print_table("detector", ["count", "all videos"], list(_detections(ended.results).items()))
    reporting.emit(
        {**show("caches", ended.results), **_detections(ended.results)},
        {
            "tracker": tracker,
            "sources": [name.value for name in sources],
            "detector": detector if extra.detector else None,
            "bin_size": settings.grid.bin_size,
            "preset": preset,
            "order": settings.order,
            "exact": exact,
            "looks": image_spec is not None,
            "cache": str(cache),
            "dry_run": dry_run,
        },
    )
    end(ended, len(jobs))


def _extra(
    pipeline: Pipeline,
    sources: tuple[Source, ...],
    texts: list[str] | None,
    user: tuple[UserPrompt, ...],
    changes: dict[str, Any],
    *,
    one: bool,
) -> Extra:
    """What the sources grounding_dino and user need; `one` for a single video, which has no expressions of its own."""
    from dataclasses import replace

    from tracksift.sources import Extra, text_expressions

    if user and not one:
        raise InputError("--box, --point, --mask: expected none with --data, since they mean one video")
    given = {name: value for name, value in changes.items() if value is not None}
    if Source.GROUNDING_DINO not in sources:
        if texts or given:
            raise InputError("--expression and detector settings: expected --source grounding_dino with them, got none")
        return Extra(user=user)
    if texts and not one:
        raise InputError("--expression: expected none with --data, whose annotations have their own")
    settings = replace(pipeline.detector_settings, **given)
    return Extra(pipeline.detector, settings, text_expressions(texts or []) if one else None, user)


def _detections(results: Sequence[JobResult]) -> dict[str, int]:
    """The detector's counts over all videos, by flat names."""
    total = Counter[str]()
    for result in results:
        total.update(result.detections)
    return {f"detector_{name}": total[name] for name in sorted({n for r in results for n in r.detections})}


def _sources(names: list[str]) -> tuple[Source, ...]:
    known = {s.value: s for s in Source}
    unknown = [n for n in names if n not in known]
    if unknown:
        raise InputError(f"--source: expected some of {', '.join(known)}, got {', '.join(unknown)}")
    return tuple(dict.fromkeys(known[n] for n in names))
