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
from tracksift.page import write_page

KEY_FRAMES = 8


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
        _draw(job, answers, files[1], files[2])
    return Prediction(job.video_id, answers, tuple(files))


def _draw(job: Job, answers: Sequence[Answer], overlay: Path, page: Path) -> None:
    reader = job.open()
    try:
        shown = [a for a in answers if not a.no_target]
        write_overlay(overlay, iter(reader), reader.meta, shown)
        frames = sorted({round(i * (reader.meta.frames - 1) / (KEY_FRAMES - 1)) for i in range(KEY_FRAMES)})
        images = {frame: image for frame, image in zip(frames, reader.read(frames), strict=True)}
        write_page(page, reader.meta, images, read_cache(job.cache), answers)
    finally:
        reader.close()
