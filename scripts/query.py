"""`tracksift query`: cache files and expressions -> tracks with their probabilities, without the videos.

Knows flags, tables and lines of JSON. Does not know how tracks are scored.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core import reporting
from core.atomic import check_folder
from core.errors import InputError
from core.ids import safe_name
from scripts import options

if TYPE_CHECKING:  # commands that need no models shall start at once
    from core.frames import VideoReader
    from tracksift.query import Found, Index

SHOWN = 100
EPILOG = (
    'Examples: [bold]tracksift query caches/mevis/valid "the red star" "what moves left"[/]  |  '
    "[bold]tracksift query caches/videos/single/clip.h5 --expressions-file phrases.txt --json[/]  |  "
    '[bold]tracksift query caches/videos/single/clip.h5 "the red star" --video clip.mp4 --out found[/]'
)


def main(
    caches: Annotated[Path, typer.Argument(metavar="CACHE", help="A cache file, or a folder of them.")],
    expressions: Annotated[list[str] | None, typer.Argument(help="What to look for, in plain words.")] = None,
    expressions_file: Annotated[Path | None, typer.Option(help="A text file with one expression a line.")] = None,
    top: Annotated[int, typer.Option(help="Tracks shown an expression (with --json: and video).", min=1)] = 5,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON for each expression and video, in place of the table.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Also write answers.json with the masks, a folder a video.")] = None,
    video: Annotated[
        Path | None, typer.Option(help="The video of the one cache file: overlay.mp4 is written beside answers.json.")
    ] = None,
    fps: options.Fps = None,
    memory: Annotated[int, typer.Option(help="Megabytes of tracks that may be held in memory.", min=1)] = 8192,
    text_encoder: options.TextEncoder = "miniature",
    selector: options.Selector = "miniature",
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Answer expressions from caches alone, any number at once: a split's tracks are read into memory first.

    For each expression the most probable tracks of all videos are listed, with the probability that anything in their
    video is meant (presence). Scores are those of `tracksift predict`.

    A line of --json: video, expression, expression_id, no_target, presence, and tracks, each with index, probability,
    selected, spans \\[start, end] in seconds, and for selected tracks boxes \\[x1, y1, x2, y2] in pixels or null a
    frame.
    """
    from tracksift.ask import Pipeline
    from tracksift.models import Models
    from tracksift.query import Index

    phrases = options.read_expressions(expressions, expressions_file)
    if video is not None and out is None:
        raise InputError("--video: expected --out with it, a folder for the overlay, got none")
    if out is not None:
        check_folder(out)
    pipeline = Pipeline(Models(text_encoder=text_encoder, selector=selector), device)
    with reporting.progress_bar("reading caches") as bar:
        index = Index(caches, pipeline, limit=memory * 1_000_000, progress=bar)
    reader = None if video is None else _open(video, index, fps)
    start = perf_counter()
    with reporting.progress_bar("answering", len(index)) as bar:
        found = index.query(phrases, bar)
    seconds = perf_counter() - start
    if as_json:
        for one in (one for row in found for one in row):
            sys.stdout.write(json.dumps(_line(index, one, top)) + "\n")
    else:
        _print(index, found, top)
    files = 0 if out is None or dry_run else _write(index, found, out, reader)
    reporting.emit(
        {
            "videos": len(index),
            "tracks": index.tracks,
            "expressions": len(found),
            "no_target": sum(not one.tracks for row in found for one in row),
            "megabytes": index.nbytes / 1e6,
            "milliseconds": 1000 * seconds,
            "milliseconds_an_expression": 1000 * seconds / len(found),
            "files": files,
        },
        {"caches": str(caches), "selector": selector, "text_encoder": text_encoder, "dry_run": dry_run},
    )


def _print(index: Index, found: list[tuple[Found, ...]], top: int) -> None:
    rows = []
    for row in found:
        pairs = [(one, track) for one in row for track in one.ranking]
        pairs.sort(key=lambda pair: -pair[0].probability(pair[1]))
        for one, track in pairs[:top]:
            when = ", ".join(f"{s.start:.1f}-{s.end:.1f}" for s in index.spans(one, track)) or "-"
            mark = "yes" if track in one.tracks else ""
            numbers = (one.probability(track), one.presence)
            rows.append((one.expression.text, one.video.id, f"#{track}", *numbers, mark, when))
    columns = ["expression", "video", "track", "probability", "presence", "selected", "in view, s"]
    title = "best tracks" + (f", first {SHOWN} of {len(rows)} rows" if len(rows) > SHOWN else "")
    reporting.print_table(title, columns, rows[:SHOWN])


def _line(index: Index, found: Found, top: int) -> dict[str, Any]:
    """One expression in one video, JSON-able: all selected tracks with boxes, and others up to `top` without."""
    others = [track for track in found.ranking if track not in found.tracks]
    shown = [*found.tracks, *others[: max(0, top - len(found.tracks))]]
    return {
        "video": found.video.id,
        "expression": found.expression.text,
        "expression_id": found.expression.id,
        "no_target": not found.tracks,
        "presence": found.presence,
        "tracks": [
            {
                "index": track,
                "probability": found.probability(track),
                "selected": track in found.tracks,
                "spans": [[s.start, s.end] for s in index.spans(found, track)],
                "boxes": _boxes(index, found, track) if track in found.tracks else None,
            }
            for track in shown
        ],
    }


def _boxes(index: Index, found: Found, track: int) -> list[list[float] | None]:
    """T boxes x1, y1, x2, y2 in pixels, None where the track is not in view."""
    return [None if box[0] != box[0] else box for box in index.boxes(found, track).tolist()]


def _open(video: Path, index: Index, fps: float | None) -> VideoReader:
    """The frames of the index's one video; InputError where it has more, or is of other frames."""
    from core.frames import open_video

    if len(index) != 1:
        raise InputError(f"--video: expected one cache file with it, got {len(index)}")
    (known,) = index.videos
    reader = open_video(video, video_id=known.id, fps=fps)
    if (reader.meta.fingerprint, reader.meta.frames) != (known.fingerprint, known.frames):
        reader.close()
        raise InputError(f"--video {video}: expected the video that the cache was made of, got other frames")
    return reader


def _write(index: Index, found: list[tuple[Found, ...]], out: Path, reader: VideoReader | None) -> int:
    """Write each video's answers, and the overlay where there is a video; the number of files."""
    from fusion.overlay import write_overlay
    from fusion.writers import write_answers

    for number, known in enumerate(reporting.track(index.videos, "writing")):
        answers = [index.answer(row[number]) for row in found]
        folder = out / safe_name(known.id)
        write_answers(folder / "answers.json", answers)
        if reader is not None:
            write_overlay(folder / "overlay.mp4", iter(reader), reader.meta, [a for a in answers if not a.no_target])
            reader.close()
    return len(index) + (reader is not None)
