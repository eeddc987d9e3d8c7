"""`python -m miniature.eval_detector`: how well a detector finds what attribute expressions name, and what its tracks
allow.

Knows the splits, detectors and caches. Does not know training. Thresholds are chosen on `valid` by the training and
only used here; `test` and `shifted_test` are measured once a released checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.metrics.mevis_score import ExpressionScore, MevisScore
from benchmarks.metrics.oracle import Oracle
from benchmarks.protocol import target_masks
from cache import read_cache
from core import cli
from core.errors import InputError
from core.reporting import emit, print_table, track
from core.types import Expression, Source, TrackSet
from miniature.detector_training.evaluate import Figures, figures
from miniature.splits import find_split
from miniature.train_detector import flat, measure_split, print_figures
from proposals.detector import load_detector
from tracksift.jobs import Job, split_jobs
from tracksift.models import Models

CHOICES: Mapping[str, tuple[Source, ...]] = {
    "detector": (Source.GROUNDING_DINO,),
    "grid": (Source.GRID,),
    "both": (Source.GRID, Source.GROUNDING_DINO),
}
EPILOG = (
    "Examples: [bold]python -m miniature.eval_detector --split test --split shifted_test[/]  |  "
    "[bold]python -m miniature.eval_detector --data world --split valid --cache caches[/] (after "
    "tracksift generate --data world --split valid --source grid --source grounding_dino)"
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


def read_threshold(folder: Path) -> float:
    """The threshold in the record beside a detector's weights; InputError where there is none."""
    try:
        return float(json.loads((folder / "detector.json").read_text(encoding="utf-8"))["threshold"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / 'detector.json'}: expected a record with a threshold, got: {error!r}") from error


def oracle_scores(job: Job) -> list[tuple[str, ExpressionScore]]:
    """For every expression of a job's video the best answer that each choice of sources allows.

    Raises:
        InputError: for a split without masks.
        CacheError: when the cache cannot be used.
    """
    truth, tracks = job.ground_truth(), read_cache(job.cache)
    if truth is None or job.annotated is None:
        raise InputError(f"video {job.video_id!r}: expected ground-truth masks, got a split that hides them")
    oracle = Oracle([one.masks for one in tracks.tracks], tracks.video.size)
    found = []
    for expression in job.annotated.expressions:
        target = target_masks(truth, expression, tracks.video.frames, tracks.video.size)
        for name, sources in CHOICES.items():
            among = own_tracks(tracks, expression, sources)
            absent = not expression.target_ids
            found.append((name, oracle.score(target, among, no_target=absent, kind=expression.kind)))
    return found


def own_tracks(tracks: TrackSet, expression: Expression, sources: Sequence[Source]) -> list[int]:
    """Indices of the tracks of some sources that are for any expression, or for this one."""
    return [
        i
        for i, one in enumerate(tracks.tracks)
        if one.source in sources and one.prompt.expression_id in (None, expression.id)
    ]


@app.command(epilog=EPILOG)
def main(
    detector: Annotated[str, typer.Option(help="'miniature', or the folder of a training.")] = "miniature",
    split: Annotated[list[str], typer.Option(help="Splits to measure. Repeatable.")] = ["valid"],  # noqa: B006
    clips: Annotated[int | None, typer.Option(help="Only the first so many clips of each split.", min=1)] = None,
    data: Annotated[Path | None, typer.Option(help="A rendered world: the oracle of its caches instead.")] = None,
    cache: Annotated[Path, typer.Option(help="Root of the caches, with --data.")] = Path("caches"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    workers: Annotated[int, typer.Option(help="Processes that render; 0: this one.", min=0)] = 0,
) -> None:
    """Measure a detector's boxes on attribute expressions; with --data, the oracle J&F of its tracks and the grid's."""
    if data is not None:
        _measure_oracle(data, split, cache, clips)
        return
    spec = Models(detector=detector).detector_spec
    loaded, threshold = load_detector(spec, device), read_threshold(Path(spec))
    measured: dict[str, Figures] = {}
    for name in split:
        count = find_split(name).count if clips is None else clips
        measured[name] = figures(measure_split(loaded, name, count, workers), threshold)
    print_figures("miniature: detector, attribute expressions", measured)
    emit(flat(measured), {"detector": detector, "sha256": loaded.sha256, "clips": clips})


def _measure_oracle(data: Path, splits: Sequence[str], cache: Path, clips: int | None) -> None:
    rows: list[tuple[object, ...]] = []
    found: dict[str, float | int] = {}
    for split in splits:
        _, jobs = split_jobs(data, split, cache, clips)
        scores = [pair for job in track(jobs, f"oracle on {split}") for pair in oracle_scores(job)]
        for name in CHOICES:
            mine = [score for choice, score in scores if choice == name]
            attributes = [score for score in mine if score.kind == "attribute"]
            whole, some = MevisScore(mine).compute(), MevisScore(attributes).compute()
            rows.append((split, name, whole.jf, some.jf, whole.n))
            found |= {f"{split}_{name}_oracle_jf": whole.jf, f"{split}_{name}_oracle_attribute_jf": some.jf}
    columns = ("split", "tracks", "J&F", "J&F, attribute", "expressions")
    print_table("miniature: oracle by source of tracks", columns, rows)
    emit(found, {"data": str(data), "cache": str(cache), "clips": clips})


if __name__ == "__main__":
    cli.run(app)
