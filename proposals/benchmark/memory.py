"""Peaks of device and host memory while objects are tracked over clips of many lengths, and their course over one.

Knows trackers, budgets and what the operating system calls resident. Does not know command lines. Half of the objects
are born on frame 0 and half in the middle, so that both sweeps run. What is made of a clip (masks as COCO strings,
tokens) grows with its frames in any engine, and is stated apart.
"""

from __future__ import annotations

import gc
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import InputError
from core.frames import VideoReader, open_video
from core.reporting import Progress
from core.types import Track, VideoMeta
from proposals.benchmark.stage import make_prompts, random_sam2, settle_masks, write_clip
from proposals.features import FeatureStore
from proposals.prompts import MaskPrompt
from proposals.propagation import Sweep
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import Resources
from proposals.tracker import Cohort, Maps, Moment, Step, Tracker

MIB = 2**20
LENGTHS, CROWDS = (60, 200, 600), (1, 16, 64)
WARM = 24  # frames that are tracked first, so that compilation is off the clock
SAMPLES = 10  # of a course
EVERY = 0.01  # seconds between looks at resident memory

Row = dict[str, float | int | None]


class LoopingReader:
    """A short clip shown forward and back again up to `frames` frames, none of which is held twice."""

    def __init__(self, clip: NDArray[np.uint8], frames: int, fps: float = 24.0) -> None:
        """clip: uint8 [K, H, W, 3] RGB; InputError for fewer than 2 frames."""
        if len(clip) < 2:
            raise InputError(f"looping clip: expected 2 frames or more, got {len(clip)}")
        self._clip = clip
        times = np.arange(frames, dtype=np.float64) / fps
        self.meta = VideoMeta("loop", "memory", (clip.shape[1], clip.shape[2]), times, frames / fps, "0" * 64)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame once."""
        return (self._clip[self._place(i)] for i in range(self.meta.frames))

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """The frames at `indices`, uint8 [K, H, W, 3]."""
        return self._clip[[self._place(i) for i in indices]]

    def close(self) -> None:
        """Nothing to let go of."""

    def _place(self, index: int) -> int:
        turn = index % (2 * len(self._clip) - 2)
        return min(turn, 2 * len(self._clip) - 2 - turn)


class Watch:
    """The most memory since the last lap: resident on the host, allocated on the device, page-locked."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._peak, self._done = device, resident(), threading.Event()
        self._thread = threading.Thread(target=self._look, name="memory", daemon=True)

    def __enter__(self) -> Watch:
        """Begin to look."""
        self._thread.start()
        self.lap()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking."""
        self._done.set()
        self._thread.join()

    def lap(self) -> Row:
        """Peaks in MiB since the last lap; None for what there is no device for."""
        peaks: Row = {"device_mib": None, "host_mib": max(self._peak, resident()) / MIB, "pinned_mib": None}
        if self._device.type == "cuda":
            peaks["device_mib"] = torch.cuda.max_memory_allocated(self._device) / MIB
            peaks["pinned_mib"] = torch.cuda.host_memory_stats().get("allocated_bytes.peak", 0) / MIB
            torch.cuda.reset_peak_memory_stats(self._device)
            torch.cuda.reset_peak_host_memory_stats()
        self._peak = resident()
        return peaks

    def _look(self) -> None:
        while not self._done.wait(EVERY):
            self._peak = max(self._peak, resident())


class _Counted:
    """A tracker that counts the frames of objects that it stepped over."""

    def __init__(self, tracker: Tracker[Any]) -> None:
        self.image_size, self.device, self.done = tracker.image_size, tracker.device, 0
        self.encode, self.prompt, self._tracker = tracker.encode, tracker.prompt, tracker

    def step(self, maps: Maps, cohorts: Sequence[Cohort], moment: Moment) -> list[Step]:
        """As the tracker."""
        self.done += sum(cohort.objects for cohort in cohorts)
        return self._tracker.step(maps, cohorts, moment)


@dataclass(frozen=True)
class Course:
    """One clip tracked. rows: peaks and output over the sweeps; whole: of the whole run."""

    rows: list[Row]
    whole: Row


def follow(tracker: Tracker[Any], reader: VideoReader, prompts: Sequence[MaskPrompt], resources: Resources) -> Course:
    """Track a clip, watching memory; ten laps over its sweeps, with the output that is made by their ends."""
    counted = _Counted(tracker)
    total = len(prompts) * (reader.meta.frames - 1)
    rows: list[Row] = []
    gc.collect()
    with Watch(tracker.device) as watch:
        start, before = time.perf_counter(), resident()

        def look() -> None:
            if counted.done >= total * (len(rows) + 1) / SAMPLES:
                rows.append({"objects_frames": counted.done, **watch.lap()})

        store = FeatureStore(reader, counted, resources)
        try:
            sweep = Sweep(counted, store, look)
            last = max(prompt.frame for prompt in prompts)
            sweep.forward(lambda t: [prompt for prompt in prompts if prompt.frame == t], last)
            sweep.backward()
            tracks = sweep.tracks()
        finally:
            store.close()
        seconds = time.perf_counter() - start
        final = watch.lap()
    each = sum(map(output_bytes, tracks)) / (total + len(prompts))
    for row in rows:
        row["output_mib"] = float(row["objects_frames"] or 0) * each / MIB
    peaks: Row = {}
    for name in final:
        values = [value for row in (*rows, final) if (value := row[name]) is not None]
        peaks[name] = max(values) if values else None
    whole: Row = {
        "frames": reader.meta.frames, "objects": len(prompts), "passes": store.passes / reader.meta.frames,
        "frame_ms": 1000 * seconds / reader.meta.frames, **peaks,
        "host_before_mib": before / MIB, "output_mib": each * (total + len(prompts)) / MIB,
    }  # fmt: skip
    return Course(rows, whole)


def run_grid(
    size: str, lengths: Sequence[int], crowds: Sequence[int], resources: Resources, device: torch.device,
    progress: Progress, told: Callable[[Row], None] = lambda row: None,
) -> list[Row]:  # fmt: skip
    """Peaks of a SAM 2.1 of random weights for every length and number of objects, in one process.

    told: called with each row as it is there.
    """
    model = random_sam2(size, device)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = write_clip(Path(name), max(*lengths, WARM))
        names = sorted(path.name for path in folder.iterdir())
        settle_masks(model, folder, make_prompts(max(crowds), [0]))
        tracker = Sam2Tracker(model, resources)
        for objects in crowds:
            for frames in (WARM, *lengths):
                reader = open_video(folder, fps=24, frame_names=names[:frames])
                course = follow(tracker, reader, make_prompts(objects, births(frames)), resources)
                if frames != WARM or WARM in lengths:
                    rows.append(course.whole)
                    told(course.whole)
                progress(len(rows), len(crowds) * len(lengths))
    return rows


def births(frames: int) -> list[int]:
    """The frames that objects are born on."""
    return [0, frames // 2]


def output_bytes(track: Track) -> int:
    """What a track takes in host memory: strings with their headers, tokens, boxes and figures."""
    arrays = (track.tokens, track.boxes, track.object_score, track.predicted_iou)
    return sum(map(sys.getsizeof, track.masks)) + sum(array.nbytes for array in arrays)


def resident() -> float:
    """Bytes of this process in memory now; where the system does not say, the most so far."""
    now = Path("/proc/self/statm")
    if now.exists():
        return float(now.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)
