"""How well a detector finds what attribute expressions name, frame by frame, on splits of the rendered world.

Knows clips, expressions and a `Detector`. Does not know training. Motion and relation expressions are left out: one
frame does not show them.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from miniature.splits import find_split
from miniature.world import make_clip
from proposals.detector import Detector

CLEAR = 100
"""Visible pixels of 256 x 256 from which an object must be found; finding a smaller sliver of a target is no fault."""
TIMES = 4  # frames of a clip
LOWEST = 0.05  # scores below are never kept
HIT = 0.5  # IoU
THRESHOLDS = tuple(round(0.1 + 0.025 * i, 3) for i in range(33))


@dataclass(frozen=True)
class Asked:
    """An attribute expression on one frame: the boxes [K, 4] that must be found, those [K', 4] that may be, and whether
    the expression has no target in the whole clip."""

    text: str
    wanted: NDArray[np.float64]
    allowed: NDArray[np.float64]
    no_target: bool


@dataclass(frozen=True)
class HeldOut:
    """A frame uint8 [H, W, 3] and what is asked about it."""

    frame: NDArray[np.uint8]
    asked: tuple[Asked, ...]


@dataclass(frozen=True)
class Answered:
    """Scores [P], falling; which found a wanted box of their own, and which others are no fault, [P] bool; how many
    boxes were wanted; whether the expression has no target.
    """

    scores: NDArray[np.float64]
    hits: NDArray[np.bool_]
    excused: NDArray[np.bool_]
    wanted: int
    no_target: bool


@dataclass(frozen=True)
class Figures:
    """Recall and precision at IoU 0.5; `false_boxes`: share of (no-target expression, frame) with any box;
    how many boxes were wanted, and pairs asked in all and without a target; at a threshold."""

    recall: float
    precision: float
    false_boxes: float
    boxes: int
    pairs: int
    no_target_pairs: int
    threshold: float

    @property
    def f1(self) -> float:
        """Harmonic mean of recall and precision."""
        return 2 * self.recall * self.precision / max(self.recall + self.precision, 1e-9)


def held_out(split: str, clips: int, workers: int = 0) -> Iterator[HeldOut]:
    """Frames of the first `clips` clips of a split, TIMES of each, drawn by `workers` processes (0: here).

    Raises:
        InputError: for an unknown split, or more clips than it has.
    """
    part = find_split(split)
    if not 1 <= clips <= part.count:
        raise InputError(f"clips: expected 1 to {part.count} of split {split!r}, got {clips}")
    job = partial(_frames, shifted=part.shifted)
    seeds = list(part.seeds[:clips])
    if workers == 0:
        for seed in seeds:
            yield from job(seed)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for frames in pool.map(job, seeds):
            yield from frames


def answer(detector: Detector, frames: Sequence[HeldOut]) -> Iterator[list[Answered]]:
    """A detector's answers about each frame, with all scores above LOWEST."""
    for frame in frames:
        texts = detector.read([asked.text for asked in frame.asked])
        found = detector.detect(frame.frame, texts, LOWEST, LOWEST) if frame.asked else []
        yield [
            judge(np.array([d.box for d in detections]).reshape(-1, 4), np.array([d.score for d in detections]), asked)
            for detections, asked in zip(found, frame.asked, strict=True)
        ]


def judge(boxes: NDArray[np.float64], scores: NDArray[np.float64], asked: Asked) -> Answered:
    """Boxes [P, 4] with falling scores against what was asked: best first, each takes the best wanted box left."""
    left = list(range(len(asked.wanted)))
    hits, excused = np.zeros(len(boxes), dtype=bool), np.zeros(len(boxes), dtype=bool)
    wanted, allowed = iou(boxes, asked.wanted), iou(boxes, asked.allowed)
    for i in range(len(boxes)):
        best = max(left, key=lambda k: wanted[i, k], default=None)
        if best is not None and wanted[i, best] >= HIT:
            hits[i] = True
            left.remove(best)
        else:
            excused[i] = bool((allowed[i] >= HIT).any())
    return Answered(scores, hits, excused, len(asked.wanted), asked.no_target)


def figures(answers: Sequence[Answered], threshold: float) -> Figures:
    """The figures of all answers at a threshold."""
    hits = sum(int(a.hits[a.scores > threshold].sum()) for a in answers)
    counted = sum(int((~a.excused[a.scores > threshold]).sum()) for a in answers)
    wanted = sum(a.wanted for a in answers)
    absent = [a for a in answers if a.no_target]
    false = sum(bool((a.scores > threshold).any()) for a in absent)
    return Figures(
        recall=hits / max(wanted, 1),
        precision=hits / counted if counted else 1.0,
        false_boxes=false / max(len(absent), 1),
        boxes=wanted,
        pairs=len(answers),
        no_target_pairs=len(absent),
        threshold=threshold,
    )


def choose_threshold(answers: Sequence[Answered]) -> float:
    """The threshold of the best F1; of equals the highest."""
    return max(THRESHOLDS, key=lambda threshold: (round(figures(answers, threshold).f1, 4), threshold))


def iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of boxes [P, 4] with boxes [K, 4] (corners): [P, K]; 0 where both are empty."""
    a, b = first[:, None], second[None]
    common = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - common
    shared: NDArray[np.float64] = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return shared


def _frames(seed: int, *, shifted: bool) -> list[HeldOut]:
    """TIMES evenly spaced frames of a clip, with its attribute expressions."""
    clip = make_clip(seed, shifted=shifted)
    index = {thing.id: i for i, thing in enumerate(clip.objects)}
    out = []
    for t in np.linspace(0, len(clip.frames) - 1, TIMES).round().astype(int):
        asked = []
        for expression in clip.expressions:
            if expression.kind != "attribute":
                continue
            targets = [clip.masks[index[name], t] for name in expression.target_ids or ()]
            clear = [_corners(mask) for mask in targets if mask.sum() >= CLEAR]
            slivers = [_corners(mask) for mask in targets if 0 < mask.sum() < CLEAR]
            asked.append(Asked(expression.text, _stack(clear), _stack(slivers), not expression.target_ids))
        out.append(HeldOut(clip.frames[t], tuple(asked)))
    return out


def _stack(boxes: list[tuple[int, int, int, int]]) -> NDArray[np.float64]:
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _corners(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1
