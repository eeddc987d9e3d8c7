"""`tracksift fuse`: score files and caches -> answers by one of fusion's modes, or a mode's weights fitted on a split.

Knows flags and tables. Does not know how scores are fused.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core import reporting
from core.atomic import check_folder
from core.errors import InputError, TrackSiftError
from scripts import options

if TYPE_CHECKING:  # slow to import, and `--help` shall be there at once
    from fusion.score_files import Words
    from fusion.settings import Weights
    from tracksift.fusing import Caches
    from tracksift.jobs import Job

SHOWN = 20
EPILOG = (
    "Examples: [bold]tracksift fuse --tracks tracks.jsonl --caches caches --out answers[/]  |  "
    "[bold]tracksift fuse --tracks calib.jsonl --moments calib_moments.jsonl --caches caches --mode gated --data world "
    "--split calib --fit gated.json[/]  |  "
    "[bold]tracksift fuse --tracks valid.jsonl --moments valid_moments.jsonl --caches caches --weights gated.json "
    "--data world --split valid --out answers[/]"
)


def main(
    tracks: Annotated[
        Path, typer.Option(help="The selector's track scores, as core/SCORES.md has them (predict --scores).")
    ],
    caches: Annotated[Path, typer.Option(help="A folder with the cache files that were scored.")],
    moments: Annotated[
        Path | None, typer.Option(help="A grounder's moment scores and, for mode dtos, its boxes.")
    ] = None,
    reranks: Annotated[Path | None, typer.Option(help="A grounder's own track scores, for mode reranked.")] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            help="tracks (the selector alone), gated (its masks inside the spans), dtos (moment first: tracks "
            "weighed by boxes or presence on key frames of the spans), reranked (the grounder weighs the best tracks)."
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Numbers of a mode that --fit wrote; default: a mode's own.")
    ] = None,
    fit: Annotated[
        Path | None, typer.Option(help="Fit the mode's numbers on --data, write them to this file, and answer nothing.")
    ] = None,
    one: Annotated[bool, typer.Option("--one", help="At most one track an answer: tracking of one object.")] = False,
    data: options.Data = None,
    split: options.Split = "valid",
    out: options.Out = Path("answers"),
    png: Annotated[bool, typer.Option("--png", help="Also <video>/<expression>/00000.png, ... in OUT/masks.")] = False,
    dry_run: options.DryRun = False,
) -> None:
    """Fuse a selector's track scores with a grounder's word into answers, from files alone: no model is loaded.

    Writes OUT/<video>/answers.json, which `tracksift evaluate --predictions` and `tracksift submit` read. With --data
    answers hold the words of the expressions, otherwise their ids.
    """
    from fusion.score_files import read_words
    from tracksift.fusing import Caches, default_weights
    from tracksift.jobs import split_jobs
    from tracksift.models import fusion_weights

    if fit is not None and data is None:
        raise InputError("--fit: expected --data and --split with the ground truth to fit on, got none")
    if fit is None:
        check_folder(out)
    chosen = None if mode is None and weights is None and fit is None else choose_weights(mode, weights)
    words = read_words(tracks, moments, reranks)
    chosen = default_weights(words, fusion_weights()) if chosen is None else chosen
    chosen = replace(chosen, rule=replace(chosen.rule, most=1)) if one else chosen
    jobs = None if data is None else split_jobs(data, split, caches)[1]
    files = Caches.under(caches)
    if fit is not None and jobs is not None:
        fit_and_write(words, jobs, files, chosen, fit, dry_run=dry_run)
    else:
        answer_all(words, jobs, files, chosen, None if dry_run else out, png=png)


def choose_weights(mode: str | None, weights: Path | None) -> Weights:
    """Weights by --mode and --weights; InputError where they contradict each other."""
    from fusion.settings import Weights, read_weights

    chosen = Weights(mode or "tracks") if weights is None else read_weights(weights)
    if mode is not None and mode != chosen.mode:
        raise InputError(f"--mode: expected {chosen.mode!r}, for which {weights} was fitted, got {mode!r}")
    return chosen


def fit_and_write(words: Words, jobs: list[Job], files: Caches, start: Weights, place: Path, *, dry_run: bool) -> None:
    """Fit, and say what was found."""
    from fusion.settings import write_weights
    from tracksift.fusing import fit_weights

    check_folder(place.parent)
    with reporting.progress_bar("weights tried") as bar:
        found, missing = fit_weights(words, jobs, files, start, bar)
    if not dry_run:
        write_weights(place, found)
    numbers = {f"{part}.{name}": value for part, values in found.numbers().items() for name, value in values.items()}
    reporting.print_table(f"weights of mode {found.mode}", ["number", "value"], list(numbers.items()))
    reporting.emit(
        {"jf": found.fitted["score"], "expressions": found.fitted["expressions"], "without_scores": missing,
         "unused_lines": words.unused, "sha256": found.sha256, **numbers},
        {"mode": found.mode, "fit": str(place), "dry_run": dry_run},
    )  # fmt: skip


def answer_all(
    words: Words, jobs: list[Job] | None, files: Caches, weights: Weights, out: Path | None, *, png: bool
) -> None:
    """Answer every expression and write what `out` is to hold, None in a dry run; failures are named at the end."""
    from core.ids import safe_name
    from core.types import Answer
    from fusion.writers import write_answers, write_mask_pngs
    from tracksift.fusing import asked_in, fuse_files

    answers: list[Answer] = []
    failed: dict[str, TrackSiftError] = {}
    made = fuse_files(words, files, weights, None if jobs is None else asked_in(jobs))
    for video, result in reporting.track(made, "fusing", len(words.by_video)):
        if isinstance(result, TrackSiftError):
            failed[video] = result
            continue
        answers += result[: max(0, SHOWN - len(answers))]  # what the table shows; masks of a split fill the memory
        if out is not None:
            write_answers(out / safe_name(video) / "answers.json", result)
            if png:
                write_mask_pngs(out / "masks", result)
    rows = [(a.video.id, a.expression.text, ", ".join(f"#{t.index} ({t.score:.2f})" for t in a.tracks) or "none",
             round(a.no_target_probability, 2)) for a in answers]  # fmt: skip
    reporting.print_table("answers", ["video", "expression", "tracks", "no target"], rows)
    unanswered = sum(len(words.by_video[video]) for video in failed)
    reporting.emit(
        {"videos": len(words.by_video), "expressions": len(words), "failures": unanswered,
         "unused_lines": words.unused},
        {"mode": weights.mode, "weights_sha256": weights.sha256, "out": None if out is None else str(out)},
    )  # fmt: skip
    if failed:
        listed = "; ".join(f"{video}: {error}" for video, error in list(failed.items())[:SHOWN])
        raise TrackSiftError(f"{len(failed)} of {len(words.by_video)} videos failed: {listed}")
