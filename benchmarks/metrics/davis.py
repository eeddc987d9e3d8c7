"""DAVIS: J and F of the objects of label maps, by the semi-supervised and the unsupervised task.

The rules are those of the DAVIS 2017 evaluation: the mean over frames of an object first, then over all objects of all
sequences; recall is the share of frames above 0.5, decay the first quarter's mean less the last's. Two things of it
are not repeated: its frame numbers wrap beyond 255 in decay, and a result that it cannot read ends it; here it is a
failure that scores 0.

Knows label maps. Does not know files. T frames, O objects, S proposals.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.bits import Masks, Words, pack, without_last_column
from benchmarks.metrics.boundary import outline_f, outlines, tolerance
from benchmarks.metrics.region import overlap
from core.errors import InputError

Labels = NDArray[np.uint8]  # [T, H, W]: 0 background, 1.. objects, VOID not judged

VOID = 255
MAX_PROPOSALS = 20
HIT = 0.5


class Task(StrEnum):
    """Whose rules count.

    SEMI_SUPERVISED: labels are the objects of the first frame; first and last frame are not judged; void is background.
    UNSUPERVISED: proposals are matched to objects by their mean J&F (Hungarian); all frames; void is not judged.
    """

    SEMI_SUPERVISED = "semi_supervised"
    UNSUPERVISED = "unsupervised"


@dataclass(frozen=True)
class ObjectScore:
    """One object of one sequence: J and F of the judged frames [T], and the label that was matched to it (or None)."""

    sequence: str
    label: int
    matched: int | None
    j: NDArray[np.float64]
    f: NDArray[np.float64]
    failed: bool = False


@dataclass(frozen=True)
class DavisFigures:
    """Means over objects in 0..1 (decay in -1..1).   jf: (j + f) / 2.   n: objects.   failures: of them, scored 0."""

    jf: float
    j: float
    j_recall: float
    j_decay: float
    f: float
    f_recall: float
    f_decay: float
    n: int
    failures: int


def score_sequence(sequence: str, predicted: Labels, truth: Labels, task: Task) -> tuple[ObjectScore, ...]:
    """Score each object of a sequence, in the order of its labels.

    The objects are those up to the highest label of the first true frame: one that appears later is not judged. A label
    without prediction scores as an empty mask.

    Raises:
        InputError: for maps of another form or size, no object in the first frame, fewer than 3 frames in the
            semi-supervised task, labels beyond the truth's there, or more than 20 proposals.
    """
    _check(sequence, predicted, truth)
    first = truth[0][truth[0] != VOID]
    objects = int(first.max(initial=0))
    if objects == 0:
        raise InputError(f"sequence {sequence!r}: expected an object in the first true frame, got none")
    found = int(predicted.max())
    if task is Task.SEMI_SUPERVISED:
        if found > objects:
            raise InputError(f"sequence {sequence!r}: expected predicted labels of 1..{objects}, got {found}")
        if len(truth) < 3:
            raise InputError(f"sequence {sequence!r}: expected at least 3 frames, got {len(truth)}")
        predicted, truth, void = predicted[1:-1], truth[1:-1], None
        pairs = [(label, label) for label in range(objects)]
    else:
        if found > MAX_PROPOSALS:
            raise InputError(f"sequence {sequence!r}: expected at most {MAX_PROPOSALS} proposals, got label {found}")
        void, pairs = truth == VOID, None
    j, f = _tables(_split(predicted, max(found, objects), void), _split(truth, objects, void), truth.shape[1:], pairs)
    if pairs is None:
        from scipy.optimize import linear_sum_assignment  # here, because it takes a quarter of a second to import

        value = (j.mean(axis=2) + f.mean(axis=2)) / 2  # [S, O]
        rows, columns = linear_sum_assignment(-value)
        pairs = sorted(zip(rows.tolist(), columns.tolist(), strict=True), key=lambda pair: pair[1])
    return tuple(ObjectScore(sequence, o + 1, s + 1 if s < found else None, j[s, o], f[s, o]) for s, o in pairs)


def failed_sequence(sequence: str, truth: Labels, task: Task) -> tuple[ObjectScore, ...]:
    """The scores of a sequence without a result: 0 in every judged frame of every object."""
    _check(sequence, truth, truth)
    objects = int(truth[0][truth[0] != VOID].max(initial=0))
    frames = len(truth) - (2 if task is Task.SEMI_SUPERVISED else 0)
    return tuple(ObjectScore(sequence, o + 1, None, np.zeros(frames), np.zeros(frames), True) for o in range(objects))


def without_void(masks: Masks, void: Masks | None) -> Masks:
    """Masks [T, H, W] with void pixels set to background; J and F of two such masks ignore what is void."""
    return masks if void is None else masks & ~void


class DavisScore:
    """Collects object scores; parts scored apart are merged, in any order, to the same figures."""

    def __init__(self, scores: Iterable[ObjectScore] = ()) -> None:
        self._scores = list(scores)

    def update(self, scores: Sequence[ObjectScore]) -> None:
        """Add the objects of a sequence."""
        self._scores.extend(scores)

    def merge(self, other: DavisScore) -> None:
        """Add all that `other` has collected."""
        self._scores.extend(other._scores)

    def compute(self) -> DavisFigures:
        """The figures over all objects; InputError when there is none."""
        if not self._scores:
            raise InputError("score: expected at least one object, got none")
        j, f = (_statistics([getattr(s, name) for s in self._scores]) for name in ("j", "f"))
        failures = sum(s.failed for s in self._scores)
        return DavisFigures((j[0] + f[0]) / 2, *j, *f, n=len(self._scores), failures=failures)

    def by_sequence(self) -> dict[str, DavisFigures]:
        """The figures of each sequence, in the order in which they came."""
        names = dict.fromkeys(s.sequence for s in self._scores)
        return {name: DavisScore(s for s in self._scores if s.sequence == name).compute() for name in names}


def decay(values: NDArray[np.float64]) -> float:
    """Mean of the first quarter less the mean of the last; the quarters share their borders, as the official ones."""
    # Rounded half to even after a hair is added, which rounds halves up.
    borders = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(np.int64) - 1
    first, last = values[borders[0] : borders[1] + 1], values[borders[3] : borders[4] + 1]
    return float(first.mean() - last.mean())


def _statistics(values: list[NDArray[np.float64]]) -> tuple[float, float, float]:
    """Mean, recall and decay, each the mean over objects. fsum is exact, so that the order of merging does not show."""
    n = len(values)
    mean = math.fsum(float(v.mean()) for v in values) / n
    return mean, math.fsum(float((v > HIT).mean()) for v in values) / n, math.fsum(decay(v) for v in values) / n


def _check(sequence: str, predicted: Labels, truth: Labels) -> None:
    for name, labels in (("predicted", predicted), ("true", truth)):
        if labels.dtype != np.uint8 or labels.ndim != 3 or not labels.size:
            got = f"{labels.dtype} {list(labels.shape)}"
            raise InputError(f"sequence {sequence!r}: expected {name} labels as uint8 [T, H, W], got {got}")
    if predicted.shape != truth.shape:
        raise InputError(f"sequence {sequence!r}: expected labels of {truth.shape}, got {predicted.shape}")


def _split(labels: Labels, objects: int, void: Masks | None) -> list[Words]:
    """A packed mask for each label from 1 on."""
    return [pack(without_void(labels == label, void), tolerance(*labels.shape[1:])) for label in range(1, objects + 1)]


def _tables(
    predicted: list[Words], truth: list[Words], size: tuple[int, ...], pairs: list[tuple[int, int]] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """J and F of all pairs, or of the given ones, [S, O, T]; each outline is found and grown once."""
    radius, edge = tolerance(size[0], size[1]), without_last_column(size[1], truth[0].shape[2])
    shape = (len(predicted), len(truth), len(truth[0]))
    j, f = np.zeros(shape), np.zeros(shape)
    lines = [[outlines(words, edge, radius) for words in group] for group in (predicted, truth)]
    for s, o in pairs if pairs is not None else np.ndindex(shape[:2]):
        j[s, o], f[s, o] = overlap(predicted[s], truth[o]), outline_f(lines[0][s], lines[1][o])
    return j, f
