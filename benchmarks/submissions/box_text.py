"""Box results as LaSOT's toolkit reads them: `<sequence>.txt`, a box `x,y,w,h` a frame, counted as the dataset counts.

Knows text files of boxes. Does not know who tracked. T frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.metrics.boxes import Boxes, form, from_corners
from benchmarks.submissions.check import Findings, SubmissionCheck
from benchmarks.tracking_protocol import read_boxes
from core.atomic import atomic_folder
from core.errors import AnnotationError, InputError


def result_boxes(corners: Boxes, origin: int) -> Boxes:
    """Boxes x1 y1 x2 y2 from 0 (an answer's; NaN where absent) -> x y w h from `origin`, NaN as zeros, [T, 4].

    Evaluators read a box of zeros as a frame without a result, and repeat the one before.
    """
    boxes = from_corners(corners)
    boxes[:, :2] += origin
    return np.where(np.isnan(boxes).any(axis=1, keepdims=True), 0.0, boxes)


def write_results(target: Path, results: Iterable[tuple[str, Boxes]]) -> int:
    """Write (sequence, boxes [T, 4] as `result_boxes` makes them) to a folder that is new or replaced; counts files.

    Raises:
        InputError: for boxes of another form or not finite, a name that is no file name, or a second result.
        OutputError: when the folder cannot be written.
    """
    names: set[str] = set()
    with atomic_folder(target) as folder:
        for name, boxes in results:
            if not name.strip() or name in {".", ".."} or any(c in name for c in "/\\\0") or name in names:
                raise InputError(f"result: expected the name of a sequence, each once, got {name[:80]!r}")
            if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
                raise InputError(f"result {name!r}: expected finite boxes [T, 4], got {form(boxes)}")
            lines = (",".join(f"{value:.2f}" for value in box) for box in boxes.tolist())
            (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
            names.add(name)
    return len(names)


def check_results(folder: Path, frames: dict[str, int]) -> SubmissionCheck:
    """What is wrong with a folder of results for sequences of so many frames.

    Raises:
        InputError: when there is no folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of results, found none")
    findings = Findings()
    files = {path.stem: path for path in sorted(folder.glob("*.txt"))}
    for name in files.keys() - frames.keys():
        findings.remark(f"{name}.txt: expected results of the split's sequences alone, got another")
    for name, count in frames.items():
        if name not in files:
            findings.problem(f"{name}.txt: expected a result of every sequence, got none")
            continue
        try:
            boxes = read_boxes(files[name])
        except AnnotationError as error:
            findings.problem(str(error))
            continue
        if len(boxes) < count:
            findings.problem(f"{name}.txt: expected {count} boxes, one a frame, got {len(boxes)}")
        elif len(boxes) > count:
            findings.remark(f"{name}.txt: expected {count} boxes, got {len(boxes)}: the rest is cut")
        unusable = int((~np.isfinite(boxes).all(axis=1) | (boxes[:, 2:] <= 0).any(axis=1)).sum())
        if unusable:
            findings.remark(
                f"{name}.txt: expected boxes with an area, got {unusable} without: the one before is repeated"
            )
    return findings.result(len(files))
