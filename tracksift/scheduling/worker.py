"""What one worker does: load its models once, then one video after another, in smaller batches where memory is short.

A `Recipe` travels to another process or machine; `Worker` is what it becomes there. Knows generation. Does not know
how many workers there are, nor where.
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from core.devices import pick_device
from core.images import ImageEncoder, load_image_encoder
from proposals.any_tracker import load_tracker
from proposals.checkpoints import LoadedTracker
from proposals.generate import Progress
from proposals.settings import ProposalSettings, Resources
from tracksift.generate import JobResult, generate_one, is_memory_error
from tracksift.jobs import Job
from tracksift.sources import Extra


@dataclass(frozen=True)
class Recipe:
    """What a worker is made of, by name: models are loaded where they are used.

    tracker, device, image_encoder, detector: as `load_tracker`, `load_image_encoder` and `load_detector` take them;
    `extra` has no detector of its own.   threads: of torch, None for torch's own choice.
    """

    jobs: Sequence[Job]
    tracker: str
    device: str
    settings: ProposalSettings
    image_encoder: str | None = None
    detector: str | None = None
    extra: Extra = field(default_factory=Extra)
    overwrite: bool = False
    threads: int | None = None

    def open(self) -> Worker:
        """A worker with its models loaded.

        Raises:
            CheckpointError: when weights cannot be used.
            InputError: for a device that the machine does not have.
        """
        if self.threads is not None:
            torch.set_num_threads(self.threads)  # more than a core each, and workers wait for one another's threads
        extra = self.extra
        if self.detector is not None:
            from proposals.detector import load_detector  # slow to import, and most runs need none

            extra = replace(extra, detector=load_detector(self.detector, self.device))
        image_encoder = (
            None if self.image_encoder is None else load_image_encoder(self.image_encoder, pick_device(self.device))
        )
        tracker = load_tracker(self.tracker, self.device)
        return Worker(self.jobs, tracker, self.settings, image_encoder, extra, self.overwrite)


@dataclass
class Worker:
    """Loaded models and the jobs that they may be asked for, by number."""

    jobs: Sequence[Job]
    tracker: LoadedTracker
    settings: ProposalSettings
    image_encoder: ImageEncoder | None = None
    extra: Extra = field(default_factory=Extra)
    overwrite: bool = False
    on_frames: Progress | None = None

    def __call__(self, number: int) -> JobResult:
        """What became of a job; batches are halved until it fits, and stay so, as the engine's own do."""
        while True:
            result = self._attempt(self.jobs[number])
            smaller = halved(self.tracker.resources)
            if result.fault != "memory" or smaller is None:
                return result
            self.tracker = replace(self.tracker, resources=smaller)
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _attempt(self, job: Job) -> JobResult:
        try:
            return generate_one(
                job, self.tracker, self.settings, image_encoder=self.image_encoder, extra=self.extra,
                overwrite=self.overwrite, on_frames=self.on_frames,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001  one video's surprise shall not end days of work on the others
            if is_memory_error(error):
                cause = "expected memory for the smallest batches, got none left; free the device, or use fewer workers"
                return JobResult(job.video_id, "failed", cause=cause, fault="memory")
            cause = f"expected tracks, got an unexpected {type(error).__name__}: {error}"
            return JobResult(
                job.video_id, "failed", cause=cause, fault="unexpected", trace="".join(traceback.format_exc())
            )


def halved(resources: Resources) -> Resources | None:
    """Half the batches and held features; None where a batch is one frame or one object already."""
    if resources.encoder_batch == 1 or resources.objects == 1:
        return None
    return replace(
        resources,
        encoder_batch=resources.encoder_batch // 2,
        objects=resources.objects // 2,
        points=max(resources.points // 2, 1),
        feature_bytes=max(resources.feature_bytes // 4, 1),
        host_bytes=resources.host_bytes // 4,
    )
