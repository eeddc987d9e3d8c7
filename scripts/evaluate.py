"""`tracksift evaluate`: a split -> its figures, from caches with the oracle beside it, or from prediction files.

Knows flags and tables. Does not know metrics.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.catalog import names
from core import reporting
from core.errors import InputError
from scripts import options
from scripts.evaluate_files import score_files

if TYPE_CHECKING:
    from benchmarks.metrics.mevis_score import MevisFigures
    from tracksift.evaluate import Evaluation

EPILOG = (
    "Examples: [bold]tracksift evaluate --data world --split valid[/]  |  "
    "[bold]tracksift evaluate --dataset qvhighlights --data highlight_val_release.jsonl --predictions scores.jsonl[/]"
    "  |  [bold]tracksift evaluate --dataset lasot --data LaSOT --predictions results --out lasot.json[/]"
)
COLUMNS = ["", "J&F", "J", "F", "J&F, targets", "no-target acc.", "n"]


def main(
    data: Annotated[
        Path, typer.Option(help="The dataset's folder, or its annotation file; with caches one in MeViS's layout.")
    ],
    split: Annotated[
        str | None, typer.Option(help="The split; by default valid, with --predictions the dataset's first.")
    ] = None,
    dataset: Annotated[str, typer.Option(help=f"With --predictions, one of {names()}.")] = "mevis",
    predictions: Annotated[
        Path | None, typer.Option(help="Score these files and no caches; `tracksift data list` says which forms.")
    ] = None,
    cache: options.Cache = Path("caches"),
    baselines: Annotated[bool, typer.Option(help="Also score baselines that no evaluator may favour.")] = True,
    tokeniser: Annotated[
        str, typer.Option(help="Captions: plain, or treebank as published figures have it (Java).")
    ] = "plain",
    meteor: Annotated[bool, typer.Option("--meteor", help="Captions: METEOR and SODA_c as well (Java).")] = False,
    ratings: Annotated[
        Path | None,
        typer.Option(help="magqa: JSON lines {question, truth, reply, rating} of a judge; else shared words judge."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="With --predictions: also write the figures to this JSON.")] = None,
    limit: options.Limit = None,
    tracker: options.Tracker = "miniature",
    text_encoder: options.TextEncoder = "miniature",
    selector: options.Selector = "miniature",
    device: options.Device = "auto",
) -> None:
    """Score a split; what could not be answered counts as the least, and is named.

    With --predictions the files of any program by the dataset's official rules, beside baselines that look at nothing
    and the truth itself. Without: caches of `tracksift generate` with public ground truth, by MeViS's rules (J,
    boundary F and J&F an expression); the oracle line is the best J&F that the cached tracks allow.
    """
    if predictions is not None:
        score_files(
            dataset, data, split, predictions, baselines=baselines, tokeniser=tokeniser, meteor=meteor,
            ratings=ratings, out=out,
        )  # fmt: skip
        return
    if dataset != "mevis" or out is not None:
        raise InputError("--dataset and --out: expected --predictions with them, got none")
    split = split or "valid"
    from tracksift import evaluate as pipeline_of
    from tracksift.ask import Pipeline
    from tracksift.jobs import split_jobs
    from tracksift.models import Models

    _, jobs = split_jobs(data, split, cache, limit)
    pipeline = Pipeline(Models(tracker, text_encoder, selector), device)
    with reporting.progress_bar("videos", len(jobs)) as bar:
        result = pipeline_of.evaluate(jobs, pipeline, baselines=baselines, progress=bar)
    figures = result.figures(pipeline_of.SELECTOR)
    oracle = result.figures(pipeline_of.ORACLE)
    rows = kind_rows(result, pipeline_of.SELECTOR)
    rows.append(row("oracle of the tracks", oracle))
    line = flat(figures, oracle)
    line |= {f"{k}_jf": f.jf for k, f in result.scores[pipeline_of.SELECTOR].by_kind().items() if k}
    if baselines:
        blind, best = result.best_blind()
        random, shuffled = (result.figures(p) for p in (pipeline_of.RANDOM, pipeline_of.SHUFFLED))
        rows += [row("a random track", random), row(f"best text-blind: {blind}", best)]
        rows.append(row("shuffled expressions", shuffled))
        line |= {"random_jf": random.jf, "blind_jf": best.jf, "blind_choice": blind, "shuffled_jf": shuffled.jf}
    reporting.print_table(f"{split}: {len(jobs)} videos", COLUMNS, rows)
    for video_id, cause in result.failures.items():
        typer.echo(f"failed: {video_id}: {cause}", err=True)
    reporting.emit(line, {"data": str(data), "split": split, "tracker": tracker, "selector": selector})


def kind_rows(result: Evaluation, policy: str) -> list[tuple[object, ...]]:
    """Table rows of a policy: all expressions, then each kind."""
    kinds = result.scores[policy].by_kind()
    return [row(policy, result.figures(policy)), *(row(f"- {kind}", f) for kind, f in kinds.items() if kind)]


def row(name: str, figures: MevisFigures) -> tuple[object, ...]:
    """A table row under COLUMNS."""
    f = figures
    return (name, f.jf, f.j, f.f, f.target_jf, f.no_target_accuracy, f.n)


def flat(figures: MevisFigures, oracle: MevisFigures) -> dict[str, reporting.Figure]:
    """Figures under the flat names of the last line."""
    names = ("jf", "j", "f", "target_jf", "no_target_accuracy", "target_accuracy", "final_score", "n", "failures")
    return {name: getattr(figures, name) for name in names} | {"oracle_jf": oracle.jf}
