"""How fast J and F are: beside the definition word for word in one process, and over several processes.

Draws answers and truths of moving shapes, one expression at a time, so that memory does not grow with their number.
Knows metrics. Does not know command lines. T frames.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.metrics.bits import Masks
from benchmarks.metrics.boundary import region_and_boundary
from benchmarks.metrics.literal import literal_f, literal_j
from benchmarks.metrics.mevis_score import ExpressionScore, MevisScore, score_expression
from core.reporting import Progress

SIZE = (480, 854)  # DAVIS and YouTube-VOS at 480p
_MIB = 2**20


def time_metrics(expressions: int, frames: int, progress: Progress) -> dict[str, float | int]:
    """Milliseconds a frame of J and F, ours and literal, and expressions a second by number of processes.

    Drawing the masks is not in the milliseconds, but is in the scaling over processes, where each draws its own.
    """
    ours, literal, error, counts = 0.0, 0.0, 0.0, _process_counts()
    total = expressions * (1 + len(counts))
    for seed in range(expressions):
        predicted, truth = draw(seed, frames)
        start = time.perf_counter()
        j, f = region_and_boundary(predicted, truth)
        middle = time.perf_counter()
        plain = np.array([(literal_j(p, t), literal_f(p, t)) for p, t in zip(predicted, truth, strict=True)])
        literal += time.perf_counter() - middle
        ours += middle - start
        error = max(error, float(np.abs(plain - np.stack([j, f], axis=1)).max()))
        progress(seed + 1, total)
    figures: dict[str, float | int] = {
        "ours_frame_ms": 1000 * ours / (expressions * frames),
        "literal_frame_ms": 1000 * literal / (expressions * frames),
        "speed_ratio": literal / ours,
        "largest_difference": error,
        "peak_mib": _peak_mib(),
    }
    for place, processes in enumerate(counts, start=1):
        figures[f"expressions_per_s_{processes}_processes"] = _rate(processes, expressions, frames)
        progress(expressions * (1 + place), total)
    return figures


def draw(seed: int, frames: int, size: tuple[int, int] = SIZE) -> tuple[Masks, Masks]:
    """An answer and its truth, [T, H, W] each: one to three shapes on their way, the answer a little beside them.

    In every fifth expression the shapes leave after three quarters of the clip, in every tenth the answer is empty.
    """
    random = np.random.default_rng(seed)
    predicted, truth = np.zeros((2, frames, *size), dtype=np.bool_)
    for _ in range(int(random.integers(1, 4))):
        side = int(random.integers(min(size) // 8, min(size) // 2))
        field = ndimage.gaussian_filter(random.normal(size=(side, side)), side / 12)
        field /= field.std()
        across = np.hypot(*(np.indices((side, side)) - side / 2)) / side
        start, end = (random.uniform(0, np.array(size) - side) for _ in range(2))
        for t in range(frames if seed % 5 else max(1, 3 * frames // 4)):
            y, x = np.round(start + (end - start) * t / max(1, frames - 1)).astype(int)
            truth[t, y : y + side, x : x + side] |= field > 6 * across - 1.5
            y, x = np.clip(np.array([y, x]) + random.integers(-4, 5, size=2), 0, np.array(size) - side)
            predicted[t, y : y + side, x : x + side] |= field > 6 * across - 1.4
    if seed % 10 == 9:
        predicted[:] = False
    return predicted, truth


def _process_counts() -> list[int]:
    """1, 2, 4 .. up to the number of cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [2**power for power in range(cores.bit_length())]


def _rate(processes: int, expressions: int, frames: int) -> float:
    """Expressions a second, drawing included, without the time that processes take to start."""
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_warm, range(processes)))
        start = time.perf_counter()
        total = MevisScore(pool.map(partial(_score, frames=frames), range(expressions), chunksize=4))
        seconds = time.perf_counter() - start
    return total.compute().n / seconds


def _score(seed: int, frames: int) -> ExpressionScore:
    predicted, truth = draw(seed, frames)
    return score_expression(predicted, truth, no_target=False)


def _warm(number: int) -> NDArray[np.float64]:
    return region_and_boundary(*draw(number, 2))[0]


def _peak_mib() -> float:
    """The most memory that this process has held; the system counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _MIB if sys.platform == "darwin" else peak / 1024
