"""`python -m miniature.eval_grounder`: every task's figures of a grounder on long stories, with baselines beside.

Knows splits, films, answers and figures by name. Does not know models or metrics. Beside the grounder stand the same
one shown nothing, who looks at nothing, captions of another video, and an oracle; a bar is half-way between trivial
and oracle.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks.metrics.caption_java import Meteor
from cache import SUFFIX, open_cache
from core import cli
from core.atomic import atomic_path
from core.devices import describe_device, pick_device
from core.errors import CheckpointError, InputError
from core.images import load_image_encoder
from core.reporting import emit, print_table, progress_bar
from llm_grounder.checkpoints import load_grounder
from llm_grounder.grounder import Grounder
from llm_grounder.types import Task
from miniature.grounder_training.answers import Answers, blind, oracle, shuffled
from miniature.grounder_training.evaluate import TASKS, Examiner
from miniature.grounder_training.figures import Figures, score
from miniature.grounder_training.films import Film, Order, Sight, develop, shoot_many
from miniature.grounder_training.masklets import NOTHING, Masklets
from miniature.splits import LONG_SPLITS, find_split
from miniature.world.layout import video_id
from tracksift.clips import Inputs, read_inputs, read_track_clip
from tracksift.grounding import Manner
from tracksift.models import WEIGHTS
from tracksift.recipes import manner_of

GROUNDER, BLIND, TRIVIAL, OTHERS, ORACLE = "grounder", "shown nothing", "trivial", "another video's", "oracle"
AT_ONCE = 8  # films whose requests are answered side by side
EPILOG = (
    "Examples: [bold]python -m miniature.eval_grounder runs/grounder/grounder --split test[/]  |  "
    "[bold]python -m miniature.eval_grounder runs/grounder/grounder --cache caches/mevis/valid_u[/]  |  "
    "[bold]python -m miniature.eval_grounder runs/grounder/grounder --tasks moments,qa --videos 10[/]"
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


def held_out(
    split: str, count: int | None, sight: Sight, *, workers: int, seconds: int | None = None, tracks: int = 0,
    caches: Path | None = None,
) -> Iterator[Film]:  # fmt: skip
    """Films of the first `count` stories of a split (None: all), one in memory at a time.

    tracks: the most of each.   caches: folder of cache files whose tracks these are; else they are the world's own.

    Raises:
        InputError: for an unknown split, or more stories than it has.
        CacheError: where a film has no cache file.
    """
    part = find_split(split, long=True)
    count = part.count if count is None else count
    if not 1 <= count <= part.count:
        raise InputError(f"--videos: expected 1 to {part.count} of split {split!r}, got {count}")
    drawn = tracks if caches is None else 0
    orders = [Order(seed, sight.side, part.shifted, seconds, tracks=drawn) for seed in part.seeds[:count]]
    films = (develop(footage, sight) for footage in shoot_many(orders, workers=workers))
    return films if caches is None or not tracks else (_tracked(film, caches, tracks) for film in films)


def _tracked(film: Film, caches: Path, most: int) -> Film:
    """The film with the tracks that a tracker found in it; whose they are is not known."""
    name = video_id(film.order.seed, film.order.shifted, long=True)
    values, boxes = read_track_clip(open_cache(caches / f"{name}{SUFFIX}"), numbers=True)
    where = boxes[:most].numpy()
    found = Masklets(values[:most], boxes[:most], np.full(where.shape[:2], NOTHING), where)
    return replace(film, masklets=found.to(film.patches.device))


def measure(
    grounder: Grounder, films: Iterable[Film], *, manner: Manner, motion: bool, tasks: Collection[Task] = TASKS,
    baselines: bool = True, blinded: bool = True, meteor: Meteor | None = None,
    done: Callable[[int], None] | None = None,
) -> tuple[dict[str, Figures], dict[str, float]]:  # fmt: skip
    """Figures by who answered (the grounder first), and the grounder's milliseconds a request in words of each task.

    Every film is read once and then forgotten.   blinded: among the baselines is the grounder shown nothing, which
    takes as long again.   done: is told how many films were read.
    """
    seeing, unseeing = (Examiner(grounder, manner, motion=motion, blind=flag) for flag in (False, True))
    stories, boxes, said, unseen = [], [], [], []
    left = iter(films)
    while part := list(itertools.islice(left, AT_ONCE)):
        stories += [film.story for film in part]
        boxes += [film.boxes for film in part]
        said += seeing.answer(part, tasks)
        unseen += unseeing.answer(part, tasks) if baselines and blinded else []
        if done is not None:
            done(len(stories))
    rows: dict[str, Sequence[Answers]] = {GROUNDER: said}
    if baselines:
        rows |= {BLIND: unseen} if blinded else {}
        rows |= {TRIVIAL: blind(stories, boxes), OTHERS: shuffled(stories), ORACLE: oracle(stories, boxes)}
    figures = {name: score(stories, answers, boxes, meteor) for name, answers in rows.items()}
    asked = {task: counts.compute() for task, counts in seeing.failures.items() if counts.replies}
    figures[GROUNDER] |= {f"{task.value}_failure_rate": counts["failure_rate"] for task, counts in asked.items()}
    return figures, {f"{task.value}_seconds": seconds for task, seconds in seeing.seconds.items() if seconds}


def bars(figures: Mapping[str, Figures]) -> Figures:
    """Half-way from trivial to oracle, of every figure that both have."""
    trivial, best = figures[TRIVIAL], figures[ORACLE]
    return {name: (trivial[name] + best[name]) / 2 for name in trivial if name in best}


def show(title: str, figures: Mapping[str, Figures]) -> None:
    """A table of figures by who answered, with the bars."""
    names = list(figures[GROUNDER])
    if TRIVIAL not in figures:
        print_table(title, ("figure", GROUNDER), [(name, figures[GROUNDER][name]) for name in names])
        return
    half, columns = bars(figures), [who for who in (GROUNDER, BLIND, TRIVIAL, OTHERS, ORACLE) if who in figures]
    rows = [(name, *(figures[who].get(name) for who in columns), half.get(name)) for name in names]
    print_table(title, ("figure", *columns, "half-way"), rows)


@app.command(epilog=EPILOG)
def main(
    folder: Annotated[Path, typer.Argument(help="A grounder's folder, as train_grounder leaves it.")],
    split: Annotated[str, typer.Option(help=f"One of {', '.join(LONG_SPLITS)}.")] = "valid",
    videos: Annotated[int | None, typer.Option(help="Only the first so many videos.", min=1)] = None,
    tasks: Annotated[str, typer.Option(help="Some of them, parted by commas.")] = ",".join(TASKS),
    baselines: Annotated[
        bool, typer.Option(help="Also the grounder shown nothing, the trivial ones, the oracle.")
    ] = True,
    shown_nothing: Annotated[
        bool, typer.Option("--blind/--no-blind", help="Among them the grounder shown nothing, which doubles the time.")
    ] = True,
    with_meteor: Annotated[bool, typer.Option("--meteor", help="SODA_c too (needs Java and METEOR's files).")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the figures as JSON here.")] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder of the videos' cache files, whose tracks it reads; else the world's own tracks."),
    ] = None,
    trackless: Annotated[bool, typer.Option("--trackless", help="Show it no tracks, as in a stream.")] = False,
    weigh: Annotated[
        float | None,
        typer.Option(help="Power of what their frames show that weighs windows; else as its record has it.", min=0.0),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that draw; 0 draws here.", min=0)] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Measure a grounder on a split of the long world, by every task's own metric.

    A grounder must see more than it does with its features zeroed: both stand in the table.
    """
    chosen, place = read_tasks(tasks), pick_device(device)
    grounder, record = load_grounder(folder, place)
    inputs, manner = read_inputs(record), manner_of(record)
    manner = manner if weigh is None else replace(manner, weigh=weigh)
    sight = sight_of(inputs, place)
    count = find_split(split, long=True).count if videos is None else videos
    shown = 0 if trackless else inputs.tracks
    films = held_out(split, videos, sight, workers=workers, tracks=shown, caches=cache)
    with ExitStack() as stack:
        meteor = stack.enter_context(Meteor()) if with_meteor else None
        bar = stack.enter_context(progress_bar(f"{split}: videos", count))
        figures, seconds = measure(
            grounder, films, manner=manner, motion=inputs.motion, tasks=chosen, baselines=baselines,
            blinded=shown_nothing, meteor=meteor, done=lambda films: bar(films, count),
        )  # fmt: skip
    source = "none" if not shown else "the world's own" if cache is None else "a tracker's"
    show(f"miniature grounder, {split}, {count} videos, tracks: {source}", figures)
    settings = {
        "split": split, "videos": count, "tracks": source, "weights": record["weights_sha256"],
        "weigh": manner.weigh,
        "device": describe_device(place),
    }  # fmt: skip
    if out is not None:
        with atomic_path(out) as path:
            path.write_text(json.dumps({"figures": figures, "seconds": seconds, **settings}, indent=1) + "\n")
    emit(figures[GROUNDER] | seconds, settings)


def read_tasks(text: str) -> tuple[Task, ...]:
    """Tasks by name; InputError for another."""
    names = [name.strip() for name in text.split(",")]
    if wrong := [name for name in names if name not in {task.value for task in TASKS}]:
        raise InputError(f"--tasks: expected some of {', '.join(TASKS)}, got {wrong[0]!r}")
    return tuple(Task(name) for name in names)


def sight_of(inputs: Inputs, device: torch.device) -> Sight:
    """The miniature's tower as the grounder learnt to see through it; CheckpointError for another tower."""
    encoder = load_image_encoder(str(WEIGHTS / "clip"), device)
    if encoder.sha256 != inputs.encoder:
        raise CheckpointError(
            f"grounder: expected features of the encoder {inputs.encoder[:12]}, got {encoder.sha256[:12]}"
        )
    return Sight(encoder, inputs.grid, inputs.tiles)


if __name__ == "__main__":
    cli.run(app)
