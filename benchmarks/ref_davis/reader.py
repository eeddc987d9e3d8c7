"""Reads Ref-DAVIS17 as its converter writes it: Ref-YouTube-VOS's layout, four expressions an object.

An object's expressions come in the order first frame and full video of annotator 1, then of annotator 2. Names
of sequences are those of the converted file. Does not know protocols: `benchmarks.metrics.ref_davis` has both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.protocol import BenchmarkVideo
from benchmarks.ref_youtube_vos.reader import RefVosReader, open_ref_youtube_vos
from core.errors import AnnotationError
from core.types import Expression

ANNOTATIONS: Final = 4  # two annotators, each of the first frame and of the full video
FPS: Final = 24.0


def open_ref_davis(root: Path, split: str = "valid") -> RefVosReader:
    """Open a split; the errors are those of `open_ref_youtube_vos`."""
    return open_ref_youtube_vos(root, split, "ref_davis", FPS)


def by_annotator(video: BenchmarkVideo) -> tuple[Mapping[str, Expression], ...]:
    """For each of the four annotations: object id -> expression.

    Raises:
        AnnotationError: when an object has no four expressions.
    """
    found: dict[str, list[Expression]] = {}
    for expression in video.expressions:
        for target in expression.target_ids or ():
            found.setdefault(target, []).append(expression)
    wrong = {i: len(e) for i, e in found.items() if len(e) != ANNOTATIONS}
    if wrong or not found:
        raise AnnotationError(f"video {video.id!r}: expected four expressions an object, got {wrong or 'no object'}")
    return tuple({i: e[k] for i, e in found.items()} for k in range(ANNOTATIONS))
