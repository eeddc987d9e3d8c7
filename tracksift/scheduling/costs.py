"""How much work a video is, from headers alone: frames and pixels, without decoding one.

Knows jobs, image and container headers. Does not know how long a tracker takes for a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
from PIL import Image

from core.image_folders import SUFFIXES
from tracksift.jobs import Job


@dataclass(frozen=True)
class Size:
    """Frames of a video and pixels of one; zeros where its headers do not say."""

    frames: int
    pixels: int

    @property
    def cost(self) -> int:
        """Pixels of all frames."""
        return self.frames * self.pixels


def job_size(job: Job) -> Size:
    """The size of a job's video; zeros for one that cannot be opened, whose own work says why."""
    try:
        return _folder(job) if job.frames_path.is_dir() else _file(job.frames_path)
    except (OSError, SyntaxError, ValueError, av.FFmpegError, Image.DecompressionBombError):
        return Size(0, 0)


def costliest_first(jobs: Sequence[Job], sizes: Sequence[Size]) -> list[int]:
    """Positions of jobs, the costliest first: begun last, it would keep one worker busy while all others wait.

    Videos that have a file already come after all others, since most of them are only checked.
    """
    return sorted(range(len(jobs)), key=lambda i: (jobs[i].cache.exists(), -sizes[i].cost, i))


def _folder(job: Job) -> Size:
    if job.frame_names is None:
        images = [path for path in job.frames_path.iterdir() if path.suffix.lower() in SUFFIXES]
        first, count = (images[0] if images else job.frames_path), len(images)
    else:
        name, count = job.frame_names[0], len(job.frame_names)
        places = [job.frames_path / (name + suffix) for suffix in ("", *SUFFIXES)]
        first = next((place for place in places if place.is_file()), job.frames_path)
    with Image.open(first) as image:
        return Size(count, image.width * image.height)


def _file(path: Path) -> Size:
    with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
        if not container.streams.video:
            return Size(0, 0)
        stream = container.streams.video[0]
        frames = stream.frames or round(float(container.duration or 0) / 1e6 * float(stream.average_rate or 0))
        return Size(int(frames), int(stream.width) * int(stream.height))
