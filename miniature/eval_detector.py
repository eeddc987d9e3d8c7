"""`python -m miniature.eval_detector`: how well a detector finds what attribute expressions name, and what its tracks
allow.

Knows the splits, detectors and caches. Does not know training. Thresholds are chosen on `valid` by the training and
only used here; `test` and `shifted_test` are measured once a released checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.metrics.mevis_score import ExpressionScore, MevisScore
from benchmarks.metrics.oracle import Oracle
from benchmarks.protocol import target_masks
from cache import read_cache
from core import cli, rle
from core.errors import InputError
from core.frames import ArrayReader
from core.reporting import emit, print_table, track
from core.types import Expression, Source, TrackSet
from miniature.detector_training.evaluate import Figures, figures
from miniature.splits import find_split
from miniature.train_detector import flat, measure_split, print_figures
from miniature.world import Clip, make_clip
from proposals.detector import Detector
from proposals.generate import propose
from proposals.grounding_dino import Detections, DetectorSettings
from tracksift.ask import Pipeline
from tracksift.jobs import Job, split_jobs
from tracksift.models import MINIATURE, Models, read_threshold

Scores = list[tuple[str, ExpressionScore]]
"""Names of choices, each with the score of one expression."""
CHOICES: Mapping[str, tuple[Source, ...]] = {
    "detector": (Source.GROUNDING_DINO,),
    "grid": (Source.GRID,),
    "both": (Source.GRID, Source.GROUNDING_DINO),
}
EPILOG = (
    "Examples: [bold]python -m miniature.eval_detector runs/detector/detector --split valid --tracks 20[/]  |  "
    "[bold]python -m miniature.eval_detector --split test --split shifted_test --tracks 60[/]  |  "
    "[bold]python -m miniature.eval_detector --data world --split valid --cache caches[/] (after "
    "tracksift generate --data world --split valid --source grid --source grounding_dino)"
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


def oracle_scores(job: Job) -> list[tuple[str, ExpressionScore]]:
    """For every expression of a job's video the best answer that each choice of sources allows.

    Raises:
        InputError: for a split without masks.
        CacheError: when the cache cannot be used.
    """
    truth, tracks = job.ground_truth(), read_cache(job.cache)
    if truth is None or job.annotated is None:
        raise InputError(f"video {job.video_id!r}: expected ground-truth masks, got a split that hides them")
    return allowed(tracks, job.annotated.expressions, truth)


def allowed(
    tracks: TrackSet, expressions: Sequence[Expression], truth: Mapping[str, Sequence[bytes]]
) -> list[tuple[str, ExpressionScore]]:
    """For every expression the best answer that each choice of sources allows; truth: object id -> T COCO masks."""
    oracle = Oracle([one.masks for one in tracks.tracks], tracks.video.size)
    found = []
    for expression in expressions:
        target = target_masks(truth, expression, tracks.video.frames, tracks.video.size)
        for name, sources in CHOICES.items():
            among = own_tracks(tracks, expression, sources)
            absent = not expression.target_ids
            found.append((name, oracle.score(target, among, no_target=absent, kind=expression.kind)))
    return found


def follow_clip(clip: Clip, pipeline: Pipeline, detector: Detector, settings: DetectorSettings) -> TrackSet:
    """A clip's grid tracks, and those of the detector for each of its expressions; each source by itself."""
    reader = ArrayReader(clip.frames, video_id=str(clip.seed), fps=clip.fps)
    grid = propose(reader, pipeline.tracker, pipeline.proposals)
    detections = Detections(pipeline.tracker.model, detector, reader.meta, clip.expressions, settings)
    alone = replace(pipeline.proposals, sources=(Source.GROUNDING_DINO,))
    found = propose(reader, pipeline.tracker, alone, prompters=[detections.prompter()])
    return replace(grid, tracks=(*grid.tracks, *detections.tracks(found.tracks)))


def oracle_of_clips(pipeline: Pipeline, detector: Detector, threshold: float, split: str, clips: int) -> Scores:
    """`allowed` of the first clips of a split, rendered and tracked here."""
    part, settings = find_split(split), replace(pipeline.detector_settings, box_threshold=threshold)
    found: Scores = []
    for seed in track(part.seeds[:clips], f"tracking {split}"):
        clip = make_clip(seed, shifted=part.shifted)
        truth = {thing.id: rle.encode(masks) for thing, masks in zip(clip.objects, clip.masks, strict=True)}
        found += allowed(follow_clip(clip, pipeline, detector, settings), clip.expressions, truth)
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
    detector: Annotated[str, typer.Argument(help="'miniature', or the folder of a training.")] = MINIATURE,
    split: Annotated[list[str], typer.Option(help="Splits to measure. Repeatable.")] = ["valid"],  # noqa: B006
    clips: Annotated[int | None, typer.Option(help="Only the first so many clips of each split.", min=1)] = None,
    tracks: Annotated[
        int, typer.Option(help="Clips of each split that are tracked too, for the oracle by source.", min=0)
    ] = 0,
    data: Annotated[Path | None, typer.Option(help="A rendered world: the oracle of its caches instead.")] = None,
    cache: Annotated[Path, typer.Option(help="Root of the caches, with --data.")] = Path("caches"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    workers: Annotated[int, typer.Option(help="Processes that render; 0: this one.", min=0)] = 0,
) -> None:
    """Measure a detector's boxes on attribute expressions: recall and precision at IoU 0.5, and the share of no-target
    expressions with any box. With --tracks or --data, the oracle J&F of its tracks, the grid's, and both.
    """
    if data is not None:
        _measure_caches(data, split, cache, clips)
        return
    pipeline = Pipeline(Models(detector=detector), device)
    spec = pipeline.models.detector_spec
    loaded, threshold = pipeline.detector, read_threshold(Path(spec))
    measured: dict[str, Figures] = {}
    for name in split:
        count = find_split(name).count if clips is None else clips
        measured[name] = figures(measure_split(loaded, name, count, workers), threshold)
    print_figures("miniature: detector, attribute expressions", measured)
    found = flat(measured)
    if tracks:
        scores = {name: oracle_of_clips(pipeline, loaded, threshold, name, tracks) for name in split}
        found |= _show_oracle(scores)
    emit(found, {"detector": detector, "sha256": loaded.sha256, "clips": clips, "tracked_clips": tracks})


def _measure_caches(data: Path, splits: Sequence[str], cache: Path, clips: int | None) -> None:
    scores: dict[str, Scores] = {}
    for split in splits:
        _, jobs = split_jobs(data, split, cache, clips)
        scores[split] = [pair for job in track(jobs, f"oracle on {split}") for pair in oracle_scores(job)]
    emit(_show_oracle(scores), {"data": str(data), "cache": str(cache), "clips": clips})


def _show_oracle(scores: Mapping[str, Scores]) -> dict[str, float | int]:
    """A table by split and source; its figures by flat names."""
    rows: list[tuple[object, ...]] = []
    found: dict[str, float | int] = {}
    for split, pairs in scores.items():
        for name in CHOICES:
            mine = [score for choice, score in pairs if choice == name]
            attributes = [score for score in mine if score.kind == "attribute"]
            whole, some = MevisScore(mine).compute(), MevisScore(attributes).compute()
            rows.append((split, name, whole.jf, some.jf, whole.n))
            found |= {f"{split}_{name}_oracle_jf": whole.jf, f"{split}_{name}_oracle_attribute_jf": some.jf}
    columns = ("split", "tracks", "J&F", "J&F, attribute", "expressions")
    print_table("miniature: oracle by source of tracks", columns, rows)
    return found


if __name__ == "__main__":
    cli.run(app)
