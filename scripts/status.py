"""`tracksift status`: how generation stands under a root of caches, whether its jobs run or not.

Knows tables. Does not know where the files of a job lie.
"""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from core import reporting
from scripts import options

if TYPE_CHECKING:  # slow to import, and `--help` shall be there at once
    from tracksift.scheduling.record import Record

EPILOG = (
    "Examples: [bold]tracksift status[/]  |  [bold]tracksift status --cache /shared/caches[/]  |  "
    "[bold]watch -n 10 tracksift status --cache /shared/caches[/]"
)
SHOWN = 20


def main(cache: options.Cache = Path("caches")) -> None:
    """Show the jobs of `generate` that run or were stopped, and the videos that failed, with their causes.

    Reads files alone, so that it works from any machine that sees the folder. A job that ended well has none: its
    caches are there.
    """
    from tracksift.scheduling.standing import read_standing

    splits = read_standing(cache)
    jobs = [(f"{each.dataset}/{each.split}", record) for each in splits for record in each.records]
    notes = [(f"{each.dataset}/{each.split}", note) for each in splits for note in each.notes]
    rows = [(f"{s.dataset}/{s.split}", s.caches, len(s.notes), len(s.running), s.temporaries) for s in splits]
    reporting.print_table("splits", ["split", "caches", "failed", "jobs running", "temporary files"], rows)
    if jobs:
        columns = ["split", "state", "done", "made", "kept", "failed", "frames/s", "left", "at work on"]
        reporting.print_table("jobs", columns, [(name, *_row(record)) for name, record in jobs])
    if notes:
        listed = [(name, note.video, note.cause) for name, note in notes[:SHOWN]]
        reporting.print_table("failed", ["split", "video", "cause"], listed)
    running = [record for _, record in jobs if record.alive]
    left = [record.left for record in running if record.left is not None]
    reporting.emit(
        {
            "caches": sum(each.caches for each in splits),
            "failures": len(notes),
            "jobs_running": len(running),
            "jobs_stopped": len(jobs) - len(running),
            "videos": sum(record.videos for record in running),
            "made": sum(record.made for record in running),
            "kept": sum(record.kept for record in running),
            "frames_per_second": sum(record.frames_per_second for record in running),
            "seconds_left": max(left, default=None),
            "temporary_files": sum(each.temporaries for each in splits),
        },
        {"cache": str(cache)},
    )


def _row(record: Record) -> tuple[object, ...]:
    ended = record.made + record.kept + record.failed
    state = "running" if record.alive else "stopped" if record.state == "stopped" else "killed"
    if state != "running":
        ago = timedelta(seconds=round(time.time() - record.updated))
        state = f"{state} {ago} ago"
    left = "-" if record.left is None or not record.alive else str(timedelta(seconds=round(record.left)))
    work = ", ".join(record.in_work[:4]) or "-"
    done = f"{ended}/{record.videos}"
    return state, done, record.made, record.kept, record.failed, record.frames_per_second, left, work
