"""ActivityNet's dense-caption submissions, as densevid_eval takes them.

`{"version", "results": {video: [{"sentence", "timestamp"}]}, "external_data": {"used", "details"}}`. Knows this format.
Does not know how captions are scored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from benchmarks.annotation_files import Entry, Window, entries, validated
from core.atomic import atomic_path
from core.errors import AnnotationError, InputError

VERSION: Final = "VERSION 1.0"
MOST: Final = 1000  # captions of a video; the evaluator cuts the rest

Said = tuple[NDArray[np.float64], tuple[str, ...]]
"""Segments [K, 2] in seconds and K captions."""


class _Caption(Entry):
    sentence: str
    timestamp: Window


class _External(Entry):
    used: bool
    details: Annotated[str, Field(max_length=10_000)] = ""


def read_submission(path: Path) -> dict[str, Said]:
    """Captions by video id.

    Raises:
        AnnotationError: where a key is missing or an entry malformed; names file and key.
    """
    path = Path(path)
    whole = entries(path, dict)
    for key in ("version", "results", "external_data"):
        if key not in whole:
            raise AnnotationError(f"{path}: expected a key {key!r}, which the evaluator requires, got none")
    validated(_External, whole["external_data"], f"{path}: external_data")
    if not isinstance(whole["results"], dict):
        raise AnnotationError(f"{path}: results: expected an object of videos, got {type(whole['results']).__name__}")
    found: dict[str, Said] = {}
    for video, listed in whole["results"].items():
        if not isinstance(listed, list):
            raise AnnotationError(f"{path}: results.{video}: expected an array, got {type(listed).__name__}")
        said = [validated(_Caption, value, f"{path}: results.{video}.{i}") for i, value in enumerate(listed)]
        segments = np.array([s.timestamp for s in said], dtype=np.float64).reshape(-1, 2)
        found[video] = (segments, tuple(s.sentence for s in said))
    return found


def write_submission(path: Path, captions: Mapping[str, Said], external_data: str = "") -> None:
    """Write captions by video id; `external_data` says what else the model was trained on, "" for nothing.

    Raises:
        InputError: where captions are not as many as segments, or more than the evaluator reads.
    """
    results: dict[str, Sequence[dict[str, object]]] = {}
    for video, (segments, sentences) in captions.items():
        if not len(segments) == len(sentences) <= MOST:
            raise InputError(
                f"video {video!r}: expected one caption a segment, at most {MOST}, got {len(sentences)} "
                f"for {len(segments)}"
            )
        pairs = zip(segments.tolist(), sentences, strict=True)
        results[video] = [{"sentence": sentence, "timestamp": segment} for segment, sentence in pairs]
    external = {"used": bool(external_data), "details": external_data}
    with atomic_path(path) as temporary:
        temporary.write_text(
            json.dumps({"version": VERSION, "results": results, "external_data": external}), encoding="utf-8"
        )
