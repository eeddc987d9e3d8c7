"""Annotation files as JSON values, JSON lines or text lines; every fault is one sentence that names file and place.

Knows encodings, JSON and pydantic models. Does not know any dataset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import AnnotationError

LONGEST: Final = 1_000_000.0  # seconds, eleven days: beyond it a number is a mistake, not a time

LONGEST_NAME: Final = 200  # bytes of a file's name without its suffix: file systems hold 255

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")

Seconds = Annotated[float, Field(ge=0, le=LONGEST, allow_inf_nan=False)]
Window = Annotated[list[Seconds], Field(min_length=2, max_length=2)]
"""Start and end in seconds, as annotation files write them."""
Text = Annotated[str, Field(min_length=1, pattern=r"\S")]

Model = TypeVar("Model", bound=BaseModel)


class Entry(BaseModel):
    """Base of the models of one entry: no silent conversions; keys that are not named are ignored."""

    model_config = ConfigDict(strict=True)


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        AnnotationError: when the file cannot be read or is no UTF-8 JSON, or an object has a key twice or a number is
            none (NaN, Infinity).
    """
    return _parse(read_text(path), str(path))


def read_json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """(place, value) of each line that is not blank, one line in memory at a time; the place names file and line.

    Raises:
        AnnotationError: as `read_json`, with the line.
    """
    for place, line in read_lines(path):
        yield place, _parse(line, place)


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """(place, text) of each line that is not blank, without its line end (LF or CRLF).

    Raises:
        AnnotationError: when the file cannot be read or is not UTF-8 without a byte order mark.
    """
    number = 0
    try:
        with path.open(encoding="utf-8", newline="\n") as handle:
            for number, line in enumerate(handle, start=1):
                if number == 1:
                    _refuse_mark(line, path)
                if line.strip():
                    yield f"{path}: line {number}", line.rstrip("\r\n")
    except OSError as error:
        raise AnnotationError(f"{path}: expected a readable file, got {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: after line {number}: expected UTF-8 text, got {error.reason}") from error


def read_text(path: Path) -> str:
    """The whole file; AnnotationError when it cannot be read or is not UTF-8 without a byte order mark."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise AnnotationError(f"{path}: expected a readable file, got {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: byte {error.start}: expected UTF-8 text, got {error.reason}") from error
    _refuse_mark(text, path)
    return text


def validated(model: type[Model], value: Any, place: str) -> Model:
    """`value` as `model`; AnnotationError that names the place and the first key at fault."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "(whole entry)"
        message = first["msg"].split(" or instance of ")[0]  # names of our classes say nothing to a reader
        raise AnnotationError(f"{place}: {key}: {message}, got {_short(first['input'])}") from error


def entries(path: Path, kind: type[dict[str, Any]] | type[list[Any]], *keys: str) -> Any:
    """The object or array of a JSON file, or the one under `keys`; AnnotationError where it is something else."""
    value, place = read_json(path), str(path)
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            raise AnnotationError(f"{place}: expected a key {key!r}, got {_short(value)}")
        value, place = value[key], f"{place}: {key}"
    if not isinstance(value, kind):
        names = {dict: "an object", list: "an array"}
        raise AnnotationError(f"{place}: expected {names[kind]}, got {_short(value)}")
    return value


def check_window(window: list[float], place: str, *, instant: bool = False) -> None:
    """Refuse a window that ends before it starts or, unless `instant`, lasts no time."""
    if not (window[0] < window[1] or (instant and window[0] == window[1])):
        sign = "<=" if instant else "<"
        raise AnnotationError(f"{place}: expected start {sign} end in seconds, got {window[0]}..{window[1]}")


def check_name(name: str, place: str) -> None:
    """Refuse what cannot be the name of one file or folder, or would lead elsewhere."""
    plain = name.strip() and name not in {".", ".."} and name.isprintable() and not any(c in name for c in "/\\")
    if not plain or len(name.encode("utf-8", "replace")) > LONGEST_NAME:
        raise AnnotationError(f"{place}: expected names of a folder and its frames, got {_short(name)}")


def once(seen: set[str], identifier: str, place: str) -> None:
    """Remember an id; AnnotationError when it was there before."""
    if identifier in seen:
        raise AnnotationError(f"{place}: expected each id once, got {identifier!r} again")
    seen.add(identifier)


def _parse(text: str, place: str) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_distinct(place), parse_constant=_no_constant(place))
        if _SURROGATE.search(text):  # half a character, which no file name or output can hold
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except RecursionError as error:
        raise AnnotationError(f"{place}: expected JSON of a few levels, got too many levels") from error
    except UnicodeEncodeError as error:
        raise AnnotationError(f"{place}: expected whole characters, got half of one: {error.reason}") from error
    except ValueError as error:  # integers of thousands of digits included
        raise AnnotationError(f"{place}: expected JSON, got {error}") from error


def _distinct(place: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def make(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        whole = dict(pairs)
        if len(whole) != len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise AnnotationError(f"{place}: expected each key of an object once, got {twice!r} twice")
        return whole

    return make


def _no_constant(place: str) -> Callable[[str], Any]:
    def refuse(word: str) -> Any:
        raise AnnotationError(f"{place}: expected finite numbers, got {word}")

    return refuse


def _refuse_mark(text: str, path: Path) -> None:
    if text.startswith("\ufeff"):
        raise AnnotationError(f"{path}: expected UTF-8 without a byte order mark, got one at the start")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
