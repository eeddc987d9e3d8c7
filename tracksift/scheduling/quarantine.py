"""Videos that failed: a small JSON beside where each cache file would be, with cause and time.

One file a video, so that two jobs on one folder need no lock. Knows these notes. Does not know why a video fails.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from core.atomic import atomic_path
from core.errors import InputError
from tracksift.generate import JobResult
from tracksift.jobs import Job

SUFFIX = ".failed.json"


class Note(BaseModel):
    """Why a video failed. when: seconds since 1970.   settings: hash of models and settings that it failed with.

    source: size and time of change of the video's file or folder; None where there was none. trace: for what nobody
    expected.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    video: str
    cause: str
    fault: str
    when: float
    settings: str
    source: tuple[int, int] | None = None
    trace: str = ""

    def sentence(self) -> str:
        """The cause, when, and what to run."""
        day = datetime.fromtimestamp(self.when, UTC).strftime("%Y-%m-%d %H:%M UTC")
        return f"failed on {day} and was left out, --retry-failed tries it again: {self.cause}"


def note_path(cache: Path) -> Path:
    """Where the note of a cache file lies."""
    return cache.with_name(cache.stem + SUFFIX)


def read_note(path: Path) -> Note | None:
    """The note, None where there is none; InputError for a file that is none of ours."""
    try:
        return Note.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):  # where its folder cannot be, the cache says so
        return None
    except (OSError, ValidationError) as error:
        raise InputError(f"{path}: expected a note of a failed video, got {_first_line(error)}; delete it") from error


def note_failure(job: Job, result: JobResult, settings: str) -> None:
    """Write why a job failed; OutputError when the place cannot be written."""
    note = Note(
        video=job.video_id, cause=result.cause, fault=result.fault, when=time.time(), settings=settings,
        source=source_stamp(job.frames_path), trace=result.trace,
    )  # fmt: skip
    with atomic_path(note_path(job.cache)) as temporary:
        temporary.write_text(note.model_dump_json(indent=1), encoding="utf-8")


def left_out(job: Job, settings: str) -> Note | None:
    """The note of a job that would fail as it did before: same models, same settings, same video."""
    note = read_note(note_path(job.cache))
    if note is None or note.settings != settings or note.source is None:
        return None
    return note if note.source == source_stamp(job.frames_path) else None


def source_stamp(path: Path) -> tuple[int, int] | None:
    """Size and time of change (ns) of a file or folder, which are other ones once somebody mends it."""
    try:
        known = path.stat()
    except OSError:
        return None
    return known.st_size, known.st_mtime_ns


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
