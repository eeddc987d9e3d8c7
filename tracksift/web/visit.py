"""What one visitor has: a video with its tracks, the answers so far, and the files that were made for them.

Knows folders and types. Does not know how anything is made (`studio`) or told (`payloads`).
"""

from __future__ import annotations

import shutil
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import InputError
from core.types import Answer, TrackSet, VideoMeta
from tracksift.jobs import Job
from tracksift.query import Index

_FILES = "files"


@dataclass(frozen=True)
class Entry:
    """One answer. serial: from 1 in each session.   milliseconds: that it took.   tracks: those that its indices mean.

    box: frame and x1, y1, x2, y2 of the video where a box was asked about, else None.
    """

    serial: int
    answer: Answer
    milliseconds: float
    tracks: TrackSet
    box: tuple[int, tuple[float, float, float, float]] | None = None


@dataclass(frozen=True)
class Film:
    """A video on the page. video: without the place of its file.   pictures: folder of those of its frames.

    size: their (height, width).   suggestions: expressions to try.   index, tracks: None until it is tracked.
    told: what was told of tracks, by serial number of the answer (0: the video's own) and index.
    """

    name: str
    job: Job
    video: VideoMeta
    pictures: Path
    size: tuple[int, int]
    suggestions: tuple[str, ...] = ()
    index: Index | None = None
    tracks: TrackSet | None = None
    told: dict[tuple[int, int], bytes] = field(default_factory=dict, compare=False, repr=False)


@dataclass
class Visit:
    """All of a session's things; everything lies in `folder`. `ended`: the folder is gone, and work shall stop."""

    folder: Path
    ended: bool = False
    upload: tuple[str, Path] | None = None
    uploads: int = 0
    films: int = 0
    film: Film | None = None
    entries: deque[Entry] = field(default_factory=deque)
    serial: int = 0
    boxes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    talk: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def alone(self, *, talking: bool = False) -> Iterator[None]:
        """Long work, one at a time, and beside it one talk with the grounder; InputError while another goes on."""
        lock = self.talk if talking else self.lock
        if not lock.acquire(blocking=False):
            raise InputError("expected one thing at a time, got another while work goes on; wait for it")
        try:
            yield
        finally:
            lock.release()

    @property
    def busy(self) -> bool:
        """Whether long work goes on."""
        return self.lock.locked()

    def take_upload(self, name: str, path: Path) -> None:
        """An upload takes the place of the one before, whose file goes unless the film is made of it."""
        old, self.upload = self.upload, (name, path)
        if old is not None and (self.film is None or self.film.job.frames_path != old[1]):
            old[1].unlink(missing_ok=True)

    def clear(self) -> None:
        """The film goes with all that was about it; what is uploaded and not yet a film stays."""
        old, self.film, self.boxes = self.film, None, 0
        self.entries.clear()
        shutil.rmtree(self.folder / _FILES, ignore_errors=True)
        if old is None:
            return
        shutil.rmtree(old.pictures, ignore_errors=True)
        path = old.job.frames_path
        if path.parent == self.folder and (self.upload is None or path != self.upload[1]):
            path.unlink(missing_ok=True)

    def ready(self) -> tuple[Film, Index, TrackSet]:
        """The film with its index and tracks; InputError before it is tracked."""
        film = self.film
        if film is None or film.index is None or film.tracks is None:
            raise InputError("expected a video that is tracked, got none yet; choose one first")
        return film, film.index, film.tracks

    def keep(self, film: Film, entry: Entry, most: int) -> None:
        """Add an answer about `film`; the oldest is forgotten with its files where there would be more than `most`.

        Raises:
            InputError: when another film has taken its place.
        """
        if self.film is None or self.film.job is not film.job:
            raise InputError("answer: expected one about the video that is shown, got one about the video before")
        self.entries.append(entry)
        while len(self.entries) > most:
            old = self.entries.popleft()
            for key in [key for key in film.told if key[0] == old.serial]:
                del film.told[key]
            shutil.rmtree(self.files(old.serial), ignore_errors=True)

    def entry(self, serial: int) -> Entry:
        """The answer of a serial number; InputError where there is none."""
        found = next((entry for entry in self.entries if entry.serial == serial), None)
        if found is None:
            raise InputError(f"answer: expected one of the last {len(self.entries)}, got number {serial}")
        return found

    def picture(self, frame: int) -> Path | None:
        """Where the picture of a frame lies; None where there is none."""
        path = None if self.film is None else picture_path(self.film.pictures, frame)
        return path if path is not None and path.is_file() else None

    def files(self, serial: int) -> Path:
        """Folder of the files about an answer."""
        return self.folder / _FILES / str(int(serial))


def picture_path(folder: Path, frame: int) -> Path:
    """The picture of a frame in a film's folder."""
    return folder / f"{int(frame):05d}.jpg"
