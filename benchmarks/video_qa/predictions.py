"""Predicted answers to video questions: a JSON object id -> answer, or an array or lines of {id, pred}.

"id" may be "question_id", and "pred" may be "prediction" or "answer". Knows these forms. Does not know questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.annotation_files import once, read_json, read_json_lines
from core.errors import AnnotationError

IDS: Final = ("question_id", "id")
ANSWERS: Final = ("pred", "prediction", "answer")


def read_answers(path: Path) -> dict[str, str]:
    """Answers by question id.

    Raises:
        AnnotationError: where an entry is of another form or an id comes twice; names file and place.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    for place, identifier, answer in _rows(Path(path)):
        if not isinstance(answer, str):
            raise AnnotationError(f"{place}: expected an answer as text, got {type(answer).__name__}")
        once(seen, identifier, place)
        found[identifier] = answer
    return found


def _rows(path: Path) -> Iterator[tuple[str, str, Any]]:
    if path.suffix == ".jsonl":
        yield from (_entry(place, value) for place, value in read_json_lines(path))
        return
    whole = read_json(path)
    if isinstance(whole, dict):
        yield from ((f"{path}: {key}", key, value) for key, value in whole.items())
    elif isinstance(whole, list):
        yield from (_entry(f"{path}: entry {i}", value) for i, value in enumerate(whole))
    else:
        raise AnnotationError(f"{path}: expected an object or an array of answers, got {type(whole).__name__}")


def _entry(place: str, value: Any) -> tuple[str, str, Any]:
    if not isinstance(value, dict):
        raise AnnotationError(f"{place}: expected an object, got {type(value).__name__}")
    identifier = next((value[key] for key in IDS if key in value), None)
    said = next((key for key in ANSWERS if key in value), None)
    if said is None or not isinstance(identifier, str | int):
        raise AnnotationError(f"{place}: expected an id and a pred, got keys {sorted(value)[:8]}")
    return place, str(identifier), value[said]
