"""`tracksift predict-moments`: a grounder's moments for every sentence of a split -> a score file.

Knows flags and tables. Does not know how moments are found.
"""

from pathlib import Path
from typing import Annotated

import typer

from core import reporting
from core.errors import InputError
from scripts import options

EPILOG = (
    "Examples: [bold]tracksift predict-moments runs/grounder/grounder --data qvhighlights:val=QVHighlights "
    "--out moments.jsonl[/]  |  [bold]tracksift predict-moments runs/grounder/grounder --data mevis:valid_u=MeViS "
    "--out moments.jsonl --cache caches[/]"
)


def main(
    grounder: Annotated[
        str, typer.Argument(help="A grounder's folder, as train-grounder leaves it, or 'miniature'.")
    ] = "miniature",
    *,
    data: Annotated[str, typer.Option(help="NAME=PATH or NAME:SPLIT=PATH of moments or referred masks.")],
    out: Annotated[Path, typer.Option(help="Score file that is written (core/SCORES.md).")] = Path("moments.jsonl"),
    cache: options.Cache = Path("caches"),
    device: options.Device = "auto",
    limit: Annotated[int | None, typer.Option(help="Only the first so many sentences.", min=1)] = None,
    dry_run: options.DryRun = False,
) -> None:
    """Find the moments of each sentence: spans with scores, and the relevance of each frame that was looked at.

    `tracksift evaluate` of the dataset scores the file; `tracksift fuse` joins it with the selector's track scores.
    Features come from `tracksift extract-features`, made as the grounder's record says.
    """
    from core.devices import pick_device
    from core.scores import write_scores
    from llm_grounder.checkpoints import load_grounder
    from llm_grounder.tasks.failures import FailureCounts
    from llm_grounder.types import Task
    from tracksift.annotations import read_examples
    from tracksift.clips import read_inputs
    from tracksift.models import grounder_folder
    from tracksift.moments import cache_of, predict_moments
    from tracksift.recipes import manner_of, read_data_flag

    folder = grounder_folder(grounder)
    name, split, path = read_data_flag(data)
    found = read_examples(name, path, split, known=False)
    asked = [example for example in found.found if example.request.task is Task.MOMENTS][:limit]
    if not asked:
        raise InputError(f"--data {name}: expected sentences about moments or objects, got none")
    # A video's sentences together, so that its features are read once.
    order = {example.video_id: place for place, example in reversed(list(enumerate(asked)))}
    asked.sort(key=lambda example: order[example.video_id])
    caches = {video_id: cache_of(cache, name, found.split, video_id) for video_id in order}
    settings = {"grounder": grounder, "data": data, "out": out, "dry_run": dry_run}
    figures: dict[str, float] = {"sentences": len(asked), "videos": len(caches)}
    if dry_run:
        reporting.emit(figures, settings)
        return
    model, record = load_grounder(folder, pick_device(device))
    failures = FailureCounts()
    with reporting.progress_bar("sentences", len(asked)) as bar:
        scores = predict_moments(
            model, record["weights_sha256"], read_inputs(record), asked, caches, manner_of(record), failures, bar
        )  # fmt: skip
        written = write_scores(out, scores)
    reporting.emit(figures | {"written": written, "failures": failures.failures}, settings)
