"""`python -m miniature.draw_tracks`: many clips of the training split with tracks that no tracker has made.

They lie beside those of `track_world`, for selectors that read no object tokens. What is there is kept: the same
command goes on. Knows flags, folders and processes. Does not know tracks.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import replace
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
import typer

from core import cli, reporting
from core.errors import StoppedError, TrackSiftError
from core.images import ImageEncoder, load_image_encoder
from miniature.drawn_tracks import draw_block
from miniature.splits import Split, find_split
from miniature.supply import leave_interrupts, one_thread_each
from miniature.track_world import DATASET, merge
from miniature.world.layout import META
from tracksift.models import WEIGHTS
from tracksift.scheduling.stopping import stop_on_signals

FIRST_SEED = 10_000
"""Between the training split's clips, which are tracked, and those of `calib`: no clip of any split comes up."""
LAST_SEED = 100_000
LOOK = 0.5  # seconds between looks at the clock
EPILOG = (
    "Examples: [bold]python -m miniature.draw_tracks --work runs/world --clips 10000 --workers 14[/]  |  "
    "[bold]python -m miniature.draw_tracks --work runs/world --clips 200 --workers 2 --minutes 1[/]"
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


class _Drawer:
    """One process: an image encoder on the CPU."""

    encoder: ClassVar[ImageEncoder]
    done: ClassVar[Synchronized[int]]
    stopping: ClassVar[Event]

    @classmethod
    def open(cls, done: Synchronized[int], stopping: Event) -> None:
        leave_interrupts()
        torch.set_num_threads(1)
        cls.done, cls.stopping = done, stopping
        cls.encoder = load_image_encoder(str(WEIGHTS / "clip"), torch.device("cpu"))

    @classmethod
    def draw(cls, part: Split, folder: Path, caches: Path) -> None:
        draw_block(part, folder, caches, cls.encoder, cls._look)

    @classmethod
    def _look(cls, _: int) -> None:
        with cls.done.get_lock():
            cls.done.value += 1
        if cls.stopping.is_set():
            raise TrackSiftError("drawing: stopped")


@app.command(epilog=EPILOG)
def main(
    work: Annotated[Path, typer.Option(help="As track_world's: its caches and annotations get more.")] = Path(
        "runs/world"
    ),
    clips: Annotated[int, typer.Option(help="Clips in all.", min=1, max=LAST_SEED - FIRST_SEED)] = 10_000,
    expressions: Annotated[int, typer.Option(help="Of a clip at most.", min=1)] = 30,
    block: Annotated[int, typer.Option(help="Clips that a process draws at a time.", min=1)] = 50,
    workers: Annotated[int, typer.Option(help="Processes that draw.", min=1)] = 2,
    minutes: Annotated[float | None, typer.Option(help="Begin no block after so many.", min=0)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be drawn.")] = False,
) -> None:
    """Draw training clips with their objects' own tracks, a cache each, and join them to the training split."""
    began = time.monotonic()
    parts = [part for part in plan(clips, block, expressions) if not (_folder(work, part) / META).is_file()]
    wanted = sum(part.count for part in parts)
    if dry_run:
        reporting.print_table("would draw", ["blocks", "clips"], [(str(len(parts)), str(wanted))])
        reporting.emit({"clips": wanted, "workers": workers}, {"work": str(work)})
        return
    caches = work / "caches" / DATASET / "train"
    caches.mkdir(parents=True, exist_ok=True)
    deadline = None if minutes is None else began + 60 * minutes
    with reporting.progress_bar("drawing", wanted) as bar:
        made = _draw(work, parts, caches, workers, deadline, bar)
    merge(work)
    seconds = time.monotonic() - began
    figures = {"clips": made, "left": wanted - made, "seconds": seconds, "clips_per_second": made / seconds}
    reporting.emit(figures, {"workers": workers, "work": str(work)})


def plan(clips: int, block: int, expressions: int) -> list[Split]:
    """The clips in blocks; what is said of them is as of the training split, but less of it."""
    whole = replace(find_split("train"), first_seed=FIRST_SEED, count=clips, expressions=expressions)
    starts = range(0, clips, block)
    return [replace(whole, first_seed=FIRST_SEED + at, count=min(block, clips - at)) for at in starts]


def _draw(
    work: Path, parts: Sequence[Split], caches: Path, workers: int, deadline: float | None, bar: reporting.Progress
) -> int:
    """How many clips were drawn whole before the deadline; the others of their blocks are drawn anew another time."""
    one_thread_each()
    context = multiprocessing.get_context("spawn")
    done, stopping = context.Value("q", 0), context.Event()
    made, wanted = 0, sum(part.count for part in parts)
    with ProcessPoolExecutor(workers, context, _Drawer.open, (done, stopping)) as pool:
        waiting: dict[Any, Split] = {}
        left = list(reversed(parts))
        try:
            with stop_on_signals(None) as stop:
                while waiting or left:
                    late = deadline is not None and time.monotonic() >= deadline
                    while left and not late and len(waiting) < workers:
                        part = left.pop()
                        waiting[pool.submit(_Drawer.draw, part, _folder(work, part), caches)] = part
                    if not waiting:
                        break
                    for future in wait(waiting, LOOK, FIRST_COMPLETED).done:
                        future.result()
                        made += waiting.pop(future).count
                    bar(done.value, wanted)
        except KeyboardInterrupt:
            raise StoppedError(f"{work}: drawing ended; the same command goes on", stop.signal) from None
        finally:
            stopping.set()
    return made


def _folder(work: Path, part: Split) -> Path:
    return work / "parts" / f"drawn-{part.first_seed:06d}-{part.count}-{part.expressions}" / "train"


if __name__ == "__main__":
    cli.run(app)
