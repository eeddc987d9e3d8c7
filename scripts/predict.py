"""`tracksift predict`: a split or one video, and expressions -> answers.

Knows flags and tables. Does not know how answers are made.
"""

from pathlib import Path
from typing import Annotated

import typer

from core import reporting
from core.atomic import check_folder
from core.errors import InputError
from core.scores import write_scores
from core.types import Answer, Expression
from scripts import options
from scripts.results import refuse_failures


def main(
    video: options.Video = None,
    expression: Annotated[
        list[str] | None, typer.Option("--expression", "-e", help="What to look for, in plain words. Repeatable.")
    ] = None,
    expressions_file: Annotated[Path | None, typer.Option(help="A text file with one expression a line.")] = None,
    data: options.Data = None,
    split: options.Split = "valid",
    cache: options.Cache = Path("caches"),
    out: options.Out = Path("answers"),
    detect: Annotated[bool, typer.Option("--detect", help="Also look for the expressions with the detector.")] = False,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Track as this preset of generate does, anew where a cache was made otherwise; default: caches of the "
            "same tracker are taken as they are, and videos without one tracked with balanced."
        ),
    ] = None,
    imported: Annotated[
        str | None, typer.Option(help="Answer from the tracks that `import` made of the masks of this name.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Also write the track scores of all answers to this .jsonl, for `fuse`.")
    ] = None,
    pictures: Annotated[bool, typer.Option(help="Also write overlay.mp4 and page.html a video.")] = True,
    fps: options.Fps = None,
    limit: options.Limit = None,
    tracker: options.Tracker = "miniature",
    text_encoder: options.TextEncoder = "miniature",
    selector: options.Selector = "miniature",
    detector: options.Detector = "miniature",
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Answer expressions: which tracks, where in every frame, and when.

    Videos without a cache, or whose frames or tracker are others now, are tracked first; everything else comes from the
    cache. Writes, for each video, answers.json, overlay.mp4 and page.html.
    """
    from fusion.score_files import scores_of
    from proposals.presets import with_preset
    from tracksift.ask import Pipeline, as_expressions
    from tracksift.generate import generate
    from tracksift.imports import imported_jobs
    from tracksift.jobs import choose_jobs
    from tracksift.models import Models
    from tracksift.predict import predict
    from tracksift.sources import text_expressions

    phrases: list[Expression] | None = None
    if video is not None:
        texts = options.read_expressions(expression, expressions_file)
        phrases = list(text_expressions(texts)) if detect else as_expressions(texts)
    elif expression or expressions_file:
        raise InputError("--expression: expected none with --data, whose annotations have their own")
    check_folder(out)
    if scores is not None:
        check_folder(scores.parent)
    jobs = choose_jobs(video, data, split, cache, fps, limit)
    if imported is not None:
        if detect or preset is not None:
            flag = "--detect" if detect else "--preset"
            raise InputError(f"--imported: expected no {flag} with it, since nothing is tracked, got both")
        jobs = imported_jobs(jobs, cache, imported)
    pipeline = Pipeline(Models(tracker, text_encoder, selector, detector), device)
    settings, extra = pipeline.detecting(phrases) if detect else (pipeline.proposals, None)
    settings = settings if preset is None else with_preset(settings, preset)
    with reporting.progress_bar("tracking") as bar:
        made = [] if imported is not None else generate(
            jobs, pipeline.tracker, settings, image_encoder=pipeline.image_encoder, extra=extra, keep_more=True,
            keep_settings=preset is None, dry_run=dry_run, on_frames=bar,
        )  # fmt: skip
    refuse_failures(made, one=video is not None)
    answers: list[Answer] = []
    files: list[Path] = []
    for job in reporting.track([] if dry_run else jobs, "answering"):
        asked = phrases if phrases is not None else (job.annotated.expressions if job.annotated else ())
        prediction = predict(job, asked, pipeline, out, pictures=pictures)
        answers += prediction.answers
        files += prediction.files
    if scores is not None and not dry_run:
        write_scores(scores, (scores_of(answer) for answer in answers))
        files.append(scores)
    reporting.print_table("answers", ["video", "expression", "tracks", "when", "no target"], [_row(a) for a in answers])
    reporting.emit(
        {
            "videos": len(jobs),
            "expressions": len(answers),
            "no_target": sum(a.no_target for a in answers),
            "files": len(files),
        },
        {"out": str(out), "tracker": tracker, "selector": selector, "dry_run": dry_run},
    )


def _row(answer: Answer) -> tuple[object, ...]:
    tracks = ", ".join(f"#{t.index} ({t.score:.2f})" for t in answer.tracks) or "none"
    when = ", ".join(f"{s.start:.1f}-{s.end:.1f} s" for t in answer.tracks[:1] for s in t.presence)
    return answer.video.id, answer.expression.text, tracks, when or "-", round(answer.no_target_probability, 2)
