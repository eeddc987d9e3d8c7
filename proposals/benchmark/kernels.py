"""Which kernels the time of tracking goes to, in the steady state of one clip.

Knows torch's profiler. Does not know command lines. The frames looked at come after the memory is full, and are as many
as one pass of the encoder holds.
"""

from __future__ import annotations

import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from core.errors import InputError
from core.frames import open_video
from proposals import rotary_keys
from proposals.benchmark.rows import KEY_EVERY
from proposals.benchmark.stage import make_prompts, random_sam2, settle_masks, write_clip
from proposals.features import FeatureStore
from proposals.propagation import Sweep
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import Resources

MIXED = 60  # frames of a clip that is profiled whole
FULL = 32  # frames until every memory and pointer is there, a multiple of the encoder's batch
LONGEST = 90  # characters of a kernel's name

Kernel = tuple[str, float, float, float]  # name, ms a frame, calls a frame, share of all


def profile_kernels(
    size: str, objects: int, resources: Resources, device: torch.device, *, mixed: bool = False
) -> tuple[list[Kernel], float]:
    """Kernels (operators on a CPU) by time, and the milliseconds a frame on the clock while profiled.

    mixed: objects born on every fourth frame and both sweeps whole, as in row B; else frames with the memory full.
    """
    model = random_sam2(size, device)
    watched = resources.encoder_batch
    first = 0 if mixed else -(-FULL // watched) * watched
    frames = MIXED if mixed else first + 2 * watched
    with tempfile.TemporaryDirectory() as name:
        folder = write_clip(Path(name), frames)
        prompts = make_prompts(objects, list(range(0, frames, KEY_EVERY)) if mixed else [0])
        settle_masks(model, folder, prompts)
        tracker = Sam2Tracker(model, resources)
        activities = [ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU]
        window = _Window(profile(activities=activities), first, None if mixed else first + watched, device)
        for recorded in (False, False, True):  # compiled, and replayed where asked for, by the first two
            store = FeatureStore(open_video(folder, fps=24), tracker, resources)
            if recorded and mixed:
                window.start()
            sweep = Sweep(tracker, store, window if recorded and not mixed else None)
            sweep.forward(lambda t: [prompt for prompt in prompts if prompt.frame == t])
            sweep.backward()
            sweep.tracks()
            store.close()
        if mixed:
            window.stop()
    counted = frames if mixed else watched
    return _kernels(window.profiler, counted, device), 1000 * window.seconds / counted


def time_keys(device: torch.device, objects: int, repeats: int = 20) -> list[tuple[int, int, int, float]]:
    """Rows, objects and warps of a program, and the milliseconds of one layer's keys of the largest model, at best.

    Raises:
        InputError: where the kernel does not run.
    """
    width, narrow, pixels, memories, pointers = 256, 64, 4096, 7, 64
    if not rotary_keys.usable(device, width, narrow):
        raise InputError(f"--row keys: expected a CUDA device with Triton, got {device}")
    kind = torch.bfloat16
    tokens = torch.randn(objects, memories * pixels + pointers, narrow, device=device, dtype=kind)
    weight, bias = torch.randn(width, narrow, device=device, dtype=kind), torch.zeros(width, device=device, dtype=kind)
    angle = torch.randn(pixels, width // 2, device=device)
    turn, found = (angle.cos(), angle.sin()), []
    for rows, together, warps in product((32, 64, 128), (1, 2, 4, 8), (4, 8)):
        times = []
        for _ in range(repeats):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            begin.record()
            rotary_keys.project(
                tokens, weight, bias, turn, memories * pixels, rows=rows, together=together, warps=warps
            )
            end.record()
            torch.cuda.synchronize(device)
            times.append(begin.elapsed_time(end))
        found.append((rows, together, warps, min(times)))
    return found


class _Window:
    """Called after each frame: starts the profiler at one and stops it at another; or by hand, where `last` is None."""

    def __init__(self, profiler: Any, first: int, last: int | None, device: torch.device) -> None:
        self.profiler, self._edges, self._device = profiler, (first, last), device
        self._seen, self._begin, self.seconds = 0, 0.0, 0.0

    def __call__(self) -> None:
        self._seen += 1
        if self._seen == self._edges[0]:
            self.start()
        elif self._seen == self._edges[1]:
            self.stop()

    def start(self) -> None:
        """Begin to record."""
        self._wait()
        self.profiler.start()
        self._begin = time.perf_counter()

    def stop(self) -> None:
        """Record no more, when all that was launched is done."""
        self._wait()
        self.seconds = time.perf_counter() - self._begin
        self.profiler.stop()

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def _kernels(profiler: Any, frames: int, device: torch.device) -> list[Kernel]:
    name = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    times = [(event.key, float(getattr(event, name)) / 1000, int(event.count)) for event in profiler.key_averages()]
    every = sum(ms for _, ms, _ in times)
    found = [(key[:LONGEST], ms / frames, count / frames, ms / every) for key, ms, count in times if ms > 0]
    return sorted(found, key=lambda kernel: -kernel[1])
