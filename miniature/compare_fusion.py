"""`python -m miniature.compare_fusion`: fusion's modes, fitted on calib, and chosen on valid and shifted_dev.

Makes what is missing of worlds, caches and score files, and writes the table, a chart, every way's weights, and those
of the chosen one, which `tracksift fuse` then takes by default. Knows the miniature's splits and scorers. Does not know
how modes decide or are measured. The test splits are read only when asked for, once a release.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from core import cli
from core.atomic import check_folder
from core.charts import Bar, draw_bars
from core.errors import InputError
from core.reporting import emit, print_table, progress_bar
from fusion.settings import Weights, write_weights
from llm_grounder.checkpoints import read_record
from miniature.fusion_scores import ground_moments, score_moments, score_tracks
from miniature.report import HERE, Flat, Section, facts, write_results
from miniature.tracked_splits import FILMS, SHORT, World, tracked_split
from tracksift.ask import Pipeline
from tracksift.fusing import Caches
from tracksift.fusion_table import COLUMNS, Measured, Split, Way, choose, fit_ways, measure, ways_of
from tracksift.models import FUSION, grounder_folder

CALIB: Final = "calib"
CHOICE: Final = ("valid", "shifted_dev")
READING: Final = ("test", "shifted_test")
GROUNDER, SELECTOR = "grounder", "selector"
EPILOG = (
    "Examples: [bold]python -m miniature.compare_fusion --work runs/report[/]  |  "
    "[bold]python -m miniature.compare_fusion --work runs/report --read[/]  |  "
    "[bold]python -m miniature.compare_fusion --work runs/try --clips 4 --out runs/try[/]  |  "
    "[bold]python -m miniature.compare_fusion --work runs/report --moments 'chat=chat/{split}.jsonl'[/]  |  "
    "[bold]python -m miniature.compare_fusion --work runs/films --long --grounder miniature[/]"
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


@dataclass(frozen=True)
class Scores:
    """Score files of all splits, as paths with {split}: of tracks, and moments and reranks by the source's name."""

    tracks: str
    sources: Mapping[str, tuple[str | None, str | None]]


def prepare(
    pipeline: Pipeline, grounder: Path | None, given: Mapping[str, tuple[str | None, str | None]], names: Sequence[str],
    work: Path, workers: int, clips: int | None, world: World = SHORT,
) -> tuple[dict[str, Split], Scores]:  # fmt: skip
    """Worlds, caches and score files of the splits; those of the miniature's own scorers are made anew.

    grounder: a folder, or None for none.   given: score files of other sources.
    """
    place = work / ("scores_long" if world.long else "scores")
    place.mkdir(parents=True, exist_ok=True)
    moments: dict[str, tuple[str | None, str | None]] = dict(given)
    for name, there in ((GROUNDER, grounder is not None), (SELECTOR, pipeline.tells_moments)):
        if there:
            moments[name] = str(place / f"{{split}}_{name}.jsonl"), None
    scores, splits = Scores(str(place / "{split}_tracks.jsonl"), moments), {}
    for name in names:
        jobs = tracked_split(pipeline, name, work, workers, clips, world)
        if not jobs:
            raise InputError(f"split {name}: expected one clip or more, got none")
        score_tracks(pipeline, name, jobs, Path(scores.tracks.format(split=name)))
        if SELECTOR in moments:
            score_moments(pipeline, name, jobs, place / f"{name}_{SELECTOR}.jsonl")
        if grounder is not None:
            ground_moments(
                grounder, pipeline.device, name, jobs, world.place(work, name), place / f"{name}_{GROUNDER}.jsonl"
            )
        splits[name] = Split(name, jobs, Caches.under(jobs[0].cache.parent))
    return splits, scores


def measure_split(split: Split, scores: Scores, fitted: Mapping[str, tuple[Way, Weights]]) -> dict[str, Measured]:
    """Every way's figures on a split, by name."""
    found = {}
    for name, (way, weights) in fitted.items():
        with progress_bar(f"{split.name}: {name}", len(split.jobs)) as bar:
            found[name] = measure(way.words(scores.tracks, split.name), split, weights, bar)
    return found


def section_of(split: Split, found: Mapping[str, Measured], chosen: str, world: World = SHORT) -> Section:
    """The table of a split, with the chosen way marked."""
    rows = tuple((f"{name} (default)" if name == chosen else name, *m.row()) for name, m in found.items())
    figures: Flat = {}
    kind = f"fusion_{'long_' if world.long else ''}{split.name}"
    for name, measured in found.items():
        values = {key: value for key, value in asdict(measured).items() if key != "causes"}
        figures |= {f"{kind}_{name.replace(' by ', '_')}_{key}": value for key, value in values.items()}
    return Section(
        f"fusion, {split.name}, {len(split.jobs)} {'films' if world.long else 'clips'}", ("", *COLUMNS), rows, figures
    )


def write_weights_of(fitted: Mapping[str, tuple[Way, Weights]], chosen: str, weights: Path, out: Path) -> None:
    """Every way's weights in OUT/fusion, and the chosen one's in `weights`."""
    (out / "fusion").mkdir(parents=True, exist_ok=True)
    for name, (_, found) in fitted.items():
        write_weights(out / "fusion" / f"{name.replace(' ', '_')}.json", found)
    write_weights(weights, fitted[chosen][1])


def read_sources(
    moments: Sequence[str] | None, reranks: Sequence[str] | None
) -> dict[str, tuple[str | None, str | None]]:
    """--moments NAME=PATH and --reranks NAME=PATH by name; InputError for another form."""
    out: dict[str, tuple[str | None, str | None]] = {}
    for place, flag, texts in ((0, "--moments", moments), (1, "--reranks", reranks)):
        for text in texts or ():
            name, equals, path = text.partition("=")
            if not name or not equals or "{split}" not in path or name in (GROUNDER, SELECTOR):
                raise InputError(
                    f"{flag}: expected NAME=PATH with {{split}} in the path and a name of its own, got {text!r}"
                )
            pair = list(out.get(name, (None, None)))
            pair[place] = path
            out[name] = pair[0], pair[1]
    return out


@app.command(epilog=EPILOG)
def main(
    work: Annotated[Path, typer.Option(help="Folder for worlds, caches and scores; what is there is used again.")],
    read: Annotated[bool, typer.Option("--read", help="Also test and shifted_test: once a release.")] = False,
    grounder: Annotated[
        str,
        typer.Option(help="A grounder's folder; 'miniature' learnt from long films, not from such clips."),
    ] = "none",
    moments: Annotated[
        list[str] | None, typer.Option(help="NAME=PATH of other moment scores, {split} for a split's name. Repeatable.")
    ] = None,
    reranks: Annotated[
        list[str] | None, typer.Option(help="NAME=PATH of a grounder's own track scores, as --moments.")
    ] = None,
    clips: Annotated[
        int | None, typer.Option(help="Only so many clips of each split, to try; then --out elsewhere.", min=1)
    ] = None,
    long: Annotated[
        bool,
        typer.Option("--long", help=f"The first {FILMS} films of each split of the long world."),
    ] = False,
    seconds: Annotated[int | None, typer.Option(help="Length of films, to try; then --out elsewhere.", min=8)] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of RESULTS.md, results.json and fusion/.", show_default="miniature")
    ] = HERE,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    workers: Annotated[int, typer.Option(help="Processes that render.", min=1)] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be measured.")] = False,
) -> None:
    """Compare the modes of fusion: J&F, vIoU, tIoU and no-target accuracy of each, and choose the default one.

    Every mode's weights are fitted on calib (J&F); the default has the best mean J&F over valid and shifted_dev. It is
    written to OUT/weights/fusion.json; in miniature/weights `tracksift fuse` takes it for the scores it was fitted for.
    """
    if (clips is not None or seconds is not None) and out == HERE:
        raise InputError("--clips, --seconds: expected --out elsewhere, since figures of a part are no results")
    if seconds is not None and not long:
        raise InputError(f"--seconds: expected --long with it, got {seconds} for clips")
    world = World(long, seconds)
    names = (CALIB, *CHOICE, *(READING if read else ()))
    folder = None if grounder == "none" else grounder_folder(grounder)
    given = read_sources(moments, reranks)
    if dry_run:
        sources = ", ".join([*given, *([GROUNDER] if folder else []), f"{SELECTOR} (with a moment head)"])
        typer.echo(f"would compare modes on {', '.join(names)}, with moments of {sources}, and write to {out}")
        return
    check_folder(out)
    if folder is not None:
        read_record(folder)  # before an hour of tracking
    start, pipeline = time.perf_counter(), Pipeline(device=device)
    splits, scores = prepare(pipeline, folder, given, names, work, workers, clips, world)
    with progress_bar("weights tried on calib") as bar:
        fitted = fit_ways(ways_of(scores.sources), scores.tracks, splits[CALIB], bar)
    figures = {name: measure_split(splits[name], scores, fitted) for name in names[1:]}
    whose = grounder if grounder == "miniature" else "FOLDER"
    flags = [flag for flag, on in (("--long", long), (f"--grounder {whose}", folder), ("--read", read)) if on]
    command = " ".join(["miniature.compare_fusion", "--work WORK", *flags])
    chosen = choose({way: {name: figures[name][way] for name in CHOICE} for way in fitted})
    write_weights_of(fitted, chosen, out / "weights" / FUSION, out)
    flat: Flat = {}
    for name, found in figures.items():
        section = section_of(splits[name], found, chosen, world)
        title = f"fusion_{'long_' if long else ''}{name}"
        write_results(title, section, facts(time.perf_counter() - start, command), out)
        print_table(f"miniature: {section.title}", section.columns, section.rows)
        flat |= section.figures
    bars = {f"J&F, {name}": [Bar(way, m.jf) for way, m in found.items()] for name, found in figures.items()}
    draw_bars(out / "fusion" / "fusion.png", bars)
    emit(flat, {"chosen": chosen, "fitted_on": CALIB, "chosen_on": list(CHOICE), "out": str(out), "clips": clips})


if __name__ == "__main__":
    cli.run(app)
