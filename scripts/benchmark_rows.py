"""The rows of `tracksift benchmark proposals --row`.

Knows flags and tables. Does not know what is timed.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import typer

from core import reporting
from core.errors import InputError

ROWS = ("A", "B", "memory", "long", "profile", "profile-B", "keys", "parity")
TOP = 30  # kernels of a profile that are shown


class RowChoice(NamedTuple):
    """The flags of a row of the speed table."""

    row: str
    size: str
    objects: int | None
    frames: int | None
    repeats: int
    compiled: bool
    replayed: bool
    alone: bool
    feature_gib: float | None
    host_gib: float | None

    def resources(self, compiled: bool) -> Any:
        """What the row runs with; small budgets where memory is the question, so that every tier is used."""
        from proposals.settings import Resources

        small = self.row in ("memory", "long")
        device = self.feature_gib if self.feature_gib is not None else (0.5 if small else 16)
        host = self.host_gib if self.host_gib is not None else (1 if small else 16)
        return Resources(
            encoder_batch=16, compiled=compiled, replayed=self.replayed and compiled, feature_bytes=int(device * 2**30),
            host_bytes=int(host * 2**30),
        )  # fmt: skip


def time_row(choice: RowChoice, device: str) -> None:
    """Time what a row stands for; its table and figures on standard output.

    Raises:
        InputError: for a row or size that is none.
    """
    from core.devices import pick_device

    if choice.row not in ROWS:
        raise InputError(f"--row: expected one of {', '.join(ROWS)}, got {choice.row!r}")
    resources = choice.resources(choice.compiled)
    settings = {"benchmark": "proposals", "weights": "random", **choice._asdict()}
    if choice.row == "long":
        # Compilation pays for large models alone.
        _time_long(choice, choice.resources(compiled=False), device, settings | {"weights": "miniature"})
    elif choice.row == "parity":
        _compare_precisions(device, settings)
    elif choice.row == "memory":
        _time_memory(choice, resources, pick_device(device), settings)
    elif choice.row == "keys":
        _time_keys(choice.objects or 64, pick_device(device), settings)
    elif choice.row in ("profile", "profile-B"):
        _time_kernels(choice, resources, pick_device(device), settings)
    else:
        _time_ways(choice, resources, pick_device(device), settings)


def _time_ways(choice: RowChoice, resources: Any, device: Any, settings: dict[str, Any]) -> None:
    from proposals.benchmark.rows import RowSettings, run_row

    objects, frames = choice.objects or 64, choice.frames or 24
    row = RowSettings(choice.row, choice.size, objects, frames, choice.repeats, choice.alone, resources)
    with reporting.progress_bar(f"row {choice.row}", None) as bar:
        figures = run_row(row, device, bar)
    title = f"row {choice.row}: {choice.size}, {objects} objects, {frames} frames"
    show(title, figures, settings | {"objects": objects, "frames": frames})


def _time_memory(choice: RowChoice, resources: Any, device: Any, settings: dict[str, Any]) -> None:
    from proposals.benchmark.memory import CROWDS, LENGTHS, run_grid

    lengths = (choice.frames,) if choice.frames else LENGTHS
    crowds = (choice.objects,) if choice.objects else CROWDS

    def told(row: Mapping[str, Any]) -> None:
        """Each row as it is there, since all of them take long."""
        typer.echo(json.dumps(row), err=True)

    with reporting.progress_bar("memory", len(lengths) * len(crowds)) as bar:
        rows = run_grid(choice.size, lengths, crowds, resources, device, bar, told)
    reporting.print_table(f"memory: {choice.size}, random weights", list(rows[0]), [list(row.values()) for row in rows])
    figures = {f"{row['objects']}x{row['frames']}_{key}": value for row in rows for key, value in row.items()}
    reporting.emit(figures, settings)


def _time_long(choice: RowChoice, resources: Any, device: str, settings: dict[str, Any]) -> None:
    from miniature.benchmarks import follow_long
    from tracksift.ask import Pipeline

    frames, objects = choice.frames or 10_000, choice.objects or 64
    with reporting.progress_bar("long clip", None):
        course = follow_long(Pipeline(device=device), frames, objects, resources)
    columns = list(course.rows[0])
    title = f"miniature: {objects} objects over {frames} frames, peaks of each part of the sweeps"
    reporting.print_table(title, columns, [list(row.values()) for row in course.rows])
    reporting.emit(course.whole, settings)


def _time_kernels(choice: RowChoice, resources: Any, device: Any, settings: dict[str, Any]) -> None:
    from proposals.benchmark.kernels import profile_kernels

    objects = choice.objects or 64
    with reporting.progress_bar("profile", None):
        kernels, clock = profile_kernels(choice.size, objects, resources, device, mixed=choice.row == "profile-B")
    columns = ["kernel", "ms a frame", "calls a frame", "share"]
    reporting.print_table(f"profile: {choice.size}, {objects} objects", columns, kernels[:TOP])
    figures = {"busy_frame_ms": sum(ms for _, ms, _, _ in kernels), "profiled_frame_ms": clock, "kernels": len(kernels)}
    reporting.emit(figures, settings | {"objects": objects})


def _time_keys(objects: int, device: Any, settings: dict[str, Any]) -> None:
    from proposals.benchmark.kernels import time_keys

    found = time_keys(device, objects)
    columns = ["rows a program", "objects a program", "warps", "ms"]
    reporting.print_table(f"keys of one layer, {objects} objects", columns, found)
    reporting.emit({f"{r}_{o}_{w}_ms": ms for r, o, w, ms in found}, settings | {"objects": objects})


def _compare_precisions(device: str, settings: dict[str, Any]) -> None:
    from core.devices import pick_device
    from proposals.benchmark.parity import compare_weights
    from tracksift.ask import Pipeline

    with reporting.progress_bar("parity", None):
        rows = compare_weights(Pipeline(device=device).tracker.model, pick_device(device))
    reporting.print_table("bfloat16: ours and the package's", list(rows[0]), [list(row.values()) for row in rows])
    figures = {f"{row['weights']}: {row['choice']}": row["cosine"] for row in rows}
    reporting.emit(figures, settings | {"weights": "miniature and random"})


def show(title: str, figures: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Figures as a table and as the last line."""
    reporting.print_table(title, ["figure", "value"], list(figures.items()))
    reporting.emit(figures, settings)
