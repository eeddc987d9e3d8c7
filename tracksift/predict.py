"""Caches and expressions -> a folder of answers a video: `answers.json`, `page.html`, `overlay.mp4`.

Knows the pipeline and the writers. Does not know command lines or metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cache import read_cache
from core.ids import safe_name
from core.types import Answer, Expression
from fusion.overlay import write_overlay
from fusion.writers import write_answers
from tracksift.ask import Pipeline
from tracksift.jobs import Job
from tracksift.page import key_frames, write_page

KEY_FRAMES = 8
ALL_FRAMES = 64
"""A page of a video of so few frames shows them all, so that it plays."""
MINIATURE_NOTE = (
    "Made with the miniature's weights, which learnt from rendered shapes and are not meant for real video."
)


@dataclass(frozen=True)
class Prediction:
    """The answers of one video and the files that hold them."""

    video_id: str
    answers: tuple[Answer, ...]
    files: tuple[Path, ...]


def predict(
    job: Job, expressions: Sequence[Expression], pipeline: Pipeline, out: Path, *, pictures: bool = True
) -> Prediction:
    """Answer every expression about a cached video and write what a person or a program can open.

    The overlay shows all answers that have a target, each in its own colour.

    Raises:
        CacheError: when the cache cannot be used.
        OutputError: when `out` cannot be written.
    """
    answers = tuple(pipeline.answer(job.cache, expressions))
    folder = out / safe_name(job.video_id)
    files = [folder / "answers.json"]
    write_answers(files[0], answers)
    if pictures:
        files += [folder / "overlay.mp4", folder / "page.html"]
        note = MINIATURE_NOTE if pipeline.models.is_miniature and job.annotated is None else ""
        _draw(job, answers, files[1], files[2], note)
    return Prediction(job.video_id, answers, tuple(files))


def _draw(job: Job, answers: Sequence[Answer], overlay: Path, page: Path, note: str) -> None:
    reader = job.open()
    try:
        shown = [a for a in answers if not a.no_target]
        write_overlay(overlay, iter(reader), reader.meta, shown)
        frames = key_frames(reader.meta, reader.meta.frames if reader.meta.frames <= ALL_FRAMES else KEY_FRAMES)
        images = dict(zip(frames, reader.read(frames), strict=True))
        write_page(page, reader.meta, images, read_cache(job.cache), answers, overlay, note)
    finally:
        reader.close()
