"""`python -m miniature.scaling`: the pace of several one-thread workers beside that of one.

Times begin when all workers have loaded their models; what loading adds is a figure of its own. Runs alternate, so that
a machine that slows down slows both. Knows the scheduler. Does not know what its workers do.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from core import cli, reporting
from core.errors import TrackSiftError
from miniature.clips import SPLIT, write_clips
from miniature.splits import find_split
from tracksift.ask import Pipeline
from tracksift.generate import JobResult
from tracksift.jobs import Job, split_jobs
from tracksift.scheduling.lanes import Lane, ProcessLane
from tracksift.scheduling.schedule import Schedule
from tracksift.scheduling.worker import Recipe

EPILOG = (
    "Examples: [bold]python -m miniature.scaling[/]  |  [bold]python -m miniature.scaling --workers 4 --clips 32[/]"
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


@dataclass(frozen=True)
class _Opened:
    """A lane that is ready, and stays open after a run."""

    lane: Lane

    def open(self) -> Future[TrackSiftError | None]:
        ready: Future[TrackSiftError | None] = Future()
        ready.set_result(None)
        return ready

    def submit(self, number: int) -> Future[JobResult]:
        return self.lane.submit(number)

    def close(self, *, now: bool = False) -> None:
        """Whoever opened the lane closes it."""


def measure(
    work: Path, workers: int, clips: int, frames: int, repeats: int, progress: reporting.Progress
) -> dict[str, reporting.Figure]:
    """Seconds of the same clips by one worker and by several (medians), and the efficiency of the several, 0..1.

    occupancy, 0..1: the share of the several workers' time that was inside videos, which says what the schedule itself
    costs, also where the machine's cores slow each other down.

    Raises:
        TrackSiftError: when a video fails.
    """
    first = find_split("valid").first_seed
    write_clips(work / "data", range(first, first + clips), frames)
    _, jobs = split_jobs(work / "data", SPLIT, work / "caches")
    pipeline = Pipeline(device="cpu")
    recipe = Recipe(
        jobs, pipeline.models.tracker_spec, "cpu", pipeline.proposals, pipeline.models.image_spec,
        overwrite=True, threads=1,
    )  # fmt: skip
    start = time.perf_counter()
    lanes = [ProcessLane(recipe.open) for _ in range(workers)]
    try:
        for ready in [lane.open() for lane in lanes]:
            if (error := ready.result()) is not None:
                raise error
        loading = time.perf_counter() - start
        times: dict[int, list[float]] = {1: [], workers: []}
        busy: list[float] = []
        for width in (workers, *_order(workers, repeats)):  # the first warms all of them up and is not counted
            seconds, worked = _timed(jobs, lanes[:width])
            times[width].append(seconds)
            busy += [worked / seconds / workers] if width == workers else []
            progress(sum(map(len, times.values())), 2 * repeats + 1)
        del times[workers][0]
    finally:
        for lane in lanes:
            lane.close()
    one, several = statistics.median(times[1]), statistics.median(times[workers])
    return {
        "seconds_one": one,
        "seconds_several": several,
        "speedup": one / several,
        "efficiency": one / several / workers,
        "occupancy": statistics.median(busy[1:]),
        "loading_seconds": loading,
        "frames_per_second": clips * frames / several,
    }


def _order(workers: int, repeats: int) -> list[int]:
    return [width for turn in range(repeats) for width in ((1, workers) if turn % 2 else (workers, 1))]


def _timed(jobs: list[Job], lanes: list[ProcessLane]) -> tuple[float, float]:
    """Seconds of a run, and of all its videos added up."""
    make: Callable[[int], Lane] = lambda index: _Opened(lanes[index])  # noqa: E731  typed
    schedule = Schedule(range(len(jobs)), make, len(lanes), names=[job.video_id for job in jobs])
    start, worked = time.perf_counter(), 0.0
    for _, result in schedule.run():
        if result.state != "made":
            raise TrackSiftError(f"{result.video_id}: expected it to be made, got {result.state}: {result.cause}")
        worked += result.seconds
    return time.perf_counter() - start, worked


@app.command(epilog=EPILOG)
def main(
    workers: Annotated[int, typer.Option(min=2, help="One-thread processes beside one.")] = 2,
    clips: Annotated[int, typer.Option(min=2, help="Videos of a run.")] = 16,
    frames: Annotated[int, typer.Option(min=2, help="Frames of each.")] = 12,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs of each, of which the median counts.")] = 3,
) -> None:
    """Time several one-thread workers beside one on the same clips; 1 is perfect efficiency."""
    with tempfile.TemporaryDirectory() as folder, reporting.progress_bar("runs", 2 * repeats + 1) as bar:
        figures = measure(Path(folder), workers, clips, frames, repeats, bar)
    reporting.print_table("miniature: scaling", ["figure", "value"], list(figures.items()))
    reporting.emit(figures, {"workers": workers, "clips": clips, "frames": frames, "repeats": repeats})


if __name__ == "__main__":
    cli.run(app)
