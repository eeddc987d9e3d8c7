"""A job from its recipe to its results: lanes, order, notes of failures, a record, signals, and a clean folder.

Knows all parts of this package. Does not know command lines, nor what they show.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache

import torch

from core.errors import InputError, OutputError
from core.hashing import json_sha256
from tracksift.generate import JobResult
from tracksift.jobs import Job
from tracksift.scheduling.costs import costliest_first, job_size
from tracksift.scheduling.lanes import InlineLane, Lane, Opener, ProcessLane, ThreadLane
from tracksift.scheduling.leftovers import Leftovers, discard
from tracksift.scheduling.placement import check_share, place_workers
from tracksift.scheduling.quarantine import left_out, note_failure, note_path
from tracksift.scheduling.ray_lanes import ray_lanes
from tracksift.scheduling.record import Settings, new_record, read_records, recorded
from tracksift.scheduling.schedule import Schedule
from tracksift.scheduling.stopping import stop_on_signals
from tracksift.scheduling.tally import Tally
from tracksift.scheduling.worker import Recipe

UNWRITABLE = 2
"""So many results in a row that could not be written end a job: the next ones would be tracked for nothing."""


@dataclass(frozen=True)
class RayChoice:
    """Work on Ray; address: of a running cluster, None for RAY_ADDRESS or one of this machine."""

    address: str | None = None


@dataclass(frozen=True)
class Ended:
    """Results in the order of the jobs, those that were not begun left out; why, where there are any.

    signal: that asked to stop before the last one was begun, 0 for none.   cause: why the place could not be written,
    "" where it could.
    """

    results: list[JobResult]
    signal: int = 0
    cause: str = ""


def run_jobs(
    recipe: Recipe,
    *,
    workers: int = 1,
    together: int = 1,
    gpu_share: float | None = None,
    ray: RayChoice | None = None,
    here: Opener | None = None,
    retry_failed: bool = False,
    on_progress: Callable[[Tally], None] = lambda _: None,
    on_stop: Callable[[], None] = lambda: None,
) -> Ended:
    """Make the cache files of `recipe.jobs` that are not whole and current, all in one folder.

    workers: processes of this machine, or actors on Ray.   together: videos that the one worker of this process, which
    `here` opens, is at in threads of its own.   here: opens the worker of this process, for one without Ray;
    None for a process of its own.   gpu_share: of a GPU for each worker, None for an even spread (on Ray: a whole one).
    retry_failed: also the videos that failed before with these models and settings.

    Raises:
        InputError: for fewer than one worker, several with videos together, a share that does not fit, and Ray that is
            not there.
        CheckpointError: when models cannot be loaded.
        KeyboardInterrupt: from a second signal.
    """
    if workers < 1:
        raise InputError(f"--workers: expected 1 or more processes, got {workers}")
    if together > 1 and (workers > 1 or ray is not None or here is None):
        raise InputError(f"--together: expected one worker of this process with it, got {workers} of others")
    check_share(gpu_share)
    jobs = recipe.jobs
    if not jobs:
        return Ended([])
    results = {} if retry_failed or recipe.overwrite else _left_out(recipe)
    sizes = [job_size(job) for job in jobs]
    order = [number for number in costliest_first(jobs, sizes) if number not in results]
    with _lanes(recipe, workers, together, gpu_share, ray, here) as make, stop_on_signals(on_stop) as stop:
        written = _Written()
        schedule = Schedule(
            order, make, workers * together, names=[job.video_id for job in jobs],
            stopping=lambda: stop.asked() or written.in_vain >= UNWRITABLE,
        )  # fmt: skip
        about: Settings = {"workers": workers, "ray": ray is not None, "tracker": recipe.tracker}
        tally = Tally(jobs, sizes, new_record(about), lambda: schedule.in_work)
        for number, result in results.items():
            tally.add(number, result)
        with _tidy(jobs[0]), suppress(_Stopped), recorded(jobs[0].cache.parent, tally.record):
            with closing(schedule.run()) as ended:
                for number, result in ended:
                    results[number] = result
                    _note(jobs[number], result, _settings_sha256(recipe))
                    written.count(result)
                    tally.add(number, result)
                    on_progress(tally)
            if len(results) < len(jobs):
                raise _Stopped  # so that the record says so
    whole = len(results) == len(jobs)
    cause = written.cause if written.in_vain >= UNWRITABLE else ""
    return Ended([results[number] for number in sorted(results)], 0 if whole else stop.signal, cause)


class _Stopped(Exception):
    """The job ends before its last video."""


class _Written:
    """Whether results still reach the disk."""

    def __init__(self) -> None:
        self.in_vain, self.cause = 0, ""

    def count(self, result: JobResult) -> None:
        """Count failures of the place in a row."""
        if result.fault == "output":
            self.in_vain, self.cause = self.in_vain + 1, result.cause
        elif result.state == "made":
            self.in_vain = 0


@contextmanager
def _lanes(
    recipe: Recipe, workers: int, together: int, share: float | None, ray: RayChoice | None, here: Opener | None
) -> Iterator[Callable[[int], Lane]]:
    """A maker of the lane of each index."""
    if ray is not None:
        share = 0.0 if share is None and recipe.device == "cpu" else share
        with ray_lanes(ray.address, replace(recipe, threads=1).open, share) as make:
            yield make
        return
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices = place_workers(workers, recipe.device, share, gpus)
    if together > 1 and here is not None:
        shared = cache(here)
        yield lambda _: ThreadLane(shared)
        return
    if workers == 1 and here is not None:
        yield lambda _: InlineLane(here)
        return
    threads = recipe.threads or max(1, (os.cpu_count() or 1) // workers)
    yield lambda index: ProcessLane(replace(recipe, device=devices[index], threads=threads).open)


@contextmanager
def _tidy(job: Job) -> Iterator[None]:
    """Take away what killed jobs left in the job's folder: their records, their temporary files."""
    folder = job.cache.parent
    leftovers = Leftovers(folder)
    for path, record in read_records(folder).items():
        if not record.alive:
            discard(path)
    try:
        yield
    finally:
        others = any(record.alive for record in read_records(folder).values())
        leftovers.clear(alone=not others)


def _left_out(recipe: Recipe) -> dict[int, JobResult]:
    """Jobs that failed before and would again, by number, as failures; none of which has a cache file."""
    settings, found = _settings_sha256(recipe), dict[int, JobResult]()
    for number, job in enumerate(recipe.jobs):
        note = None if job.cache.exists() else left_out(job, settings)
        if note is not None:
            found[number] = JobResult(job.video_id, "failed", cause=note.sentence(), fault="input")
    return found


def _note(job: Job, result: JobResult, settings: str) -> None:
    """Write or take away the note of a job's failure. A place that cannot be written says so by the caches."""
    if result.state != "failed":
        discard(note_path(job.cache))
    elif result.fault != "output":
        with suppress(OutputError):
            note_failure(job, result, settings)


def _settings_sha256(recipe: Recipe) -> str:
    """Names what decides whether a video fails: models and settings by name, since none may be loaded here."""
    extra = recipe.extra
    facts: Sequence[str | None] = (
        recipe.tracker, recipe.image_encoder, recipe.detector, repr(recipe.settings), repr(extra.detector_settings),
    )  # fmt: skip
    return json_sha256(list(facts))
