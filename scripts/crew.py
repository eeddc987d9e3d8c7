"""Who does the work of `tracksift generate`, and how it ends: flags -> a run of the scheduler, its end -> an exit code.

Knows flags and bars. Does not know how work is spread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import typer

from core import reporting
from core.errors import InputError, OutputError
from scripts.results import refuse_failures

if TYPE_CHECKING:  # slow to import, and `--help` shall be there at once
    from proposals.settings import ProposalSettings
    from tracksift.ask import Pipeline
    from tracksift.generate import JobResult
    from tracksift.jobs import Job
    from tracksift.scheduling import Ended
    from tracksift.scheduling.worker import Worker
    from tracksift.sources import Extra


MANY = 512
"""Objects of a step that several videos share."""


class Crew(NamedTuple):
    """Who does the work. together: videos that one process tracks at once."""

    workers: int
    gpu_share: float | None
    ray: bool
    address: str | None
    retry_failed: bool
    together: int = 1


class Work(NamedTuple):
    """What is to be done, and with what."""

    jobs: list[Job]
    pipeline: Pipeline
    settings: ProposalSettings
    extra: Extra
    image_spec: str | None
    overwrite: bool


def check_crew(crew: Crew, *, compiled: bool, one: bool, replayed: bool = False, exact: bool = False) -> None:
    """Refuse flags that contradict each other; `one` for a single video."""
    if compiled and (crew.workers > 1 or crew.ray):
        got = "--ray" if crew.ray else crew.workers
        raise InputError(f"--compile: expected --workers 1, since every process would compile, got {got}")
    if exact and (compiled or replayed or crew.workers > 1 or crew.ray or crew.together > 1):
        raise InputError(
            "--exact: expected one worker, and no --compile, --replay or --together (--shard spreads processes)"
        )
    if crew.together > 1 and (crew.workers > 1 or crew.ray or one):
        raise InputError("--together: expected --data and one worker with it, got others (--shard spreads processes)")
    if one and (crew.ray or crew.gpu_share is not None or crew.retry_failed):
        raise InputError("--ray, --gpu-share, --retry-failed: expected --data with them, got one VIDEO")


def one_after_another(work: Work, *, dry_run: bool, one: bool) -> Ended:
    """A single video, whose frames are shown as they are tracked, or a dry run; Ctrl-C discards the video in work."""
    from tracksift.generate import generate
    from tracksift.scheduling import Ended
    from tracksift.scheduling.stopping import stop_on_signals

    pipeline, done = work.pipeline, 0
    with reporting.progress_bar("frames" if one else "videos", None if one else len(work.jobs)) as bar:

        def count(_: JobResult) -> None:
            nonlocal done
            done += 1
            if not one:
                bar(done, len(work.jobs))

        with stop_on_signals(None):
            results = generate(
                work.jobs,
                pipeline.tracker,
                work.settings,
                image_encoder=None if work.image_spec is None else pipeline.image_encoder,
                extra=work.extra,
                overwrite=work.overwrite,
                dry_run=dry_run,
                on_frames=bar if one else None,
                on_result=count,
            )
    return Ended(results)


def all_at_once(work: Work, crew: Crew) -> Ended:
    """A split, by as many workers as are asked for."""
    from dataclasses import replace

    from tracksift.scheduling import RayChoice, run_jobs
    from tracksift.scheduling.worker import Recipe, Worker
    from tracksift.sources import check_sources

    check_sources(work.settings, work.extra)
    pipeline, models = work.pipeline, work.pipeline.models
    recipe = Recipe(
        work.jobs, models.tracker_spec, pipeline.device, work.settings, work.image_spec,
        models.detector_spec if work.extra.detector else None, replace(work.extra, detector=None), work.overwrite,
    )  # fmt: skip

    def here() -> Worker:
        encoder = None if work.image_spec is None else pipeline.image_encoder
        tracker = pipeline.tracker
        if crew.together > 1:
            tracker = replace(
                tracker, resources=replace(tracker.resources, shared=True, objects=MANY, encoder_batch=32)
            )
        return Worker(work.jobs, tracker, work.settings, encoder, work.extra, work.overwrite)

    with reporting.noted_bar("frames") as bar:
        return run_jobs(
            recipe,
            workers=crew.workers,
            together=crew.together,
            gpu_share=crew.gpu_share,
            ray=RayChoice(crew.address) if crew.ray else None,
            here=here,
            retry_failed=crew.retry_failed,
            on_progress=lambda tally: bar(tally.frames, tally.total_frames, tally.note()),
            on_stop=lambda: typer.echo("stopping when the videos in work are done; once more discards them", err=True),
        )


def end(ended: Ended, jobs: int) -> None:
    """Say what failed or was not begun, as an exit code and a sentence."""
    results = ended.results
    if ended.cause:
        left, failed = jobs - len(results), [r for r in results if r.state == "failed"]
        raise OutputError(f"stopped with {left} of {jobs} videos not begun and {len(failed)} failed: {ended.cause}")
    if ended.signal:
        typer.echo(f"stopped with {jobs - len(results)} of {jobs} videos not begun; run it again to go on", err=True)
        raise typer.Exit(128 + ended.signal)
    refuse_failures(results)
