"""`python -m miniature.survival`: kill a generating job at random moments, again and again, and look at what is left.

A job of short clips is killed (SIGKILL) a few times and then left to end; its folder must then hold the very bytes of
an undisturbed run, and nothing else. Half of the kills come at any moment, half within milliseconds of a file being
written. Jobs are forked from a process that holds the models, so that a kill meets work and not imports.
Knows processes and folders. Does not know how a job goes on where another was killed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from cache import verify_cache
from core import cli, reporting
from core.errors import TrackSiftError
from miniature.clips import SPLIT, write_clips
from miniature.splits import find_split
from proposals.settings import ProposalSettings
from tracksift.ask import Pipeline
from tracksift.jobs import Job, split_jobs
from tracksift.scheduling import run_jobs
from tracksift.scheduling.leftovers import find_temporaries
from tracksift.scheduling.worker import Recipe, Worker

KILLS_A_ROUND = 6
NEAR_A_WRITE = 0.003
"""Seconds within which a kill follows a temporary file; writing takes about as long."""
EPILOG = (
    "Examples: [bold]python -m miniature.survival[/]  |  [bold]python -m miniature.survival --kills 200 --seed 1[/]"
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


@dataclass(frozen=True)
class Survived:
    """What was done and seen. near_a_write: kills within NEAR_A_WRITE of a file's beginning.   leftovers: temporary
    files seen after kills, all of which were gone in the end.   seconds: of the undisturbed run.
    """

    kills: int
    near_a_write: int
    rounds: int
    videos: int
    leftovers: int
    seconds: float

    def figures(self) -> dict[str, reporting.Figure]:
        """By name."""
        return dict(vars(self))


def survive(work: Path, kills: int, *, clips: int = 4, frames: int = 6, seed: int = 0,
            on_kill: Callable[[int, int], None] = lambda *_: None) -> Survived:  # fmt: skip
    """Kill jobs `kills` times in folders under `work`, and check after each round.

    Raises:
        TrackSiftError: when a folder differs from that of the undisturbed run.
    """
    chance = random.Random(seed)
    first = find_split("valid").first_seed
    write_clips(work / "data", range(first, first + clips), frames)
    pipeline = Pipeline(device="cpu")
    pipeline.tracker, pipeline.image_encoder  # noqa: B018  loaded before the forks, which share them
    settings = pipeline.proposals
    settings = replace(settings, grid=replace(settings.grid, points_per_side=4))
    start = time.perf_counter()
    truth = _Place(work / "truth", _fork(work, "truth", pipeline, settings))
    truth.wait()
    seconds = time.perf_counter() - start
    expected = _contents(truth.folder)
    done = near = rounds = leftovers = 0
    while done < kills:
        name = f"round{rounds}"
        rounds += 1
        for _ in range(min(chance.randint(1, KILLS_A_ROUND), kills - done)):
            place = _Place(work / name, _fork(work, name, pipeline, settings))
            writing = chance.random() < 0.5
            if place.kill(chance.uniform(0, NEAR_A_WRITE if writing else seconds), after_write=writing):
                done, near = done + 1, near + writing
                on_kill(done, kills)
            leftovers += len(find_temporaries(_caches(place.folder)))
        place = _Place(work / name, _fork(work, name, pipeline, settings))
        place.wait()
        _check(place.folder, expected)
    return Survived(done, near, rounds, clips, leftovers, round(seconds, 2))


@dataclass(frozen=True)
class _Place:
    """A root of caches and the process that fills it."""

    folder: Path
    process: int

    def wait(self) -> None:
        """Until the job ends by itself."""
        _, status = os.waitpid(self.process, 0)
        if status:
            raise TrackSiftError(f"{self.folder}: expected its job to end well, got status {status}")

    def kill(self, delay: float, *, after_write: bool) -> bool:
        """Kill the job `delay` seconds from now, or from the next temporary file; whether it still ran."""
        seen = set(find_temporaries(_caches(self.folder)))
        while after_write and not set(find_temporaries(_caches(self.folder))) - seen:
            if os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                break
        time.sleep(delay)
        os.kill(self.process, signal.SIGKILL)  # its id is its own until it is waited for
        _, status = os.waitpid(self.process, 0)
        return os.WIFSIGNALED(status)


def _fork(work: Path, name: str, pipeline: Pipeline, settings: ProposalSettings) -> int:
    """The id of a new process that generates into `work/name`."""
    _, jobs = split_jobs(work / "data", SPLIT, work / name)
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        code = _generate(jobs, pipeline, settings)
    finally:
        os._exit(code)  # a fork must not end as its parent would


def _generate(jobs: list[Job], pipeline: Pipeline, settings: ProposalSettings) -> int:
    torch.set_num_threads(1)
    worker = Worker(jobs, pipeline.tracker, settings, pipeline.image_encoder)
    recipe = Recipe(jobs, pipeline.models.tracker_spec, "cpu", settings, pipeline.models.image_spec)
    ended = run_jobs(recipe, here=lambda: worker)
    return 0 if all(result.state in ("made", "kept") for result in ended.results) else 1


def _caches(root: Path) -> Path:
    return root / "mevis" / SPLIT


def _contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def _check(folder: Path, expected: dict[str, bytes]) -> None:
    """Refuse a folder with files more, less or other than expected."""
    found = _contents(folder)
    if found.keys() != expected.keys():
        odd = sorted(found.keys() ^ expected.keys())
        raise TrackSiftError(f"{folder}: expected the files of an undisturbed run, got a difference in {odd}")
    for name, content in expected.items():
        verify_cache(folder / name)
        if found[name] != content:
            raise TrackSiftError(f"{folder / name}: expected the bytes of an undisturbed run, got others")


@app.command(epilog=EPILOG)
def main(
    kills: Annotated[int, typer.Option(min=1, help="How many times a job is killed.")] = 200,
    clips: Annotated[int, typer.Option(min=1, max=50, help="Videos of a job.")] = 4,
    frames: Annotated[int, typer.Option(min=2, help="Frames of each.")] = 6,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
) -> None:
    """Kill a generating job at random moments; after a restart every video must be there, whole and the same."""
    if sys.platform == "win32":
        raise TrackSiftError("survival: expected a system with fork and SIGKILL, got Windows")
    with tempfile.TemporaryDirectory() as folder, reporting.progress_bar("kills", kills) as bar:
        survived = survive(Path(folder), kills, clips=clips, frames=frames, seed=seed, on_kill=bar)
    reporting.print_table("miniature: survival", ["figure", "value"], list(survived.figures().items()))
    reporting.emit(survived.figures(), {"kills": kills, "clips": clips, "frames": frames, "seed": seed})


if __name__ == "__main__":
    cli.run(app)
