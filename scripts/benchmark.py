"""`tracksift benchmark`: speed beside a reference, in one run.

Knows flags and tables. Does not know what is timed.
"""

from typing import Annotated

import typer

from core import reporting
from core.errors import InputError
from scripts import options


def main(
    name: Annotated[str, typer.Argument(help="proposals or answers.")] = "proposals",
    frames: Annotated[int, typer.Option(help="Frames of the rendered clip.", min=4, max=480)] = 24,
    repeats: Annotated[int, typer.Option(help="Timed repeats, of which the median counts.", min=1)] = 3,
    device: options.Device = "auto",
) -> None:
    """Time a part of TrackSift on a rendered clip with the miniature's weights.

    [bold]proposals[/]: masklets of the objects of frame 0, ours (each frame encoded once, all objects at once) beside
    the official SAM2VideoPredictor (one object at a time), with the share of pixels on which they differ.
    [bold]answers[/]: one new expression from a cache, beside tracking the clip again.
    """
    from miniature import benchmarks
    from tracksift.ask import Pipeline

    if name not in benchmarks.BENCHMARKS:
        raise InputError(f"benchmark: expected one of {', '.join(benchmarks.BENCHMARKS)}, got {name!r}")
    pipeline = Pipeline(device=device)
    with reporting.progress_bar(f"benchmark {name}", None) as bar:
        figures = benchmarks.BENCHMARKS[name](pipeline, frames, repeats, bar)
    reporting.print_table(f"miniature: {name}", ["figure", "value"], list(figures.items()))
    reporting.emit(figures, {"benchmark": name, "frames": frames, "repeats": repeats, "weights": "miniature"})
