"""Jobs over several processes of one machine: every worker loads its models once and takes the next job.

Knows processes. Does not know what a job does: that is `tracksift.generate`, the same with one process and with many.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace

import torch

from core.devices import pick_device
from core.errors import InputError
from core.images import ImageEncoder, load_image_encoder
from proposals.any_tracker import load_tracker
from proposals.checkpoints import LoadedTracker
from proposals.settings import ProposalSettings
from tracksift.generate import JobResult, generate_one
from tracksift.jobs import Job
from tracksift.sources import Extra


class _Worker:
    """What a worker process keeps between jobs: readers keep their annotations, the models stay loaded."""

    jobs: Sequence[Job]
    tracker: LoadedTracker
    settings: ProposalSettings
    image_encoder: ImageEncoder | None
    extra: Extra
    overwrite: bool


def generate_in_parallel(
    jobs: Sequence[Job],
    tracker: str,
    device: str,
    settings: ProposalSettings,
    workers: int,
    *,
    image_encoder: str | None = None,
    detector: str | None = None,
    extra: Extra | None = None,
    overwrite: bool = False,
    on_result: Callable[[JobResult], None] | None = None,
) -> list[JobResult]:
    """As `tracksift.generate.generate`, over `workers` processes; results in the order of `jobs`.

    tracker, device, image_encoder, detector: as `load_tracker`, `load_image_encoder` and `load_detector` take them,
    since a loaded model is not handed between processes; `extra` has no detector of its own.

    Raises:
        InputError: for fewer than one worker.
    """
    if workers < 1:
        raise InputError(f"--workers: expected 1 or more processes, got {workers}")
    results: dict[int, JobResult] = {}
    given = (tracker, device, settings, image_encoder, detector, extra or Extra(), overwrite)
    for number, result in _run(jobs, given, min(workers, len(jobs))):
        results[number] = result
        if on_result is not None:
            on_result(result)
    return [results[number] for number in range(len(jobs))]


def _run(
    jobs: Sequence[Job],
    given: tuple[str, str, ProposalSettings, str | None, str | None, Extra, bool],
    workers: int,
) -> Iterator[tuple[int, JobResult]]:
    threads = max(1, (os.cpu_count() or 1) // max(workers, 1))
    # Spawned, because a forked child would inherit threads and a CUDA context that it cannot use.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(list(jobs), threads, *given)) as pool:
        waiting = {pool.submit(_work, number): number for number in range(len(jobs))}
        for future in as_completed(waiting):
            yield waiting[future], future.result()


def _start(
    jobs: Sequence[Job], threads: int, tracker: str, device: str, settings: ProposalSettings,
    image_encoder: str | None, detector: str | None, extra: Extra, overwrite: bool,
) -> None:  # fmt: skip
    torch.set_num_threads(threads)  # more than a core each, and workers wait for one another's threads
    _Worker.jobs, _Worker.settings, _Worker.overwrite = jobs, settings, overwrite
    _Worker.tracker = load_tracker(tracker, device)
    _Worker.extra = extra
    if detector is not None:
        from proposals.detector import load_detector  # slow to import, and most runs need none

        _Worker.extra = replace(extra, detector=load_detector(detector, device))
    _Worker.image_encoder = None if image_encoder is None else load_image_encoder(image_encoder, pick_device(device))


def _work(number: int) -> JobResult:
    return generate_one(
        _Worker.jobs[number], _Worker.tracker, _Worker.settings,
        image_encoder=_Worker.image_encoder, extra=_Worker.extra, overwrite=_Worker.overwrite,
    )  # fmt: skip
