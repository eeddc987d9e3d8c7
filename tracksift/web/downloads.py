"""Files about one answer, made when someone wants them: masks, JSON, film, page.

Knows the writers of answers. Does not know sessions or addresses.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.atomic import atomic_path
from core.errors import InputError
from core.frames import VideoReader
from fusion.overlay import write_overlay
from fusion.writers import write_answers, write_mask_pngs
from tracksift.page import key_frames, write_page
from tracksift.predict import ALL_FRAMES, KEY_FRAMES, MINIATURE_NOTE
from tracksift.web.visit import Entry, Film, Visit

KINDS: Final = {
    "overlay.mp4": "Film (MP4)",
    "masks.zip": "Masks (PNG)",
    "answers.json": "Answer (JSON)",
    "page.html": "Page (HTML)",
}
"""Name of each file, and what the page calls it."""

Progress = Callable[[int, int | None], None]


def make_download(visit: Visit, serial: int, kind: object, *, miniature: bool, progress: Progress) -> Path:
    """Write a file about an answer where it is not there yet, and say where it lies.

    Raises:
        InputError: for an unknown kind or an answer that is not there.
        OutputError: when it cannot be written.
    """
    if kind not in KINDS or not isinstance(kind, str):
        raise InputError(f"download: expected one of {', '.join(KINDS)}, got {str(kind)[:40]!r}")
    entry, (film, _, _) = visit.entry(serial), visit.ready()
    path = visit.files(serial) / kind
    if path.exists():
        return path
    if kind == "answers.json":
        write_answers(path, [entry.answer])
    elif kind == "masks.zip":
        _write_masks(path, entry)
    elif kind == "overlay.mp4":
        with _opened(film) as reader:
            write_overlay(path, iter(reader), film.video, entry.answer, progress)
    else:
        _write_page(path, film, entry, MINIATURE_NOTE if miniature else "")
    return path


def _write_masks(path: Path, entry: Entry) -> None:
    """The union of the answer's masks, one PNG a frame, 0 and 255."""
    with TemporaryDirectory(dir=path.parent.parent.parent) as folder, atomic_path(path) as temporary:
        (masks,) = write_mask_pngs(Path(folder), [entry.answer])
        with zipfile.ZipFile(temporary, "w") as out:
            for image in sorted(masks.iterdir()):
                out.write(image, image.name)


def _write_page(path: Path, film: Film, entry: Entry, note: str) -> None:
    with _opened(film) as reader:
        frames = key_frames(film.video, film.video.frames if film.video.frames <= ALL_FRAMES else KEY_FRAMES)
        images: dict[int, NDArray[np.uint8]] = dict(zip(frames, reader.read(frames), strict=True))
    write_page(path, film.video, images, entry.tracks, [entry.answer], None, note)


@contextmanager
def _opened(film: Film) -> Iterator[VideoReader]:
    """A film's reader, closed afterwards."""
    reader = film.job.open()
    try:
        yield reader
    finally:
        reader.close()


def made(visit: Visit, serial: int, kind: str) -> Path | None:
    """The file where it has been made; the name is looked up and never becomes a path."""
    names = [name for name in KINDS if name == kind]
    path = visit.files(serial) / names[0] if names else None
    return path if path is not None and path.is_file() else None
