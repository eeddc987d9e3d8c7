"""Broken files moved out of the way, with a list of what is to be made again.

    <root>.quarantine/<dataset>/<split>/<video>.h5   the file as it was, under a number where one lies there already
    <root>.quarantine/regenerate.json                what was moved: dataset, split, video id, file, cause

Nothing is deleted. `tracksift generate` makes what is missing, so that running it again on the same data is the repair.
Knows findings and paths. Does not know how tracks are made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cache.paths import PACK
from cache.survey import Finding
from core.atomic import atomic_path
from core.errors import InputError, OutputError
from core.ids import safe_name

BROKEN = ("corrupt", "foreign", "misplaced", "lost")
"""States that making the file again mends. A newer file is whole, and one that cannot be read may be so tomorrow."""
LIST = "regenerate.json"


@dataclass(frozen=True)
class Moved:
    """A file that was moved, or would be; video_id None where only the file could have said it."""

    dataset: str
    split: str
    video_id: str | None
    file: str
    cause: str


def quarantine_folder(root: Path) -> Path:
    """The folder beside a root that its broken files go to."""
    whole = root.resolve()
    return whole.with_name(whole.name + ".quarantine")


def quarantine(root: Path, findings: Sequence[Finding], *, dry_run: bool = False) -> list[Moved]:
    """Move the broken files of a root beside it, and add them to the list there.

    Raises:
        InputError: when `root` is not the root of the files, or the list there is not one.
        OutputError: when the place cannot be written; every file is then in one of the two places.
    """
    folder, broken = quarantine_folder(root), [f for f in findings if f.state in BROKEN]
    moved = [_described(root, finding) for finding in broken]
    if dry_run or not moved:
        return moved
    # The list comes first: a file that is listed and was not moved is made again in place, or found broken once more.
    _write_list(root, moved)
    for finding in broken:
        place = folder / finding.path.relative_to(root)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            finding.path.rename(_free(place))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OutputError(f"{place}: expected a place that {finding.path} can be moved to, got {reason}") from error
    return moved


def read_list(root: Path) -> list[Moved]:
    """What the list beside a root said when it was last written; empty where there is none.

    Raises:
        InputError: for a file there that is no such list.
    """
    path = quarantine_folder(root) / LIST
    if not path.exists():
        return []
    try:
        return [Moved(**value) for value in json.loads(path.read_text(encoding="utf-8"))["videos"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: expected a list that `tracksift cache repair` wrote, got {error}") from error


def _write_list(root: Path, moved: Sequence[Moved]) -> None:
    """The list with `moved` in it, and without what has been made again since."""
    kept = {item.file: item for item in read_list(root) if not (root / item.file).exists()}
    kept |= {item.file: item for item in moved}
    text = json.dumps({"videos": [asdict(item) for item in kept.values()]}, indent=1)
    with atomic_path(quarantine_folder(root) / LIST) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _described(root: Path, finding: Finding) -> Moved:
    try:
        parts = finding.path.relative_to(root).parts
    except ValueError as error:
        raise InputError(f"{finding.path}: expected a file below {root}, got another") from error
    if len(parts) != 3:
        raise InputError(
            f"{root}: expected the root of cache files, <root>/<dataset>/<split>/<video>.h5, got {finding.path} in it"
        )
    stem = finding.path.stem
    # Only a plain id is its own file name; a pack is of no video.
    known = finding.path.suffix != PACK and not stem.startswith("%") and safe_name(stem) == stem
    return Moved(parts[0], parts[1], stem if known else None, str(Path(*parts)), finding.cause)


def _free(path: Path) -> Path:
    """The path, or with the first number behind it that no file has."""
    tried, number = path, 1
    while tried.exists():
        tried, number = path.with_name(f"{path.stem}.{number}{path.suffix}"), number + 1
    return tried
