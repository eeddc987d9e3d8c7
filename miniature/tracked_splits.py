"""Splits of the miniature, rendered and tracked in a folder, where what is there is used again.

The short world's lie in WORK/world, the long one's in WORK/long; the caches of both in WORK/caches, where those that
another machine made may be put beforehand. Knows splits, their renderers and the tracker. Does not know scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import TrackSiftError
from core.reporting import progress_bar
from miniature.formats import dataset
from miniature.formats.files import Role, role_of
from miniature.splits import find_split
from miniature.world.layout import META, write_split
from tracksift.ask import Pipeline
from tracksift.generate import generate
from tracksift.jobs import Job, split_jobs

FILMS = 12
"""Of each split of the long world, unless more are wanted: one takes two to ten minutes of a core to track."""


@dataclass(frozen=True)
class World:
    """Which of the two worlds.   seconds: of long films, None for the world's own length."""

    long: bool = False
    seconds: int | None = None

    def place(self, work: Path, split: str) -> tuple[Path, str]:
        """The MeViS folder of a split, and the split's name in it."""
        if not self.long:
            return work / "world", split
        return work / "long" / split / "mevis", "train" if role_of(split) is Role.TRAIN else "valid_u"

    def write(self, work: Path, split: str, clips: int | None, workers: int) -> None:
        """Render the first `clips` of a split where it is not there yet."""
        part, (data, name) = find_split(split, self.long), self.place(work, split)
        if (data / name / META).is_file():
            return
        if self.long:
            wanted = dataset.Wanted(("mevis",), True, part.shifted, part.expressions, self.seconds)
            dataset.write_formats(data.parent, split, part.seeds[: clips or FILMS], wanted, workers=workers)
        else:
            write_split(
                data / name, part.seeds[:clips], shifted=part.shifted, expressions=part.expressions,
                no_target=part.no_target, workers=workers,
            )  # fmt: skip


SHORT = World()


def tracked_split(
    pipeline: Pipeline, split: str, work: Path, workers: int, clips: int | None = None, world: World = SHORT
) -> list[Job]:
    """A split, rendered and tracked.   clips: only the first so many.

    Raises:
        TrackSiftError: where a video could not be tracked.
    """
    world.write(work, split, clips, workers)
    _, jobs = split_jobs(*world.place(work, split), work / "caches")
    with progress_bar(f"{split}: tracking", len(jobs)) as bar:
        done = iter(range(1, len(jobs) + 1))
        made = generate(
            jobs, pipeline.tracker, pipeline.proposals,
            image_encoder=pipeline.image_encoder, on_result=lambda _: bar(next(done), len(jobs)),
        )  # fmt: skip
    failed = [r for r in made if r.state == "failed"]
    if failed:
        raise TrackSiftError(f"{split}: {len(failed)} videos failed, first {failed[0].video_id}: {failed[0].cause}")
    return jobs
