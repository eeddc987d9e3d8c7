"""A folder of box results against a split: every sequence counted, beside baselines that unmask a broken evaluator.

A result that is missing or unreadable scores 0 and is named. A frozen first box that scores well, or true boxes that
do not, say that the evaluation is wrong, whatever the result's figure. Knows readers of tracking datasets and their
metric. Does not know who tracked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.metrics.boxes import Boxes
from benchmarks.metrics.success import (
    Rules,
    SequenceScore,
    SuccessFigures,
    SuccessScore,
    failed_boxes,
    frozen_first,
    middle_box,
    score_boxes,
)
from benchmarks.tracking_protocol import BoxReader, BoxTruth, read_boxes
from core.errors import InputError
from core.reporting import Progress

RESULT: Final = "result"
FROZEN: Final = "frozen first box"
MIDDLE: Final = "middle of the picture"
TRUTH: Final = "true boxes"


@dataclass(frozen=True)
class BoxEvaluation:
    """Figures by name, RESULT first and then the baselines; the result's by attribute; a sentence a failure.

    MIDDLE is there only where the size of every picture is known.
    """

    figures: Mapping[str, SuccessFigures]
    by_attribute: Mapping[str, SuccessFigures]
    failures: tuple[str, ...]


def evaluate_boxes(reader: BoxReader, folder: Path, rules: Rules, progress: Progress) -> BoxEvaluation:
    """Score `folder`/<sequence>.txt for every sequence of a split; boxes counted as the dataset counts them.

    Raises:
        InputError: when there is no folder, or the split hides its boxes.
        AnnotationError: where the split's own files are malformed.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of results, found none")
    scores: dict[str, list[SequenceScore]] = {RESULT: [], FROZEN: [], MIDDLE: [], TRUTH: []}
    failures: list[str] = []
    for done, video in enumerate(reader.videos(), start=1):
        truth = reader.truth(video)
        try:
            score = _score(video.id, read_boxes(folder / f"{video.id}.txt"), truth, rules)
        except InputError as error:  # an unreadable file included
            failures.append(f"sequence {video.id!r}: {error}")
            score = failed_boxes(video.id, truth.attributes)
        scores[RESULT].append(score)
        scores[FROZEN].append(_score(video.id, frozen_first(truth.boxes), truth, rules))
        scores[TRUTH].append(_score(video.id, truth.boxes, truth, rules))
        if truth.size is not None:
            still = middle_box(*truth.size, len(truth.boxes))
            scores[MIDDLE].append(_score(video.id, still, truth, rules))
        progress(done, len(reader))
    complete = {name: SuccessScore(found) for name, found in scores.items() if len(found) == len(scores[RESULT])}
    figures = {name: score.compute() for name, score in complete.items()}
    return BoxEvaluation(figures, complete[RESULT].by_attribute(), tuple(failures))


def _score(name: str, boxes: Boxes, truth: BoxTruth, rules: Rules) -> SequenceScore:
    return score_boxes(name, boxes, truth.boxes, absent=truth.absent, rules=rules, attributes=truth.attributes)
