"""Figures that commands printed or logged, as charts: bars of runs beside each other, or curves over steps.

Knows lines of JSON and names of figures. Does not know what was measured. A figure of an object within a line is named
with a dot, as `losses.total`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.charts import Bar, Panel, draw_bars, draw_panels
from core.errors import InputError

MOST_PANELS: Final = 4


@dataclass(frozen=True)
class Run:
    """A file of lines: of one run over time, or a line a run. name: of the file, for people."""

    name: str
    lines: tuple[Mapping[str, Any], ...]


def read_run(path: Path) -> Run:
    """The JSON objects of a file, one a line; other lines, such as a printed table's, are passed over.

    Raises:
        InputError: where the file cannot be read or has no such line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected lines of JSON, got: {error}") from error
    found = tuple(line for line in map(_parsed, text.splitlines()) if line is not None)
    if not found:
        raise InputError(f"{path}: expected lines of JSON, got none")
    return Run(path.stem, found)


def figure(line: Mapping[str, Any], name: str) -> float | None:
    """A number by its dotted name; None where there is none or it is not finite."""
    value: Any = line
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if number else None


def draw_curves(path: Path, runs: Sequence[Run], figures: Sequence[str], x: str) -> None:
    """A panel a figure, a line a run, over the figure `x`.

    Raises:
        InputError: for more panels than fit, or a figure that no line has beside `x`.
        OutputError: when the file cannot be written.
    """
    if len(figures) > MOST_PANELS:
        raise InputError(f"--figure: expected {MOST_PANELS} curves at most, got {len(figures)}")
    panels = []
    for name in figures:
        series = {run.name: _points(run, x, name) for run in runs}
        _check_known(name, any(series.values()), f"beside {x!r}")
        panels.append(Panel(name, series, x))
    draw_panels(path, panels)


def draw_runs(path: Path, runs: Sequence[Run], figures: Sequence[str], label: str | None) -> None:
    """A panel of bars a figure, a bar a line.   label: dotted name of what a bar is called; by default its file's name.

    Raises:
        InputError: for a figure that no line has, or two bars of one name.
        OutputError: when the file cannot be written.
    """
    named: dict[str, Mapping[str, Any]] = {}
    for run in runs:
        for number, line in enumerate(run.lines, start=1):
            name = _label(line, label) if label else run.name if len(run.lines) == 1 else f"{run.name} {number}"
            if name in named:
                raise InputError(f"--label: expected a name of its own for each line, got {name!r} twice")
            named[name] = line
    panels = {wanted: [Bar(name, figure(line, wanted)) for name, line in named.items()] for wanted in figures}
    for wanted, bars in panels.items():
        _check_known(wanted, any(bar.value is not None for bar in bars), "")
    draw_bars(path, panels)


def _points(run: Run, x: str, name: str) -> list[tuple[float, float]]:
    pairs = [(figure(line, x), figure(line, name)) for line in run.lines]
    return [(across, up) for across, up in pairs if across is not None and up is not None]


def _check_known(name: str, known: bool, where: str) -> None:
    if not known:
        raise InputError(f"--figure: expected one that a line has {where}".rstrip() + f", got {name!r}")


def _label(line: Mapping[str, Any], name: str) -> str:
    value: Any = line
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if not isinstance(value, str | int | float):
        raise InputError(f"--label: expected a name or number in each line, got none at {name!r}")
    return str(value)


def _parsed(text: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
