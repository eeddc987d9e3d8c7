"""Predicted masks of a split: J, F and J&F by the dataset's rules, vIoU and tIoU of their boxes, and baselines.

Knows readers with masks and their metrics. Does not know where masks come from. T frames.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.evaluation.report import RESULT, TRUTH, Choices, Figures, Report, plain
from benchmarks.metrics.bits import Masks
from benchmarks.metrics.boxes import Boxes, from_corners
from benchmarks.metrics.mevis_score import ExpressionScore, MevisScore, failed_expression, score_expression
from benchmarks.metrics.referred import score_referred
from benchmarks.metrics.spatio_temporal import TubeScore, TubeTotal, score_tube
from benchmarks.protocol import BenchmarkVideo, Reader, target_masks
from benchmarks.ref_davis.evaluation import evaluate_ref_davis
from benchmarks.ref_youtube_vos.reader import RefVosReader
from core import rle
from core.errors import InputError
from core.reporting import Progress
from core.types import Expression

EMPTY: Final = "empty masks"
MIDDLE: Final = "middle of the picture"
FROZEN: Final = "first true mask, frozen"
RANDOM: Final = "a random true object"
BASELINES: Final = (EMPTY, MIDDLE, FROZEN, RANDOM, TRUTH)

Scorer = Callable[[Masks, Masks, Expression], ExpressionScore]
"""(predicted [T, H, W], truth [T, H, W], expression) -> score."""


def mevis_rules(predicted: Masks, truth: Masks, expression: Expression) -> ExpressionScore:
    """MeViS's: in a frame without truth only an empty answer is right."""
    return score_expression(predicted, truth, no_target=not expression.target_ids, kind=expression.kind)


def referred_rules(predicted: Masks, truth: Masks, expression: Expression) -> ExpressionScore:
    """Ref-YouTube-VOS's: DAVIS's J and F in every frame."""
    return score_referred(predicted, truth, expression.kind)


@dataclass
class _Row:
    """The scores of one row of the report."""

    masks: MevisScore = field(default_factory=MevisScore)
    tubes: TubeTotal = field(default_factory=TubeTotal)

    def figures(self) -> Figures:
        tubes = {f"tube_{name}": value for name, value in plain(self.tubes.compute(), "viou", "tiou").items()}
        return plain(self.masks.compute()) | tubes


def evaluate_masks(
    reader: Reader, predictions: Path, choices: Choices, progress: Progress, *, scorer: Scorer = mevis_rules
) -> Report:
    """Score every expression of a split; one without a usable answer scores 0 and is named.

    Raises:
        InputError: when the split hides its masks or has no expressions, or there are no predictions.
        AnnotationError: where the split's own files are malformed.
    """
    if not reader.has_masks:
        raise InputError(f"split {reader.split!r}: expected ground-truth masks, got a split that hides them")
    source = choices.masks(predictions)
    rows = {name: _Row() for name in (RESULT, *(BASELINES if choices.baselines else ()))}
    failures: list[str] = []
    for done, video in enumerate(reader.videos(), start=1):
        size, frames = reader.mask_size(video), len(video.frame_names or ())
        objects = reader.masks(video)
        for expression in video.expressions:
            truth = rle.decode(target_masks(objects, expression, frames, size), size)
            box = _boxes(truth)
            try:
                answer = source.masks(video, expression, size)
                _add(rows[RESULT], scorer(answer, truth, expression), score_tube(_boxes(answer), box))
            except InputError as error:
                failures.append(f"video {video.id!r}, expression {expression.id!r}: {error}")
                failed = failed_expression(no_target=not expression.target_ids, kind=expression.kind)
                _add(rows[RESULT], failed, TubeScore(0.0, 0.0, failed=True))
            if choices.baselines:
                for name, answer in _baselines(video, expression, truth, objects, size):
                    _add(rows[name], scorer(answer, truth, expression), score_tube(_boxes(answer), box))
        progress(done, len(reader))
    parts = {k: plain(f) for k, f in rows[RESULT].masks.by_kind().items() if k}
    return Report({name: row.figures() for name, row in rows.items()}, tuple(failures), parts)


def evaluate_two_protocols(reader: RefVosReader, predictions: Path, choices: Choices, progress: Progress) -> Report:
    """Ref-DAVIS17 by both protocols: a_ is one label map an annotation, b_ each expression alone.

    Raises:
        InputError: when there are no predictions.
        AnnotationError: where the split's own files are malformed.
    """
    source = choices.masks(predictions)
    failures: dict[str, None] = {}

    def result(video: BenchmarkVideo, expression: Expression) -> tuple[bytes, ...] | None:
        try:
            return rle.encode(source.masks(video, expression, reader.mask_size(video)))
        except InputError as error:
            failures[f"video {video.id!r}, expression {expression.id!r}: {error}"] = None
            return None

    def baseline(name: str) -> Callable[[BenchmarkVideo, Expression], tuple[bytes, ...]]:
        def answer(video: BenchmarkVideo, expression: Expression) -> tuple[bytes, ...]:
            size, objects = reader.mask_size(video), reader.masks(video)
            truth = rle.decode(target_masks(objects, expression, len(video.frame_names or ()), size), size)
            return rle.encode(dict(_baselines(video, expression, truth, objects, size))[name])

        return answer

    answers = {RESULT: result} | ({name: baseline(name) for name in BASELINES} if choices.baselines else {})
    rows: dict[str, Figures] = {}
    for name, answer in answers.items():
        found = evaluate_ref_davis(reader, answer, progress)
        a, b = found.one_map, found.each_expression
        rows[name] = {"a_jf": a.jf, "a_j": a.j, "a_f": a.f, "b_jf": b.jf, "b_j": b.j, "b_f": b.f} | plain(
            b, "n", "failures"
        )
    return Report(rows, tuple(failures), rules={"protocols": "A: one map an annotation; B: each expression"})


def _add(row: _Row, score: ExpressionScore, tube: TubeScore) -> None:
    row.masks.update(score)
    row.tubes.update(replace(tube, failed=score.failed))


def _baselines(
    video: BenchmarkVideo,
    expression: Expression,
    truth: Masks,
    objects: Mapping[str, tuple[bytes, ...]],
    size: rle.Size,
) -> Iterator[tuple[str, Masks]]:
    """Name and answer of every baseline, [T, H, W] each."""
    empty = np.zeros_like(truth)
    yield EMPTY, empty
    height, width = size
    middle = empty.copy()
    middle[:, height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    yield MIDDLE, middle
    seen = np.flatnonzero(truth.any(axis=(1, 2)))
    yield FROZEN, np.repeat(truth[seen[:1]], len(truth), axis=0) if len(seen) else empty
    names = sorted(objects)
    chosen = zlib.crc32(f"{video.id}/{expression.id}".encode()) % max(len(names), 1)
    yield RANDOM, rle.decode(objects[names[chosen]], size) if names else empty
    yield TRUTH, truth


def _boxes(masks: Masks) -> Boxes:
    """The boxes x y w h of masks, NaN where empty, [T, 4]."""
    return from_corners(rle.boxes(rle.encode(masks), (masks.shape[1], masks.shape[2])))
