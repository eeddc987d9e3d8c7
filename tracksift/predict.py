"""Caches and expressions -> a folder of answers a video: `answers.json`, `masks`, `page.html`, `overlay.mp4`.

Knows the pipeline and the writers. Does not know command lines or metrics.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from cache import read_cache
from core.ids import safe_name
from core.types import Answer, Expression
from fusion.overlay import write_overlay
from fusion.writers import write_answers, write_mask_pngs
from tracksift.ask import Pipeline
from tracksift.jobs import Job
from tracksift.page import key_frames, write_page

KEY_FRAMES = 8
ALL_FRAMES = 64
"""A page of a video of so few frames shows them all, so that it plays."""
MINIATURE_NOTE = (
    "Made with the miniature's weights; its selector learnt from rendered shapes and is not meant for real video."
)


@dataclass(frozen=True)
class Prediction:
    """The answers of one video and the files that hold them."""

    video_id: str
    answers: tuple[Answer, ...]
    files: tuple[Path, ...]


class Form(StrEnum):
    """What can be written of a video's answers."""

    JSON = "json"  # answers.json, as fusion/ANSWER.md has it
    PNG = "png"  # masks/<video>/<expression>/<frame>.png, as MeViS's server takes them
    MP4 = "mp4"  # overlay.mp4
    HTML = "html"  # page.html, which plays the overlay where there is one


FORMS: Final = (Form.JSON, Form.MP4, Form.HTML)


def predict(
    job: Job, expressions: Sequence[Expression], pipeline: Pipeline, out: Path, *, forms: Collection[Form] = FORMS
) -> Prediction:
    """Answer every expression about a cached video and write what a person or a program can open.

    The overlay shows all answers that have a target, each in its own colour. Masks of all videos share OUT/masks.

    Raises:
        CacheError: when the cache cannot be used.
        OutputError: when `out` cannot be written.
    """
    answers = tuple(pipeline.answer(job.cache, expressions))
    folder, files = out / safe_name(job.video_id), list[Path]()
    if Form.JSON in forms:
        files.append(folder / "answers.json")
        write_answers(files[-1], answers)
    if Form.PNG in forms:
        names = None if job.frame_names is None else [Path(name).stem for name in job.frame_names]
        files += write_mask_pngs(out / "masks", answers, names)
    if {Form.MP4, Form.HTML} & set(forms):
        overlay, page = (folder / name if form in forms else None for name, form in _DRAWN)
        note = MINIATURE_NOTE if pipeline.models.is_miniature and job.annotated is None else ""
        _draw(job, answers, overlay, page, note)
        files += [path for path in (overlay, page) if path is not None]
    return Prediction(job.video_id, answers, tuple(files))


_DRAWN: Final = (("overlay.mp4", Form.MP4), ("page.html", Form.HTML))


def _draw(job: Job, answers: Sequence[Answer], overlay: Path | None, page: Path | None, note: str) -> None:
    reader = job.open()
    try:
        if overlay is not None:
            write_overlay(overlay, iter(reader), reader.meta, [a for a in answers if not a.no_target])
        if page is None:
            return
        frames = key_frames(reader.meta, reader.meta.frames if reader.meta.frames <= ALL_FRAMES else KEY_FRAMES)
        images = dict(zip(frames, reader.read(frames), strict=True))
        write_page(page, reader.meta, images, read_cache(job.cache), answers, overlay, note)
    finally:
        reader.close()
