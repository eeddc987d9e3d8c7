"""What every evaluation gives: figures of the result, of baselines beside it, of its parts, and what failed.

A baseline that looks at nothing and scores well, or the truth itself scoring badly, says that an evaluator is broken,
whatever the result's figure. Knows names and numbers. Does not know metrics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from benchmarks.caption_scores import Tokeniser
from benchmarks.evaluation.mask_files import MaskSource, open_mask_files
from core.reporting import Figure, Progress

RESULT: Final = "result"
TRUTH: Final = "the truth itself"

Figures = Mapping[str, Figure]
"""Plain values by name; shares in 0..1, "n" what was scored and "failures" how much of it had no usable answer."""


@dataclass(frozen=True)
class Report:
    """rows: figures by name, RESULT first and then the baselines, all with the same figures.

    parts: the result's figures by part (kind of expression, length of window, attribute).   failures: a sentence each;
    every failure is counted in the figures as the least.   rules: what the figures stand on, for the record.
    """

    rows: Mapping[str, Figures]
    failures: tuple[str, ...] = ()
    parts: Mapping[str, Figures] = field(default_factory=dict)
    rules: Mapping[str, Figure] = field(default_factory=dict)

    def flat(self) -> dict[str, Figure]:
        """All figures under one name each: the result's as they are, others after the name of their row or part."""
        flat: dict[str, Figure] = dict(self.rows[RESULT])
        for name, figures in (*((n, f) for n, f in self.rows.items() if n != RESULT), *self.parts.items()):
            flat |= {f"{_slug(name)}_{key}": value for key, value in figures.items()}
        return flat | dict(self.rules)


@dataclass(frozen=True)
class Choices:
    """What a caller may choose.

    baselines: whether to score them.   tokeniser and meteor: for captions; METEOR and SODA_c need Java.
    ratings: a file of a judge's ratings of timed answers; None for `benchmarks.judges`' shared words.
    masks: how predicted masks are opened.
    """

    baselines: bool = True
    tokeniser: Tokeniser = Tokeniser.PLAIN
    meteor: bool = False
    ratings: Path | None = None
    masks: Callable[[Path], MaskSource] = open_mask_files


Evaluator = Callable[[Any, Path, Choices, Progress], Report]
"""(reader, predictions, choices, progress) -> report."""


def plain(figures: Any, *names: str) -> dict[str, Figure]:
    """The fields of a dataclass of figures that are plain values, all or those named."""
    wanted = names or tuple(f.name for f in fields(figures))
    values = {name: getattr(figures, name) for name in wanted}
    return {name: value for name, value in values.items() if value is None or isinstance(value, int | float | str)}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
