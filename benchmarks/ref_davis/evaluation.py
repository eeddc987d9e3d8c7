"""Answers to Ref-DAVIS17's expressions by both protocols at once, so that neither is quoted for the other.

Knows the reader and the metrics. Does not know who answered. T frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.davis import Task, failed_sequence, score_sequence
from benchmarks.metrics.mevis_score import MevisFigures, MevisScore, failed_expression, score_expression
from benchmarks.metrics.ref_davis import RefDavisFigures, RefDavisScore, label_map
from benchmarks.protocol import BenchmarkVideo
from benchmarks.ref_davis.reader import by_annotator
from benchmarks.ref_youtube_vos.reader import RefVosReader
from core import rle
from core.errors import InputError
from core.reporting import Progress
from core.types import Expression

AnswerOf = Callable[[BenchmarkVideo, Expression], Sequence[bytes] | None]
"""T COCO masks of the video's size; None where there is no answer."""


@dataclass(frozen=True)
class RefDavisEvaluation:
    """one_map: protocol A, annotators apart and averaged.   each_expression: protocol B.   failures: a sentence each.

    An expression without an answer scores 0 by B; by A its object is left to the other proposals, as an empty mask is,
    and an annotation without any answer scores 0.
    """

    one_map: RefDavisFigures
    each_expression: MevisFigures
    failures: tuple[str, ...]


def evaluate_ref_davis(reader: RefVosReader, answer: AnswerOf, progress: Progress) -> RefDavisEvaluation:
    """Ask for the answer to every expression of the split and score all.

    Raises:
        AnnotationError: where label maps are missing or malformed, or an object has no four expressions.
        InputError: for an answer of another number of frames or size.
    """
    one_map, each, failures = RefDavisScore(), MevisScore(), list[str]()
    for done, video in enumerate(reader.videos(), start=1):
        labels = reader.labels(video)
        scores = {}
        for number, expressions in enumerate(by_annotator(video)):
            answers = {i: _masks(video, e, answer(video, e), labels.shape) for i, e in expressions.items()}
            failures += [
                f"video {video.id!r}, expression {expressions[i].id!r}: expected an answer, got none"
                for i, masks in answers.items()
                if masks is None
            ]
            for target, masks in answers.items():
                truth = labels == int(target)
                failed = failed_expression(no_target=False)
                each.update(failed if masks is None else score_expression(masks, truth, no_target=False))
            scores[number] = (
                score_sequence(video.id, _map(answers, labels.shape), labels, Task.UNSUPERVISED)
                if any(masks is not None for masks in answers.values())
                else failed_sequence(video.id, labels, Task.UNSUPERVISED)
            )
        one_map.update(scores)
        progress(done, len(reader))
    return RefDavisEvaluation(one_map.compute(), each.compute(), tuple(failures))


def _masks(
    video: BenchmarkVideo, expression: Expression, counts: Sequence[bytes] | None, shape: tuple[int, ...]
) -> NDArray[np.bool_] | None:
    if counts is None:
        return None
    if len(counts) != shape[0]:
        place = f"video {video.id!r}, expression {expression.id!r}"
        raise InputError(f"{place}: expected {shape[0]} masks, one a frame, got {len(counts)}")
    return rle.decode(counts, (shape[1], shape[2]))


def _map(answers: Mapping[str, NDArray[np.bool_] | None], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The label map of one annotation's answers."""
    empty = np.zeros(shape, dtype=np.bool_)
    return label_map([empty if masks is None else masks for masks in answers.values()])
