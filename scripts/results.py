"""What became of the videos of a command that makes cache files: a table, flat counts, and the sentence about failures.

Knows results and how they are told. Does not know flags, nor how anything is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from core import reporting
from core.errors import TrackSiftError

if TYPE_CHECKING:  # slow to import, and `--help` shall be there at once
    from tracksift.generate import JobResult

SHOWN = 20
"""So many videos stand in the table, and so many failures in the sentence; all failures have a note."""


def show(title: str, results: Sequence[JobResult]) -> dict[str, float]:
    """Print the table of the first videos; made, kept, planned, failures, frames, tracks and seconds of all."""
    rows = [(r.video_id, r.state, r.frames, r.tracks, r.seconds) for r in results]
    reporting.print_table(title, ["video", "state", "frames", "tracks", "seconds"], rows[:SHOWN])
    done = Counter(r.state for r in results)
    return {
        "made": done["made"],
        "kept": done["kept"],
        "planned": done["planned"],
        "failures": done["failed"],
        "frames": sum(r.frames for r in results),
        "tracks": sum(r.tracks for r in results),
        "seconds": sum(r.seconds for r in results),
    }


def refuse_failures(results: Sequence[JobResult], *, one: bool = False) -> None:
    """TrackSiftError naming the first videos that failed and why, if any did; of `one` video the cause alone."""
    failed = [r for r in results if r.state == "failed"]
    if failed and one:
        raise TrackSiftError(failed[0].cause)
    if failed:
        listed = "; ".join(f"{r.video_id}: {r.cause}" for r in failed[:SHOWN])
        raise TrackSiftError(f"{len(failed)} of {len(results)} videos failed: {listed}")
