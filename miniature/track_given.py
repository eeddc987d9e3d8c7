"""`python -m miniature.track_given`: tracks of the long world's objects from one box each, as SOT gives them.

The box is that of the first frame in which the object is whole enough to be pointed at; the tracker's masklets of it go
into a cache file a film, beside the grid's, since who leaves and comes back may be another track then. `eval_grounder
--tasks sot` reads it; no other task may: it says where all objects are. Knows films, their first boxes and the tracker.
Does not know figures.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from core import cli
from core.atomic import atomic_path, check_folder
from core.devices import describe_device, pick_device
from core.errors import InputError, TrackSiftError
from core.reporting import emit, progress_bar
from core.types import Source
from miniature.grounder_training.lessons import shown
from miniature.long_world import make_long_clip
from miniature.splits import LONG_SPLITS, find_split
from miniature.tracked_splits import World
from miniature.world.layout import video_id
from miniature.world.spec import SIDE
from proposals.user import UserPrompt
from tracksift.ask import Pipeline
from tracksift.generate import JobResult, generate_one
from tracksift.jobs import Job, shard, split_jobs
from tracksift.sources import Extra

CACHES = "given"
"""Folder of these caches in WORK; those of proposals that nobody pointed at lie in another, and are read there."""
EPILOG = (
    "Examples: [bold]python -m miniature.track_given --work runs/films --split valid --videos 12[/]  |  "
    "[bold]python -m miniature.track_given --work runs/films --split test --shard 0/4 --device cuda[/]"
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


def first_boxes(seed: int, *, shifted: bool, seconds: int | None = None) -> tuple[UserPrompt, ...]:
    """What is told of each object of a story that is ever shown whole: its first such box, in pixels."""
    clip = make_long_clip(seed, shifted=shifted, seconds=seconds)
    told = []
    for thing in clip.story.objects:
        boxes = clip.boxes(thing.id)  # [T, 4]
        first = shown(boxes / np.float32(SIDE))
        if first is not None:
            x1, y1, x2, y2 = boxes[first].tolist()
            told.append(UserPrompt(first, box=(x1, y1, x2, y2)))
    return tuple(told)


def track_film(pipeline: Pipeline, job: Job, prompts: tuple[UserPrompt, ...], proposed: Path) -> JobResult:
    """The cache file of one film.   proposed: its file of grid tracks, which are taken from there if it is there.

    Raises:
        TrackSiftError: where the film cannot be tracked, or a box means no object to the tracker.
    """
    if proposed.is_file() and not job.cache.exists():
        check_folder(job.cache.parent)
        with atomic_path(job.cache) as path:
            shutil.copyfile(proposed, path)
    settings = replace(pipeline.proposals, sources=(Source.GRID, Source.USER))
    made = generate_one(
        job, pipeline.tracker, settings, image_encoder=pipeline.image_encoder, extra=Extra(user=prompts)
    )
    if made.state == "failed":
        raise TrackSiftError(f"film {made.video_id}: {made.cause}")
    return made


@app.command(epilog=EPILOG)
def main(
    work: Annotated[Path, typer.Option(help="Folder of films; what is there is used again.")],
    split: Annotated[str, typer.Option(help=f"One of {', '.join(LONG_SPLITS)}.")] = "valid",
    videos: Annotated[int | None, typer.Option(help="Only the first so many films.", min=1)] = None,
    seconds: Annotated[int | None, typer.Option(min=8, help="Length of the films, even; for a quick look.")] = None,
    part: Annotated[str | None, typer.Option("--shard", help="Only part i/n of the films, i from 0.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that draw films that are not there.", min=1)] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
) -> None:
    """Track every object of a long split's films from its first whole box."""
    known, world = find_split(split, long=True), World(True, seconds)
    count = known.count if videos is None else videos
    if count > known.count:
        raise InputError(f"--videos: expected 1 to {known.count} of split {split!r}, got {count}")
    shard([], part)  # another form of it is refused before anything is drawn
    if dry_run:
        typer.echo(f"would track {count} films of {split}, part {part or '0/1'}, into {work / CACHES}")
        return
    world.write(work, split, count, workers)
    folder, name = world.place(work, split)
    seeds = {video_id(seed, known.shifted, long=True): seed for seed in known.seeds[:count]}
    jobs = [job for job in split_jobs(folder, name, work / CACHES)[1] if job.video_id in seeds]
    if len(jobs) < count:
        raise InputError(f"{folder}: expected the first {count} films of {split}, got {len(jobs)}; use another --work")
    pipeline, results, mine = Pipeline(device=device, replayed=True), list[JobResult](), shard(jobs, part)
    with progress_bar(f"{split}: films", len(mine)) as bar:
        for done, job in enumerate(mine, start=1):
            prompts = first_boxes(seeds[job.video_id], shifted=known.shifted, seconds=seconds)
            proposed = work / "caches" / job.cache.relative_to(work / CACHES)
            results.append(track_film(pipeline, job, prompts, proposed))
            bar(done, len(mine))
    tracks, frames = sum(r.tracks for r in results), sum(r.frames for r in results)
    figures = {"films": len(results), "tracks": tracks, "frames": frames, "seconds": sum(r.seconds for r in results)}
    where = str(jobs[0].cache.parent)
    emit(figures, {"split": split, "shard": part, "caches": where, "device": describe_device(pick_device(device))})


if __name__ == "__main__":
    cli.run(app)
