"""`tracksift explain`: why answers are as they are, as text and as one HTML page with pictures.

Knows flags and text. Does not know how answers are judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core import reporting
from core.errors import InputError
from scripts import options

if TYPE_CHECKING:  # commands that need no models shall start at once
    from tracksift.explain import ExplainedVideo
    from tracksift.losses import Loss

EPILOG = (
    "Examples: [bold]tracksift explain --data world --split valid[/] (all failures)  |  "
    "[bold]tracksift explain --data world --split valid --id m200000/1[/]  |  "
    '[bold]tracksift explain clip.mp4 -e "the red star"[/]'
)


def main(
    video: options.Video = None,
    expression: Annotated[
        list[str] | None, typer.Option("--expression", "-e", help="What was looked for in VIDEO. Repeatable.")
    ] = None,
    data: options.Data = None,
    split: options.Split = "valid",
    only: Annotated[
        list[str] | None, typer.Option("--id", help="An expression of the split as VIDEO/EXPRESSION. Repeatable.")
    ] = None,
    below: Annotated[
        float, typer.Option(help="A failure is an answer with J&F below this, 0..1.", min=0, max=1.01)
    ] = 0.5,
    out: Annotated[Path, typer.Option(help="The HTML file.")] = Path("explain.html"),
    max_megabytes: options.MaxMegabytes = 64,
    cache: options.Cache = Path("caches"),
    fps: options.Fps = None,
    limit: options.Limit = None,
    text_encoder: options.TextEncoder = "miniature",
    selector: options.Selector = "miniature",
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Say what an answer was chosen by, and what lost the rest: stage 1, the ranking, the threshold or no-target.

    With --data: the failures of a split, or the expressions named by --id, beside ground truth and the oracle's choice.
    With VIDEO: the ranking and its reasons. Needs the caches of `tracksift generate` or `predict`.
    """
    from tracksift.ask import Pipeline
    from tracksift.explain import explain, explain_split
    from tracksift.jobs import choose_jobs
    from tracksift.losses import loss_figures
    from tracksift.models import Models
    from tracksift.report import write_report
    from tracksift.sources import text_expressions

    if video is None and expression:
        raise InputError("--expression: expected none with --data, whose annotations have their own; see --id")
    if video is not None and only:
        raise InputError("--id: expected none with VIDEO, which has no annotations; see --expression")
    jobs = choose_jobs(video, data, split, cache, fps, limit)
    if video is None and not only and not all(job.reader and job.reader.has_masks for job in jobs):
        raise InputError(f"--split {split}: expected ground-truth masks to know failures by, got none; see --id")
    pipeline = Pipeline(Models(text_encoder=text_encoder, selector=selector), device)
    if video is not None:
        phrases = text_expressions(options.read_expressions(expression, None))
        every: Iterable[ExplainedVideo] = [explain(jobs[0], pipeline, phrases)]
    else:
        every = explain_split(jobs, pipeline, only or ())
    losses: list[Loss] = []
    shown = _told(reporting.track(every, "explaining", len(jobs)), losses, None if video or only else below)
    if dry_run:
        count = sum(len(one.explanations) for one in shown)
    else:
        title = jobs[0].video_id if video else f"{split}: some answers" if only else f"{split}: J&F below {below:g}"
        count = write_report(out, title, shown, len(jobs), limit=max_megabytes * 1_000_000).expressions
    reporting.emit(
        {"explained": count, "expressions": len(losses) or count, **loss_figures(losses)},
        {"data": data and str(data), "split": split, "selector": selector, "out": str(out), "dry_run": dry_run},
    )


def _told(videos: Iterable[ExplainedVideo], losses: list[Loss], below: float | None) -> Iterator[ExplainedVideo]:
    """Print what is shown as it passes: failures below `below`, or everything; `losses` gets all of the split's."""
    from tracksift.explain import failures

    for video in videos:
        losses += [one.loss for one in video.explanations if one.loss is not None]
        shown = video if below is None else failures(video, below)
        for one in shown.explanations:
            head = f"{one.video_id}/{one.expression.id}  “{one.expression.text}”"
            typer.echo("\n  ".join([head, *one.sentences()]) + "\n")
        yield shown
