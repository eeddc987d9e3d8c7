"""Answers as files: one JSON document, or folders of PNG masks; and the JSON document read back.

Knows paths and the answer's JSON form. Does not know how an answer was reached.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from core import rle
from core.atomic import atomic_folder, atomic_path
from core.errors import InputError
from core.ids import safe_name
from core.types import Answer
from fusion.schema import answer_from_json, answer_to_json

ANSWERS_FORMAT: Final = "tracksift-answers/1"


def write_answers(path: Path, answers: Sequence[Answer]) -> None:
    """Write one JSON document (`ANSWER.md`) with all answers, whole or not at all.

    Raises:
        OutputError: when `path` cannot be written.
    """
    document = {"format": ANSWERS_FORMAT, "answers": [answer_to_json(a) for a in answers]}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document, allow_nan=False, ensure_ascii=False, indent=1), encoding="utf-8")


def read_answers(path: Path) -> tuple[Answer, ...]:
    """The answers of a file of `write_answers`.

    Raises:
        InputError: when the file is missing, is not JSON, or a field is not as `ANSWER.md` says.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"answers {path}: expected a file, got nothing there") from error
    except (OSError, ValueError) as error:
        raise InputError(f"answers {path}: expected JSON, got {error}") from error
    if not isinstance(document, dict) or document.get("format") != ANSWERS_FORMAT:
        given = document.get("format") if isinstance(document, dict) else type(document).__name__
        raise InputError(f"answers {path}: expected format {ANSWERS_FORMAT!r}, got {given!r}")
    answers = document.get("answers")
    if not isinstance(answers, list):
        raise InputError(f"answers {path}: expected a list of answers, got {type(answers).__name__}")
    return tuple(answer_from_json(a, f"answers {path}, answer {i}") for i, a in enumerate(answers))


def write_mask_pngs(root: Path, answers: Sequence[Answer], frame_names: Sequence[str] | None = None) -> list[Path]:
    """Write union masks as `{root}/{video}/{expression}/{frame}.png`, 0 and 255, in the style of MeViS's submissions.

    Each expression's folder appears whole, and replaces an older one. Ids that are no safe file names are
    changed as `core.ids` says.

    Args:
        root: folder of all videos.
        answers: of any videos and expressions.
        frame_names: names of the T frames without suffix; `00000`, `00001`, ... when None.

    Returns:
        The folders written, one for each answer.

    Raises:
        InputError: when there are not as many names as frames, or a name comes twice.
        OutputError: when a folder cannot be written.
    """
    folders = []
    for answer in answers:
        names = _names(answer, frame_names)
        folder = root / safe_name(answer.video.id) / safe_name(answer.expression.id)
        with atomic_folder(folder) as temporary:
            for name, counts in zip(names, answer.masks, strict=True):
                mask = rle.decode([counts], answer.video.size)[0]  # [H, W]
                Image.fromarray(mask.astype(np.uint8) * 255).save(temporary / f"{name}.png", optimize=True)
        folders.append(folder)
    return folders


def _names(answer: Answer, given: Sequence[str] | None) -> list[str]:
    names = [f"{t:05d}" for t in range(answer.video.frames)] if given is None else [safe_name(n) for n in given]
    if len(names) != answer.video.frames or len(set(names)) != len(names):
        raise InputError(
            f"video {answer.video.id!r}: expected {answer.video.frames} different frame names, "
            f"got {len(names)}, {len(set(names))} of them different"
        )
    return names
