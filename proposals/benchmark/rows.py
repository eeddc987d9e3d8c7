"""The rows of the speed table: one clip, one model, several ways, in one process.

Knows what is compared with what. Does not know command lines. A ratio is always of two figures of the same run; the
floor is the arithmetic of our own way at the card's measured rate, below which nothing with these weights can go.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base
from torch.utils.flop_counter import FlopCounterMode

from core import rle
from core.errors import InputError
from core.reporting import Progress
from proposals.benchmark import ways
from proposals.benchmark.stage import FRAME, make_prompts, random_sam2, settle_masks, write_clip
from proposals.prompts import MaskPrompt
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import Resources

RATE = 788e12  # FLOP/s of a bf16 matrix product of 8192 x 8192, measured on one H200
ROWS = ("A", "B")
COMPARED = 8  # prompts whose masks are compared with the other ways
WANTED = (0.01, 0.2)  # share of the frame that a mask should cover for a figure to count
FEW = (4, 6)  # objects that operations are counted for; attention is the same from three on
KEY_EVERY = 4  # frames between the key frames of row B, as SOLA prompts for training


@dataclass(frozen=True)
class RowSettings:
    """One row. A: every prompt on frame 0, forward. B: prompts on every fourth frame, both directions.

    alone: ours only, for memory and long clips.
    """

    row: str = "A"
    size: str = "large"
    objects: int = 64
    frames: int = 60
    repeats: int = 1
    alone: bool = False
    resources: Resources = field(default_factory=lambda: Resources(encoder_batch=16, compiled=True))

    def __post_init__(self) -> None:
        """Refuse rows that are not there and counts below the least."""
        if self.row not in ROWS:
            raise InputError(f"row: expected one of {', '.join(ROWS)}, got {self.row!r}")
        if self.objects < 1 or self.frames < 2 or self.repeats < 1:
            raise InputError("row: expected 1 object, 2 frames and 1 repeat or more, got fewer")


def run_row(settings: RowSettings, device: torch.device, progress: Progress) -> dict[str, float | int]:
    """Milliseconds a frame of each way, their ratios, the floor, and what shows that the work was real."""
    ways.quiet_progress()
    births = [0] if settings.row == "A" else list(range(0, settings.frames, KEY_EVERY))
    prompts = make_prompts(settings.objects, births)
    model = random_sam2(settings.size, device)
    with tempfile.TemporaryDirectory() as name:
        folder = write_clip(Path(name), settings.frames)
        settle_masks(model, folder, prompts)
        return _measure(settings, model, folder, prompts, progress)


def _measure(
    settings: RowSettings, model: SAM2Base, folder: Path, prompts: list[MaskPrompt], progress: Progress
) -> dict[str, float | int]:
    tracker = Sam2Tracker(model, settings.resources)
    work: dict[str, Callable[[], ways.Masks]] = {
        "ours": lambda: ways.ours(tracker, folder, prompts, settings.resources)
    }
    if not settings.alone:
        work["sola"] = lambda: ways.solas(model, folder, prompts)
        if settings.row == "A":
            work["official"] = lambda: ways.official(model, folder, prompts)
    _, cold = _timed(model.device, work["ours"])
    if not settings.alone:
        few = prompts[: ways.TOGETHER]
        _timed(model.device, lambda: ways.solas(model, folder, few))  # the package's warm-up: cuDNN, allocator
    progress(1, len(work) + 1)
    figures: dict[str, float | int] = {}
    masks = {}
    for number, (name, run) in enumerate(work.items()):
        masks[name], measured = _repeated(settings, model.device, run)
        figures |= {f"{name}_{key}": value for key, value in measured.items()}
        progress(number + 2, len(work) + 1)
    for name in masks.keys() - {"ours"}:
        figures[f"ratio_{name}"] = figures[f"{name}_frame_ms"] / figures["ours_frame_ms"]
        figures[f"iou_{name}"] = _mean_iou(masks["ours"][:COMPARED], masks[name][:COMPARED])
    figures["first_run_extra_s"] = cold - figures["ours_frame_ms"] * settings.frames / 1000
    figures["floor_frame_ms"] = 1000 * _flops(model, folder, prompts, settings) / RATE / settings.frames
    return figures | _presence(masks["ours"])


def _repeated(
    settings: RowSettings, device: torch.device, run: Callable[[], ways.Masks]
) -> tuple[ways.Masks, dict[str, float]]:
    """The result of a way, its median milliseconds a frame, and the peak of memory up to its end."""
    times = []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    for _ in range(settings.repeats):
        masks, seconds = _timed(device, run)
        times.append(seconds)
    measured = {"frame_ms": 1000 * float(np.median(times)) / settings.frames, "host_peak_gib": _host_peak()}
    if device.type == "cuda":
        measured["peak_gib"] = torch.cuda.max_memory_allocated(device) / 2**30
    return masks, measured


def _host_peak() -> float:
    """The most memory that this process has held so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**30


def _presence(masks: ways.Masks) -> dict[str, float]:
    """What shows that objects were there: quantiles of the share of the frame in masks, masks not empty, and masks
    inside WANTED."""
    share = np.array([rle.areas(track, FRAME) for track in masks]) / (FRAME[0] * FRAME[1])
    quantiles = {f"foreground_{q}": float(np.quantile(share, q / 100)) for q in (5, 50, 95)}
    inside = (share >= WANTED[0]) & (share <= WANTED[1])
    return quantiles | {"objects_frames_present": float((share > 0).mean()), "foreground_inside": float(inside.mean())}


def _timed(device: torch.device, run: Callable[[], ways.Masks]) -> tuple[ways.Masks, float]:
    """The result and its seconds, the device's work included."""
    _wait(device)
    start = time.perf_counter()
    result = run()
    _wait(device)
    return result, time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _flops(model: SAM2Base, folder: Path, prompts: list[MaskPrompt], settings: RowSettings) -> float:
    """Floating-point operations of our way: matrix products, convolutions and attention.

    Counted for two small numbers of objects on the first prompt's frames, since they are linear in objects; row B's
    objects take part in as many steps as row A's.
    """
    resources = Resources(encoder_batch=16)
    tracker = Sam2Tracker(model, resources)  # compiled parts cannot be counted
    counts = []
    for number in FEW:
        few = [replace(prompt, frame=0) for prompt in (prompts * max(FEW))[:number]]
        with FlopCounterMode(display=False) as counter:
            ways.ours(tracker, folder, few, resources)
        counts.append(float(counter.get_total_flops()))
    each = (counts[1] - counts[0]) / (FEW[1] - FEW[0])
    return counts[0] + each * (settings.objects - FEW[0])


def _mean_iou(first: ways.Masks, second: ways.Masks) -> float:
    """Mean IoU of the same prompt's masks at the same frame, 1 where both are empty."""
    values = []
    for one, other in zip(first, second, strict=True):
        a, b = rle.decode(one, FRAME), rle.decode(other, FRAME)
        both, either = (a & b).sum(axis=(1, 2)), (a | b).sum(axis=(1, 2))
        values.append(np.where(either == 0, 1, both / np.maximum(either, 1)).mean())
    return float(np.mean(values))
