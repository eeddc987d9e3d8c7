"""`tracksift predict`: a split or one video, and expressions -> answers.

Knows flags and tables. Does not know how answers are made.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core import reporting
from core.atomic import check_folder
from core.errors import InputError
from core.scores import Scores, write_scores
from core.types import Answer, Expression, MomentScores
from scripts import options
from scripts.results import refuse_failures

if TYPE_CHECKING:  # slow to import, and `--help` shall be there at once
    from tracksift.predict import Form

EPILOG = (
    'Examples: [bold]tracksift predict clip.mp4 -e "the yellow disc" -e "the red object on the left"[/]  |  '
    '[bold]tracksift predict videos/ -e "the yellow disc" --format json --format png[/]  |  '
    "[bold]tracksift predict --data world --split valid --no-pictures --json[/]"
)


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
    moments: Annotated[
        Path | None, typer.Option(help="Also write when they hold, by a selector with a moment head, for `fuse`.")
    ] = None,
    forms: Annotated[
        list[str] | None,
        typer.Option("--format", help="json, png (masks), mp4 or html; repeatable. Default: json, mp4 and html."),
    ] = None,
    pictures: Annotated[bool, typer.Option(help="--no-pictures: --format json alone.")] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON an answer on standard output, in place of the table.")
    ] = False,
    fps: options.Fps = None,
    limit: options.Limit = None,
    tracker: options.Tracker = "miniature",
    text_encoder: options.TextEncoder = "miniature",
    selector: options.Selector = "miniature",
    detector: options.Detector = "miniature",
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Answer expressions: which tracks, where in every frame, and when; of a video, a folder of videos or a split.

    Videos without a cache, or whose frames or tracker are others now, are tracked first; everything else comes from
    the cache. Writes, for each video, answers.json, overlay.mp4 and page.html, or what --format says. With --json
    each line holds the video, the expression, no_target, presence, moments, and of each selected track index,
    probability, spans and boxes (x1, y1, x2, y2 or null a frame).
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

    wanted = choose_forms(forms, pictures=pictures)
    phrases: list[Expression] | None = None
    if video is not None:
        texts = options.read_expressions(expression, expressions_file)
        phrases = list(text_expressions(texts)) if detect else as_expressions(texts)
    elif expression or expressions_file:
        raise InputError("--expression: expected none with --data, whose annotations have their own")
    for place in (out, *(path.parent for path in (scores, moments) if path is not None)):
        check_folder(place)
    jobs = choose_jobs(video, data, split, cache, fps, limit)
    if imported is not None:
        if detect or preset is not None:
            flag = "--detect" if detect else "--preset"
            raise InputError(f"--imported: expected no {flag} with it, since nothing is tracked, got both")
        jobs = imported_jobs(jobs, cache, imported)
    pipeline = Pipeline(Models(tracker, text_encoder, selector, detector), device)
    if moments is not None and not pipeline.tells_moments:
        raise InputError(f"--moments: expected a selector with a moment head, got {selector!r} without one")
    settings, extra = pipeline.detecting(phrases) if detect else (pipeline.proposals, None)
    settings = settings if preset is None else with_preset(settings, preset)
    with reporting.progress_bar("tracking") as bar:
        made = [] if imported is not None else generate(
            jobs, pipeline.tracker, settings, image_encoder=pipeline.image_encoder, extra=extra, keep_more=True,
            keep_settings=preset is None, dry_run=dry_run, on_frames=bar,
        )  # fmt: skip
    refuse_failures(made, one=len(jobs) == 1)
    answers: list[Answer] = []
    files: list[Path] = []
    told: list[MomentScores] = []
    for job in reporting.track([] if dry_run else jobs, "answering"):
        asked = phrases if phrases is not None else (job.annotated.expressions if job.annotated else ())
        prediction = predict(job, asked, pipeline, out, forms=wanted)
        answers += prediction.answers
        told += pipeline.moments(job.cache, asked) if moments is not None else ()
        files += prediction.files
    if not dry_run:
        files += keep_scores(scores, (scores_of(answer) for answer in answers)) + keep_scores(moments, told)
    show(answers, as_json=as_json)
    reporting.emit(
        {
            "videos": len(jobs),
            "expressions": len(answers),
            "no_target": sum(a.no_target for a in answers),
            "files": len(files),
        },
        {"out": str(out), "tracker": tracker, "selector": selector, "dry_run": dry_run},
    )


def keep_scores(place: Path | None, scores: Iterable[Scores]) -> list[Path]:
    """Write a score file where one is asked for; the files written."""
    if place is None:
        return []
    write_scores(place, scores)
    return [place]


def show(answers: Sequence[Answer], *, as_json: bool) -> None:
    """Answers as lines of JSON, or as a table."""
    if as_json:
        for answer in answers:
            sys.stdout.write(json.dumps(_line(answer), ensure_ascii=False) + "\n")
        return
    columns = ["video", "expression", "tracks", "when", "no target"]
    reporting.print_table("answers", columns, [_row(answer) for answer in answers])


def choose_forms(forms: list[str] | None, *, pictures: bool) -> tuple[Form, ...]:
    """What --format and --no-pictures ask for; InputError for an unknown form, or where they contradict each other."""
    from tracksift.predict import FORMS, Form

    if forms is None:
        return FORMS if pictures else (Form.JSON,)
    if not pictures:
        raise InputError("--no-pictures: expected no --format with it, got both")
    if unknown := [form for form in forms if form not in list(Form)]:
        raise InputError(f"--format: expected some of {', '.join(Form)}, got {unknown[0]!r}")
    return tuple(Form(form) for form in forms)


def _line(answer: Answer) -> dict[str, Any]:
    """An answer as `query --json` has it, with its moments; the masks are in answers.json."""
    return {
        "video": answer.video.id,
        "expression": answer.expression.text,
        "expression_id": answer.expression.id,
        "no_target": answer.no_target,
        "presence": 1 - answer.no_target_probability,
        "moments": [[span.start, span.end, span.score] for span in answer.moments],
        "tracks": [
            {
                "index": track.index,
                "probability": track.score,
                "spans": [[span.start, span.end] for span in track.presence],
                "boxes": [None if box[0] != box[0] else box for box in track.boxes.tolist()],
            }
            for track in answer.tracks
        ],
    }


def _row(answer: Answer) -> tuple[object, ...]:
    tracks = ", ".join(f"#{t.index} ({t.score:.2f})" for t in answer.tracks) or "none"
    when = ", ".join(f"{s.start:.1f}-{s.end:.1f} s" for t in answer.tracks[:1] for s in t.presence)
    return answer.video.id, answer.expression.text, tracks, when or "-", round(answer.no_target_probability, 2)
