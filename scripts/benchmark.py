"""`tracksift benchmark`: speed beside a reference, in one run.

Knows flags and tables. Does not know what is timed.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from core import reporting
from core.errors import InputError
from scripts import options
from scripts.benchmark_rows import RowChoice, show, time_row

Made = TypeVar("Made")

EPILOG = (
    "Examples: [bold]tracksift benchmark proposals[/]  |  "
    "[bold]tracksift benchmark proposals --row A --size large --objects 64 --frames 60[/]  |  "
    "[bold]tracksift benchmark answers --frames 48[/]  |  [bold]tracksift benchmark cache --frames 100[/]  |  "
    "[bold]tracksift benchmark metrics --expressions 20[/]  |  [bold]tracksift benchmark selector --scale small[/]  |  "
    "[bold]tracksift benchmark grounder --scale small --device cpu[/]"
)


def main(
    name: Annotated[
        str, typer.Argument(help="proposals, answers, presets, cache, metrics, selector or grounder.")
    ] = "proposals",
    frames: Annotated[
        int | None, typer.Option(help="Frames of the clip; 24, and 60 for metrics, if not given.", min=4, max=100_000)
    ] = None,
    repeats: Annotated[int, typer.Option(help="Timed repeats, of which the median counts.", min=1)] = 3,
    row: Annotated[
        str | None,
        typer.Option(
            help="proposals: A (prompts on frame 0) or B (on every fourth frame, both ways), memory (peaks by frames "
            "and objects), long (the miniature over 10,000 frames), profile and profile-B (top kernels), keys (one "
            "kernel's tiles) or parity (bfloat16 beside the package's)."
        ),
    ] = None,
    size: Annotated[str, typer.Option(help="With --row: tiny, small, base_plus or large.")] = "large",
    objects: Annotated[
        int | None,
        typer.Option(help="With --row: prompts; 64 if not given, and 1, 16 and 64 for memory.", min=1, max=1024),
    ] = None,
    compiled: Annotated[bool, typer.Option(help="With --row: compile our parts.")] = True,
    replayed: Annotated[bool, typer.Option(help="With --row, compiled: small batches as CUDA graphs.")] = True,
    alone: Annotated[bool, typer.Option("--alone", help="With --row: ours only (memory, long clips).")] = False,
    feature_gib: Annotated[
        float | None,
        typer.Option(
            help="With --row: GiB of frame features on the device; 16, and 0.5 for memory and long.", min=0.001
        ),
    ] = None,
    host_gib: Annotated[
        float | None,
        typer.Option(help="With --row: GiB of them in page-locked host memory; 16, and 1 for memory and long.", min=0),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="With cache: a split's folder of cache files in place of made-up tracks.")
    ] = None,
    expressions: Annotated[int, typer.Option(help="metrics: answers that are scored.", min=1)] = 200,
    scale: Annotated[
        str,
        typer.Option(
            help="selector: full (64 tracks of 200 frames, RoBERTa-large); grounder: full (4 clips of 96 frames, "
            "Qwen3-0.6B); small to try either."
        ),
    ] = "full",
    device: options.Device = "auto",
) -> None:
    """Time a part of TrackSift, beside a reference and in one process.

    [bold]proposals[/]: masklets of the objects of frame 0 of a rendered clip with the miniature's weights, ours (each
    frame encoded once, all objects at once) beside the official SAM2VideoPredictor (one object at a time), with the
    share of pixels on which they differ. With --row: a SAM 2.1 of random weights on 854x480 frames, from JPEG files to
    COCO masks, beside SOLA's way (four prompts a pass) and, in row A, the official predictor.
    [bold]answers[/]: one new expression from a cache, beside tracking the clip again.
    [bold]presets[/]: oracle J&F, tracks, duplicates and seconds of both orders and of each preset of generate, on the
    first --repeats clips of the miniature's split valid.
    [bold]cache[/]: until the tokens of a split are float32 in memory, from its packed file, from .h5 files and from the
    same tracks in SOLA's layout, warm and cold; bytes; verifying. By default of made-up tracks of SAM2's size.
    [bold]metrics[/]: J&F of drawn answers of 480x854, beside the definition word for word in the same process, the
    largest difference, and expressions a second over 1, 2, 4 .. processes.
    [bold]selector[/]: expressions a second in training, ours and SOLA's module in our loop, beside SOLA's loop to the
    letter; milliseconds of one new expression about a video in memory, text encoder apart and included, and of 1,000.
    [bold]grounder[/]: tokens and videos a second of a language model of Qwen3-0.6B's shape, from cached features and
    from raw frames, with each of torch's kernels of attention, in training, writing and streaming.
    """
    if name == "grounder":
        _time_grounder(scale, repeats, device)
        return
    if name == "selector":
        _time_selector(scale, repeats, device)
        return
    if folder is not None and name != "cache":
        raise InputError(f"--folder: expected the benchmark cache, got {name!r}")
    if name == "metrics":
        _time_metrics(expressions, frames or 60)
        return
    if row is not None:
        budgets = feature_gib, host_gib
        if name != "proposals":
            raise InputError(f"--row: expected the benchmark proposals, got {name!r}")
        time_row(RowChoice(row, size, objects, frames, repeats, compiled, replayed, alone, *budgets), device)
        return
    frames = frames or 24
    if name == "cache":
        _time_caches(folder, frames, repeats)
        return
    from miniature import benchmarks
    from tracksift.ask import Pipeline

    if name not in benchmarks.BENCHMARKS:
        raise InputError(
            f"benchmark: expected one of {', '.join(benchmarks.BENCHMARKS)}, cache, metrics, selector, grounder, "
            f"got {name!r}"
        )
    pipeline = Pipeline(device=device)
    with reporting.progress_bar(f"benchmark {name}", None) as bar:
        figures = benchmarks.BENCHMARKS[name](pipeline, frames, repeats, bar)
    show(
        f"miniature: {name}", figures, {"benchmark": name, "frames": frames, "repeats": repeats, "weights": "miniature"}
    )


def _time_caches(folder: Path | None, frames: int, repeats: int) -> None:
    from tracksift.cache_tools.benchmark import time_caches

    with reporting.progress_bar("benchmark cache", repeats) as bar:
        figures = time_caches(folder, frames, repeats, bar)
    show(
        "cache: ours and SOLA's layout",
        figures,
        {"benchmark": "cache", "frames": frames, "repeats": repeats, "folder": folder},
    )


def _time_metrics(expressions: int, frames: int) -> None:
    from benchmarks.metrics.speed import SIZE, time_metrics

    with reporting.progress_bar("benchmark metrics", expressions) as bar:
        figures = time_metrics(expressions, frames, bar)
    title = f"J&F: {expressions} expressions of {frames} frames of {SIZE[0]}x{SIZE[1]}"
    show(title, figures, {"benchmark": "metrics", "expressions": expressions, "frames": frames, "size": SIZE})


def _time_selector(scale: str, repeats: int, device: str) -> None:
    from dataclasses import asdict

    from core.devices import pick_device
    from selector.benchmark import SCALES, time_selector

    settings = _at_scale(SCALES, scale, repeats)
    with reporting.progress_bar("benchmark selector") as bar:
        figures = time_selector(settings, pick_device(device), bar)
    title = f"selector: {settings.tracks} tracks of {settings.frames} frames"
    show(title, figures, {"benchmark": "selector", "weights": "random", **asdict(settings)})


def _time_grounder(scale: str, repeats: int, device: str) -> None:
    from dataclasses import asdict

    from core.devices import pick_device
    from llm_grounder.benchmark import time_grounder
    from llm_grounder.made_up import SCALES

    settings = _at_scale(SCALES, scale, repeats)
    with reporting.progress_bar("benchmark grounder") as bar:
        figures = time_grounder(settings, pick_device(device), bar)
    title = f"grounder: {settings.clips} clips of {settings.frames} frames, {settings.visual} tokens a frame"
    show(title, figures, {"benchmark": "grounder", "weights": "random", **asdict(settings)})


def _at_scale(scales: Mapping[str, Callable[[int], Made]], scale: str, repeats: int) -> Made:
    """The settings that a scale's name stands for; InputError for a name that is none."""
    if scale not in scales:
        raise InputError(f"--scale: expected one of {', '.join(scales)}, got {scale!r}")
    return scales[scale](repeats)
