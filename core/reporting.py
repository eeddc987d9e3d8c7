"""What commands say: tables for people, one last line of JSON for machines, progress on standard error.

Knows rich, and which packages' versions matter to a figure. Does not know any command or metric.
Standard output carries results only; bars and summaries go to standard error.
"""

import json
import math
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from importlib import metadata
from time import monotonic as _clock
from typing import TypeVar

import numpy as np
from rich import progress as bars
from rich.console import Console
from rich.table import Table

from core.errors import InputError

Item = TypeVar("Item")
Figure = float | int | str | bool | np.generic | None
Progress = Callable[[int, int | None], None]
"""What long work calls: progress(done, total), total None while unknown."""

_PACKAGES = ("torch", "sam2", "transformers", "numpy", "tracksift")
_RESERVED = ("device", "versions", "settings")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on standard output; floats get three decimals, None becomes a dash, numbers are right-aligned.

    Raises:
        InputError: when a row has another number of cells than there are columns.
    """
    body = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", title_style="bold")
    for i, column in enumerate(columns):
        numeric = any(isinstance(row[i], int | float | np.number) for row in body if i < len(row))
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in body:
        if len(row) != len(columns):
            raise InputError(f"table {title!r}: expected {len(columns)} cells in a row, got {len(row)}")
        table.add_row(*(_cell(value) for value in row))
    # A pipe has no width; a fixed one keeps logs readable.
    width = None if sys.stdout.isatty() else 120
    Console(file=sys.stdout, width=width, markup=False, highlight=False).print(table)


def emit(figures: Mapping[str, Figure], settings: Mapping[str, object] | None = None) -> None:
    """Print the last line of standard output: `figures` under their flat names, with device, versions and settings.

    Numbers that are not finite become null, since JSON has no NaN.

    Raises:
        InputError: for a figure that is not a plain value, or one named device, versions or settings.
    """
    line: dict[str, object] = {}
    for name, value in figures.items():
        if name in _RESERVED:
            raise InputError(f"figure {name!r}: expected a name other than {', '.join(_RESERVED)}")
        line[name] = _plain(name, value)
    line |= environment()
    line["settings"] = dict(settings or {})
    sys.stdout.flush()
    sys.stdout.write(json.dumps(line, default=str) + "\n")
    sys.stdout.flush()


def environment() -> dict[str, object]:
    """`device` (as `auto` picks it, without a host name) and `versions` (null where a package is not installed)."""
    from core.devices import describe_device, pick_device  # here, because torch takes seconds to import

    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {"device": describe_device(pick_device()), "versions": versions}


@contextmanager
def progress_bar(description: str, total: int | None = None) -> Iterator[Progress]:
    """A bar on standard error as a callback for work that reports `progress(done, total)`.

    On a terminal the bar disappears at the end; elsewhere nothing is drawn. In both cases one line says how
    much was done and how long it took, unless it took less than a second.
    """
    with _bar(description, total, bars.TimeRemainingColumn()) as update:

        def plain(done: int, of: int | None = None) -> None:
            update(done, of, "")

        yield plain


@contextmanager
def noted_bar(description: str) -> Iterator[Callable[[int, int | None, str], None]]:
    """As `progress_bar`, for work that says itself how it goes on: `progress(done, total, note)`."""
    with _bar(description, None, bars.TextColumn("{task.fields[note]}", markup=False)) as update:
        yield update


@contextmanager
def _bar(
    description: str, total: int | None, last_column: bars.ProgressColumn
) -> Iterator[Callable[[int, int | None, str], None]]:
    console, start, last = Console(stderr=True, markup=False), _clock(), 0
    columns = (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
        last_column,
    )
    # Standard output is not redirected: in `command > file` on a terminal, results belong to the file.
    with bars.Progress(
        *columns, console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(description, total=total, note="")

        def update(done: int, of: int | None, note: str) -> None:
            nonlocal last
            last = done
            bar.update(task, completed=done, total=of if of is not None else total, note=note)

        yield update
    seconds = _clock() - start
    if seconds >= 1:
        console.print(f"{description}: {last} in {seconds:.1f} s", highlight=False)


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield `items` under a progress bar; `total` defaults to their length where they have one."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress_bar(description, total) as progress:
        for done, item in enumerate(items, start=1):
            yield item
            progress(done, total)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return "-"
    return f"{value:.3f}" if isinstance(value, float | np.floating) else str(value)


def _plain(name: str, value: Figure) -> float | int | str | bool | None:
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and not math.isfinite(plain):
        return None
    if plain is None or isinstance(plain, float | int | str):
        return plain
    raise InputError(f"figure {name!r}: expected a number or text, got {type(value).__name__}")
