"""`tracksift report`: caches and annotations of a split -> one HTML file to browse its answers and failures.

Knows flags and the table of what was lost. Does not know how answers are judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core import reporting
from scripts import options

if TYPE_CHECKING:  # commands that need no models shall start at once
    from tracksift.explain import ExplainedVideo
    from tracksift.losses import Loss

MINIATURE_NOTE = "Answered by the miniature's selector, which learnt from rendered shapes."
EPILOG = (
    "Examples: [bold]tracksift report --data world --split valid[/]  |  "
    "[bold]tracksift report --data MeViS --split valid_u --cache caches --out valid_u.html --max-megabytes 30[/]"
)


def main(
    data: Annotated[Path, typer.Option(help="A folder in MeViS's layout.")],
    split: options.Split = "valid",
    out: Annotated[Path, typer.Option(help="The HTML file.")] = Path("report.html"),
    max_megabytes: options.MaxMegabytes = 64,
    cache: options.Cache = Path("caches"),
    limit: options.Limit = None,
    text_encoder: options.TextEncoder = "miniature",
    selector: options.Selector = "miniature",
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Write a failure browser: every expression with its answer, ground truth, oracle, scores and spans.

    One file that works from disk, without a network: sort by column, filter by kind, by cause and by words. Needs the
    caches of `tracksift generate`; a video without one counts as lost by stage 1.
    """
    from tracksift.ask import Pipeline
    from tracksift.explain import explain_split
    from tracksift.jobs import split_jobs
    from tracksift.losses import loss_figures
    from tracksift.models import MINIATURE, Models
    from tracksift.report import Report, write_report

    _, jobs = split_jobs(data, split, cache, limit)
    report = Report(expressions=sum(len(job.annotated.expressions) for job in jobs if job.annotated))
    losses: list[Loss] = []
    if not dry_run:
        pipeline = Pipeline(Models(text_encoder=text_encoder, selector=selector), device)
        videos = _noted(reporting.track(explain_split(jobs, pipeline), "explaining", len(jobs)), losses)
        note = MINIATURE_NOTE if selector == MINIATURE else ""
        report = write_report(
            out, f"{data.name} {split}", videos, len(jobs), note=note,
            facts=[f"selector {selector}"], limit=max_megabytes * 1_000_000,
        )  # fmt: skip
    figures = loss_figures(losses)
    rows = [("J&F" if name == "jf" else name.replace("_", " "), value) for name, value in figures.items()]
    reporting.print_table(f"{split}, {len(jobs)} videos", ["", "mean"], rows)
    reporting.emit(
        {"expressions": report.expressions, "videos": len(jobs), "without_pictures": report.bare, **figures,
         "megabytes": report.size / 1e6},
        {"data": str(data), "split": split, "selector": selector, "out": str(out), "dry_run": dry_run},
    )  # fmt: skip


def _noted(videos: Iterable[ExplainedVideo], losses: list[Loss]) -> Iterator[ExplainedVideo]:
    """The videos as they pass; `losses` gets those of their expressions."""
    for video in videos:
        losses += [one.loss for one in video.explanations if one.loss is not None]
        yield video
