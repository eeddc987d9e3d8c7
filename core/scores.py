"""Score files: TrackScores, MomentScores and BoxScores as JSON lines, the format of `core/SCORES.md`.

Knows the three types and their lines. Does not know who scores, or what becomes of a score.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.atomic import atomic_path
from core.errors import InputError
from core.types import BoxScores, MomentScores, TimeSpan, TrackScores
from core.validators import check_rising

FORMAT: Final = 1
Scores = TrackScores | MomentScores | BoxScores

_COMMON: Final = frozenset({"format", "kind", "video", "expression", "scorer", "cache"})
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "tracks": _COMMON | {"probability", "presence"},
    "moments": _COMMON | {"times", "relevance", "spans", "text"},
    "boxes": _COMMON | {"frames", "boxes", "probability"},
}
_KINDS: Final[Mapping[type[Scores], str]] = {TrackScores: "tracks", MomentScores: "moments", BoxScores: "boxes"}


def write_scores(path: Path, scores: Iterable[Scores]) -> int:
    """Write a score file, whole or not at all; returns the number of lines.

    Raises:
        InputError: when a kind, video and expression come twice.
        OutputError: when the file cannot be written.
    """
    seen: set[tuple[str, str, str]] = set()
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as handle:
        for score in scores:
            line = to_line(score)
            _once(seen, line, str(path))
            handle.write(json.dumps(line, allow_nan=False) + "\n")
    return len(seen)


def read_scores(path: Path) -> Iterator[Scores]:
    """The scores of a file in its order, a line in memory at a time.

    Raises:
        InputError: when the file cannot be read or a line is not as SCORES.md says; names file, line and key.
    """
    seen: set[tuple[str, str, str]] = set()
    number = 0
    try:
        with Path(path).open(encoding="utf-8", newline="\n") as handle:
            for number, text in enumerate(handle, start=1):
                if text.strip():
                    line = _object(text, f"{path}: line {number}")
                    yield from_line(line, f"{path}: line {number}")
                    _once(seen, line, f"{path}: line {number}")
    except OSError as error:
        raise InputError(f"{path}: expected a readable score file, got {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: after line {number}: expected UTF-8 text, got {error.reason}") from error


def to_line(score: Scores) -> dict[str, Any]:
    """The JSON object of one score."""
    line: dict[str, Any] = {"format": FORMAT, "kind": _KINDS[type(score)]}
    line |= {"video": score.video_id, "expression": score.expression_id, "scorer": score.scorer, "cache": score.cache}
    if isinstance(score, TrackScores):
        return line | {"probability": score.probability.tolist(), "presence": score.presence}
    if isinstance(score, BoxScores):
        boxes = [None if np.isnan(box).any() else box.tolist() for box in score.boxes]
        return line | {"frames": score.frames.tolist(), "boxes": boxes, "probability": score.probability.tolist()}
    spans = [[span.start, span.end, span.score] for span in score.spans]
    return line | {
        "times": score.times.tolist(),
        "relevance": score.relevance.tolist(),
        "spans": spans,
        "text": score.text,
    }


def from_line(line: Mapping[str, Any], place: str) -> Scores:
    """The score of one JSON object; `place` names it in errors.

    Raises:
        InputError: when it is not as SCORES.md says.
    """
    _check_keys(line, place)
    names = {key: _text(line[key], f"{place}: {key}") for key in ("video", "expression", "scorer", "cache")}
    if not names["video"].strip() or not names["expression"].strip():
        raise InputError(f"{place}: expected ids of a video and an expression, got a blank one")
    ids = (names["video"], names["expression"])
    hashes = {"scorer": names["scorer"], "cache": names["cache"]}
    read = {key: _numbers(line[key], f"{place}: {key}") for key in ("probability", "times", "relevance") if key in line}
    try:
        if line["kind"] == "tracks":
            presence = float(_numbers([line["presence"]], f"{place}: presence")[0])
            return TrackScores(*ids, read["probability"], presence, **hashes)
        if line["kind"] == "boxes":
            frames, boxes = _frames(line["frames"], f"{place}: frames"), _boxes(line["boxes"], f"{place}: boxes")
            return BoxScores(*ids, frames, boxes, read["probability"], **hashes)
        check_rising("moment times", read["times"])
        text, spans = _text(line["text"], f"{place}: text"), _spans(line["spans"], f"{place}: spans")
        return MomentScores(*ids, read["times"], read["relevance"], spans, text, **hashes)
    except InputError as error:
        if str(error).startswith(place):
            raise
        raise InputError(f"{place}: {error}") from error


def _check_keys(line: Mapping[str, Any], place: str) -> None:
    version, kind = line.get("format"), line.get("kind")
    if type(version) is not int or version < 1:
        raise InputError(f"{place}: format: expected {FORMAT}, got {version!r}")
    if version > FORMAT:
        raise InputError(f"{place}: format: expected up to {FORMAT}, got {version} of a newer TrackSift")
    keys = _KEYS.get(kind) if isinstance(kind, str) else None
    if keys is None:
        raise InputError(f"{place}: kind: expected one of {', '.join(_KEYS)}, got {str(kind)[:80]!r}")
    absent, unknown = sorted(keys - line.keys()), sorted(line.keys() - keys)
    if absent or unknown:
        raise InputError(f"{place}: expected the keys of {kind!r}, got none named {absent} and unknown {unknown}")


def _object(text: str, place: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: expected a JSON object, got {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{place}: expected a JSON object, got {type(value).__name__}")
    return value


def _once(seen: set[tuple[str, str, str]], line: Mapping[str, Any], place: str) -> None:
    key = (line["kind"], line["video"], line["expression"])
    if key in seen:
        raise InputError(f"{place}: expected one score of a kind, video and expression, got {key} twice")
    seen.add(key)


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{place}: expected text, got {type(value).__name__}")
    return value


def _numbers(value: Any, place: str) -> NDArray[np.float64]:
    """A list of finite numbers, bool excluded."""
    if not isinstance(value, list) or any(type(number) not in {int, float} for number in value):
        raise InputError(f"{place}: expected a list of numbers, got {str(value)[:80]}")
    try:
        array = np.array(value, dtype=np.float64)
    except OverflowError as error:
        raise InputError(f"{place}: expected finite numbers, got one too large") from error
    if not np.isfinite(array).all():
        raise InputError(f"{place}: expected finite numbers, got one that is not")
    return array


def _spans(value: Any, place: str) -> tuple[TimeSpan, ...]:
    if not isinstance(value, list) or not all(isinstance(span, list) and len(span) == 3 for span in value):
        raise InputError(f"{place}: expected a list of [start, end, score], got {str(value)[:80]}")
    spans = []
    for i, (start, end, score) in enumerate(value):
        edges = _numbers([start, end], f"{place}.{i}")
        number = None if score is None else float(_numbers([score], f"{place}.{i}")[0])
        spans.append(TimeSpan(float(edges[0]), float(edges[1]), number))
    return tuple(spans)


def _frames(value: Any, place: str) -> NDArray[np.int64]:
    if not isinstance(value, list) or any(type(number) is not int or abs(number) >= 2**53 for number in value):
        raise InputError(f"{place}: expected a list of frame indices, got {str(value)[:80]}")
    return np.array(value, dtype=np.int64)


def _boxes(value: Any, place: str) -> NDArray[np.float64]:
    """Boxes [K, 4], NaN for null."""
    if not isinstance(value, list) or any(box is not None and np.shape(box) != (4,) for box in value):
        raise InputError(f"{place}: expected a list of [x1, y1, x2, y2] or null, got {str(value)[:80]}")
    rows = [np.full(4, np.nan) if box is None else _numbers(box, f"{place}.{i}") for i, box in enumerate(value)]
    return np.array(rows, dtype=np.float64).reshape(-1, 4)
