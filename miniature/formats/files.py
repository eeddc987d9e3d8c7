"""Small text files of annotations, and which part of a dataset they belong to.

Knows JSON and lines. Does not know any dataset.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any


class Role(StrEnum):
    """What a split is for: its files are named as the authors name those of their own."""

    TRAIN = "train"
    EVALUATION = "evaluation"


def role_of(split: str) -> Role:
    """`train` and `calib` are to learn from; every other split is to evaluate on."""
    return Role.TRAIN if split in ("train", "calib") else Role.EVALUATION


def write_json(path: Path, value: Any) -> None:
    """One JSON value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_json_lines(path: Path, values: Iterable[Any]) -> None:
    """A JSON value a line."""
    write_lines(path, (json.dumps(v) for v in values))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """A text a line; an empty file for none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
