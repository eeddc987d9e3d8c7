"""How far a job is: videos by what became of them, frames a second, and seconds left at the pace so far.

Knows results and sizes. Does not know workers or files.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

from tracksift.generate import JobResult
from tracksift.jobs import Job
from tracksift.scheduling.costs import Size
from tracksift.scheduling.record import Record


class Tally:
    """Counts that only rise. in_work: numbers of the jobs that workers are at."""

    def __init__(
        self, jobs: Sequence[Job], sizes: Sequence[Size], begun: Record, in_work: Callable[[], list[int]]
    ) -> None:
        self._jobs, self._sizes, self._begun, self._in_work = jobs, sizes, begun, in_work
        self._start = time.monotonic()
        self._states = Counter[str]()
        self._cost_made, self._cost_left = 0, sum(size.cost for size in sizes)
        self.frames, self._frames_made = 0, 0
        self.total_frames = sum(size.frames for size in sizes)

    def add(self, number: int, result: JobResult) -> None:
        """Count a job that ended."""
        size = self._sizes[number]
        self._states[result.state] += 1
        self._cost_left -= size.cost
        self.frames += size.frames
        if result.state == "made":
            self._cost_made += size.cost
            self._frames_made += result.frames

    def seconds_left(self) -> float | None:
        """At the pace of what was made so far; None before that. Files that are only checked make it less."""
        if not self._cost_made:
            return None
        return self._cost_left / self._cost_made * (time.monotonic() - self._start)

    def frames_per_second(self) -> float:
        """Frames of videos that were made, a second of the whole job, loading included."""
        return self._frames_made / max(time.monotonic() - self._start, 1e-9)

    def note(self) -> str:
        """What a progress bar says beside its frames."""
        left, failed = self.seconds_left(), self._states["failed"]
        parts = [f"{self._states.total()}/{len(self._jobs)} videos", f"{self.frames_per_second():.1f} frames/s"]
        parts += [] if left is None else [f"about {timedelta(seconds=round(left))} left"]
        return ", ".join(parts + ([f"{failed} failed"] if failed else []))

    def record(self) -> Record:
        """The job's record as it stands now."""
        counts = {state: self._states[state] for state in ("made", "kept", "failed")}
        known: dict[str, object] = {
            "updated": time.time(),
            "videos": len(self._jobs),
            "frames": self._frames_made,
            "frames_per_second": round(self.frames_per_second(), 2),
            "left": self.seconds_left(),
            "in_work": [self._jobs[number].video_id for number in self._in_work()],
        }
        return self._begun.model_copy(update=known | counts)
