"""Ref-DAVIS17, by both protocols in use, which disagree where a video has several objects or void pixels.

A (ReferFormer and its followers): for each of the four annotations the answers to a video's objects become one label
map, the highest score winning a pixel; DAVIS's unsupervised task scores it; the mean over the four is the figure.
B (VISA, GLUS, Sa2VA): each expression by itself by MeViS's rules: `mevis_score`. Always say which.

Knows masks. Does not know files. T frames, O objects.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.davis import DavisFigures, DavisScore, Labels, ObjectScore
from core.errors import InputError

ANNOTATIONS = 4
BACKGROUND = 0.1
SURE = 0.5


@dataclass(frozen=True)
class RefDavisFigures:
    """Protocol A: the mean of four annotations in 0..1.   n: objects of one annotation.   failures: over all four."""

    jf: float
    j: float
    f: float
    n: int
    failures: int
    annotations: tuple[DavisFigures, ...]


def label_map(answers: Sequence[NDArray[np.floating] | NDArray[np.bool_]]) -> Labels:
    """The answers to objects 1..O of one annotation, [T, H, W] probabilities or masks -> labels [T, H, W].

    A score below .5 counts as none; where none is left the pixel is background, where several are equal the first
    object's.

    Raises:
        InputError: for no answer, more than 254, or answers of several shapes.
    """
    shapes = {answer.shape for answer in answers}
    if len(shapes) != 1 or len(answers) > 254 or len(next(iter(shapes))) != 3:
        raise InputError(f"label map: expected 1 to 254 answers [T, H, W] of one shape, got {len(answers)} of {shapes}")
    best = np.full(next(iter(shapes)), BACKGROUND, dtype=np.float32)
    labels = np.zeros(best.shape, dtype=np.uint8)
    for number, answer in enumerate(answers, start=1):
        score = answer.astype(np.float32)
        wins = (score >= SURE) & (score > best)
        best[wins], labels[wins] = score[wins], number
    return labels


class RefDavisScore:
    """Collects the object scores of the four annotations by protocol A; parts merge in any order."""

    def __init__(self) -> None:
        self._scores = tuple(DavisScore() for _ in range(ANNOTATIONS))

    def update(self, scores: Mapping[int, Sequence[ObjectScore]]) -> None:
        """Add a video: annotation 0..3 -> its objects, as `score_sequence` or `failed_sequence` gave them.

        Raises:
            InputError: when an annotation is missing.
        """
        if set(scores) != set(range(ANNOTATIONS)):
            raise InputError(f"score: expected annotations 0..{ANNOTATIONS - 1}, got {sorted(scores)}")
        for annotation, objects in scores.items():
            self._scores[annotation].update(objects)

    def merge(self, other: RefDavisScore) -> None:
        """Add all that `other` has collected."""
        for mine, theirs in zip(self._scores, other._scores, strict=True):
            mine.merge(theirs)

    def compute(self) -> RefDavisFigures:
        """The figures over all videos; InputError when there is none."""
        figures = tuple(score.compute() for score in self._scores)
        j, f = (math.fsum(getattr(part, name) for part in figures) / ANNOTATIONS for name in ("j", "f"))
        return RefDavisFigures((j + f) / 2, j, f, figures[0].n, sum(part.failures for part in figures), figures)
