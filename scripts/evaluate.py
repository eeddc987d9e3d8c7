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
    "  |  [bold]tracksift evaluate --dataset lasot --data LaSOT --predictions results --out lasot.json[/]  |  "
    "[bold]tracksift evaluate --data world --split test --checkpoints seed0,seed1,seed2[/]"
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
        typer.Option(
            help="A judge's words. magqa: JSON lines {question, truth, reply, rating}; without, shared words judge. "
            "Questions: JSON {id: verdict}."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="With --predictions: also write the figures to this JSON.")] = None,
    checkpoints: Annotated[
        str | None, typer.Option(help="Selectors with commas between, such as three seeds: mean and spread of figures.")
    ] = None,
    reliability: Annotated[Path | None, typer.Option(help="Also draw reliability diagrams to this PNG.")] = None,
    zero_shot: Annotated[
        bool, typer.Option("--zero-shot", help="Refuse a selector that was trained or tuned on this very split.")
    ] = False,
    limit: options.Limit = None,
    tracker: options.Tracker = "miniature",
    text_encoder: options.TextEncoder = "miniature",
    selector: options.Selector = "miniature",
    device: options.Device = "auto",
) -> None:
    """Score a split; what could not be answered counts as the least, and is named.

    With --predictions the files of any program by the dataset's official rules, beside baselines that look at nothing
    and the truth itself. Without: caches of `tracksift generate` with public ground truth, by MeViS's rules (J,
    boundary F and J&F an expression); the oracle line is the best J&F that the cached tracks allow. Then no-target F1,
    calibration error (ECE) where the caches have labels, and what 1 - J&F is owed to.
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
    from tracksift.transfer import check_zero_shot

    _, jobs = split_jobs(data, split, cache, limit)
    selectors = checkpoints.split(",") if checkpoints is not None else [selector]
    settings = {"data": data, "split": split, "tracker": tracker, "selector": checkpoints or selector}
    settings["zero_shot"] = zero_shot
    if reliability is not None and len(selectors) > 1:
        raise InputError("--reliability: expected one selector, got --checkpoints with several")
    lines = []
    for name in selectors:
        pipeline = Pipeline(Models(tracker, text_encoder, name), device)
        if zero_shot:
            check_zero_shot(pipeline.selector, jobs)
        with reporting.progress_bar("videos", len(jobs)) as bar:
            result = pipeline_of.evaluate(jobs, pipeline, baselines=baselines, progress=bar)
        lines.append(print_result(f"{split}: {len(jobs)} videos", result, baselines=baselines))
        if reliability is not None:
            result.reliability.draw(reliability)
    reporting.emit(lines[0] if len(lines) == 1 else print_spread(selectors, lines), settings)


def print_result(title: str, result: Evaluation, *, baselines: bool) -> dict[str, reporting.Figure]:
    """Print one selector's tables; its figures under flat names."""
    from tracksift import evaluate as pipeline_of

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
    reporting.print_table(title, COLUMNS, rows)
    selection = result.selection()
    reporting.print_table("the selector's answers", ["figure", "value"], list(selection.items()))
    for video_id, cause in result.failures.items():
        typer.echo(f"failed: {video_id}: {cause}", err=True)
    return line | selection


def print_spread(names: list[str], lines: list[dict[str, reporting.Figure]]) -> dict[str, reporting.Figure]:
    """Print every figure of several selectors with mean and spread (the sample's standard deviation); both, flat."""
    import statistics

    rows, flat_figures = list[tuple[object, ...]](), dict[str, reporting.Figure]()
    for name in lines[0]:
        values = [line.get(name) for line in lines]
        numbers = [float(v) for v in values if isinstance(v, int | float)]
        if len(numbers) == len(lines):
            mean, spread = statistics.mean(numbers), statistics.stdev(numbers)
            rows.append((name, *values, mean, spread))
            flat_figures |= {name: mean, f"{name}_spread": spread}
    columns = ["figure", *(str(i + 1) for i in range(len(names))), "mean", "spread"]
    reporting.print_table(f"{len(names)} selectors", columns, rows)
    return flat_figures


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
