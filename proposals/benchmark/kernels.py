"""Which kernels the time of tracking goes to, in the steady state of one clip.

Knows torch's profiler. Does not know command lines. The frames looked at come after the memory is full, and are as many
as one pass of the encoder holds.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from core.frames import open_video
from proposals.benchmark.stage import make_prompts, random_sam2, settle_masks, write_clip
from proposals.features import FeatureStore
from proposals.propagation import Sweep
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import Resources

FULL = 32  # frames until every memory and pointer is there, a multiple of the encoder's batch
LONGEST = 90  # characters of a kernel's name

Kernel = tuple[str, float, float, float]  # name, ms a frame, calls a frame, share of all


def profile_kernels(size: str, objects: int, resources: Resources, device: torch.device) -> tuple[list[Kernel], float]:
    """Kernels (operators on a CPU) by time, and the milliseconds a frame on the clock while profiled."""
    model = random_sam2(size, device)
    watched = resources.encoder_batch
    first = -(-FULL // watched) * watched
    with tempfile.TemporaryDirectory() as name:
        folder, prompts = write_clip(Path(name), first + 2 * watched), make_prompts(objects, [0])
        settle_masks(model, folder, prompts)
        tracker = Sam2Tracker(model, resources)
        activities = [ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU]
        profiler = profile(activities=activities)
        seconds = 0.0
        for recorded in (False, True):  # compiled and settled by the first clip
            window = _Window(profiler, first, first + watched, device) if recorded else None
            store = FeatureStore(open_video(folder, fps=24), tracker, resources)
            sweep = Sweep(tracker, store, window)
            sweep.forward(lambda t: prompts if t == 0 else [])
            sweep.tracks()
            store.close()
            seconds = window.seconds if window else 0.0
    return _kernels(profiler, watched, device), 1000 * seconds / watched


class _Window:
    """Called after each frame: starts the profiler at one and stops it at another."""

    def __init__(self, profiler: Any, first: int, last: int, device: torch.device) -> None:
        self._profiler, self._edges, self._device = profiler, (first, last), device
        self._seen, self._start, self.seconds = 0, 0.0, 0.0

    def __call__(self) -> None:
        self._seen += 1
        if self._seen not in self._edges:
            return
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        if self._seen == self._edges[0]:
            self._profiler.start()
            self._start = time.perf_counter()
        else:
            self.seconds = time.perf_counter() - self._start
            self._profiler.stop()


def _kernels(profiler: Any, frames: int, device: torch.device) -> list[Kernel]:
    name = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    times = [(event.key, float(getattr(event, name)) / 1000, int(event.count)) for event in profiler.key_averages()]
    every = sum(ms for _, ms, _ in times)
    found = [(key[:LONGEST], ms / frames, count / frames, ms / every) for key, ms, count in times if ms > 0]
    return sorted(found, key=lambda kernel: -kernel[1])
