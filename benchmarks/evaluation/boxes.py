"""A folder of box results of a split: success and precision by the dataset's rules, or GOT-10k's AO and SR.

Knows readers of tracking datasets and their metrics. Does not know who tracked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.box_evaluation import FROZEN, MIDDLE, evaluate_boxes
from benchmarks.box_evaluation import RESULT as BOX_RESULT
from benchmarks.box_evaluation import TRUTH as BOX_TRUTH
from benchmarks.evaluation.report import RESULT, TRUTH, Choices, Report, plain
from benchmarks.metrics.boxes import Boxes
from benchmarks.metrics.general_overlap import OverlapTotal, score_overlap
from benchmarks.metrics.success import OTB, Rules, frozen_first, middle_box
from benchmarks.tracking_protocol import BoxReader, BoxTruth, read_boxes
from core.errors import AnnotationError, InputError
from core.reporting import Progress

_NAMES: Final = {BOX_RESULT: RESULT, BOX_TRUTH: TRUTH}


def evaluate_success(
    reader: BoxReader, predictions: Path, choices: Choices, progress: Progress, *, rules: Rules = OTB
) -> Report:
    """AUC, precision and normalised precision; errors as `evaluate_boxes`."""
    found = evaluate_boxes(reader, predictions, rules, progress)
    rows = {
        _NAMES.get(name, name): plain(figures)
        for name, figures in found.figures.items()
        if choices.baselines or name == BOX_RESULT
    }
    parts = {name: plain(figures) for name, figures in found.by_attribute.items()}
    return Report(
        rows, found.failures, parts, {"first_frame": rules.first_frame.value, "unusable": rules.unusable.value}
    )


def evaluate_overlap(reader: BoxReader, predictions: Path, choices: Choices, progress: Progress) -> Report:
    """GOT-10k's AO and SR; a result that is missing or unreadable scores 0 in all its frames and is named.

    Raises:
        InputError: when there is no folder of results, or the split hides its boxes.
        AnnotationError: where the split's own files are malformed, or do not say how large a picture is.
    """
    if not predictions.is_dir():
        raise InputError(f"{predictions}: expected a folder of results, found none")
    totals = {name: OverlapTotal() for name in (RESULT, *((FROZEN, MIDDLE, TRUTH) if choices.baselines else ()))}
    failures: list[str] = []
    for done, video in enumerate(reader.videos(), start=1):
        truth = reader.truth(video)
        if truth.size is None:
            raise AnnotationError(f"video {video.id!r}: expected the picture's size in meta_info.ini, found none")
        if not np.isfinite(truth.boxes).all():
            raise InputError(f"video {video.id!r}: expected true boxes, got none: split {reader.split!r} hides them")
        try:
            said: Boxes | None = _result(predictions, video.id, len(truth.boxes))
        except InputError as error:
            failures.append(f"sequence {video.id!r}: {error}")
            said = None
        for name, boxes in ((RESULT, said), *(_baselines(truth) if choices.baselines else ())):
            totals[name].update(score_overlap(video.id, boxes, truth.boxes, truth.cover, truth.size))
        progress(done, len(reader))
    return Report({name: plain(total.compute()) for name, total in totals.items()}, tuple(failures))


def _result(folder: Path, name: str, frames: int) -> Boxes:
    """A result of so many frames; surplus ones are cut."""
    boxes = read_boxes(folder / f"{name}.txt")[:frames]
    if len(boxes) < frames or not np.isfinite(boxes).all():
        raise InputError(f"{folder / name}.txt: expected {frames} finite boxes, one a frame, got {len(boxes)}")
    return boxes


def _baselines(truth: BoxTruth) -> Iterator[tuple[str, Boxes]]:
    assert truth.size is not None
    yield FROZEN, frozen_first(truth.boxes)
    yield MIDDLE, middle_box(*truth.size, len(truth.boxes))
    yield TRUTH, truth.boxes
