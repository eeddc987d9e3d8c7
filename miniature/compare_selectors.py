"""`python -m miniature.compare_selectors`: many selectors, with several seeds each, trained on one reading of caches.

Runs share a device, several at a time, since one small training leaves most of it idle. What is done stays done: the
same command goes on where it was stopped. Knows flags and the order of things.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from core import cli, reporting
from core.devices import pick_device
from core.errors import InputError, StoppedError
from core.text import TextEncoder, load_text_encoder
from miniature import selector_scores
from miniature.selector_runs import Done, Facts, run_folder, search_of, told, train_all
from miniature.selector_scores import TABLES, Scores, score_together, table, write_scores
from miniature.selector_variants import Plan, choose_variants, plan
from selector.checkpoints import WEIGHTS
from selector.fitting import Spread
from selector.loading import Example
from selector.recipes import UNTRAINED
from selector.settings import RelationalSettings, Settings
from selector.shared import share
from selector.training import read_splits
from tracksift.jobs import Job, labelled_caches, split_jobs
from tracksift.models import Models
from tracksift.scheduling.stopping import stop_on_signals

KEPT = ("test", "shifted_test")  # measured once a released checkpoint
SPLITS = ("train", "valid", "calib")
Named = tuple[str, int | None, str]
"""Variant, seed and selector."""
EPILOG = (
    "Examples: [bold]python -m miniature.compare_selectors --data world --variants default,sola-tuned --seeds 0,1,2 "
    "--together 8[/]  |  [bold]python -m miniature.compare_selectors --data world --variants default,mine "
    '--define "mine: embed_width=160 heads=5" --set epochs=10[/]'
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


@app.command(epilog=EPILOG)
def main(
    data: Annotated[Path, typer.Option(help="The rendered world, with all splits.")],
    out: Annotated[Path, typer.Option(help="VARIANT/SEED/ for each run, and compare.json, .md, .png.")] = Path(
        "runs/compare"
    ),
    cache: Annotated[Path, typer.Option(help="Root of the cache files; packed ones are read faster.")] = Path("caches"),
    variants: Annotated[
        str, typer.Option(help="Names of miniature/selector_variants.py with commas between; also clip_zeroshot.")
    ] = "default,sola-tuned",
    seeds: Annotated[str, typer.Option(help="With commas between; a search uses the first.")] = "0,1,2",
    define: Annotated[
        list[str] | None, typer.Option(help="A variant more: NAME: NAME=VALUE ..., or NAME@RECIPE: ....")
    ] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE of the training, for every variant.")
    ] = None,
    together: Annotated[int, typer.Option(help="Trainings at a time, all on the device.", min=1)] = 1,
    workers: Annotated[int, typer.Option(help="Processes that read caches and that score; 0: this one.", min=0)] = 0,
    splits: Annotated[str, typer.Option(help="Splits to score, with commas between; '' for none.")] = (
        "valid,shifted_dev"
    ),
    measure: Annotated[
        bool, typer.Option("--measure-test", help="Also score test and shifted_test, which are kept for releases.")
    ] = False,
    score_only: Annotated[
        bool, typer.Option("--score-only", help="Score what OUT holds, as it was trained; no training caches are read.")
    ] = False,
    minutes: Annotated[float | None, typer.Option(help="Begin no training after so many minutes.", min=0)] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first so many videos of each split.", min=1)] = None,
    bf16: Annotated[bool, typer.Option(help="bfloat16 instead of TensorFloat-32; slower at this size.")] = False,
    graphs: Annotated[
        bool,
        typer.Option("--graphs", help="Record steps as CUDA graphs, which leaves little to share: fewer --together."),
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained and scored.")] = False,
) -> None:
    """Train variants of the selector with several seeds each, and print one table a split with mean and spread."""
    begun, spread = time.monotonic(), Spread(bf16=bf16, graphs=graphs)
    place = spread.place(pick_device(device))
    chosen = choose_variants(variants, define or [])
    numbers = _numbers(seeds)
    scored = _scored(splits, measure)
    encoder = load_text_encoder(Models().text_spec, place)
    plans = [plan(variant, encoder.width, change or []) for variant in chosen if variant.recipe != UNTRAINED]
    there = [
        (p.variant.name, seed) for p in plans for seed in numbers
        if (run_folder(out, p.variant.name, seed) / WEIGHTS).is_file()
    ]  # fmt: skip
    if score_only:
        plans = [p for p in plans if p.variant.name in dict(there)]
    elif len({(p.training.positive_iou, p.training.least_iou) for p in plans}) > 1:
        raise InputError(f"--variants: expected variants with the same labels, since all read one, got {variants}")
    parts = [labelled_caches(data, name, cache, limit) for name in SPLITS] if plans and not score_only else []
    jobs = {split: split_jobs(data, split, cache, limit)[1] for split in scored}
    settings = {"data": data, "variants": variants, "seeds": seeds, "splits": ",".join(scored), "together": together}
    if dry_run:
        rows = [(p.variant.name, len(p.rates) or 1, *map(str, (p.settings, p.training))) for p in plans]
        what = "would score" if score_only else "would train"
        reporting.print_table(what, ["variant", "rates", "module", "training"], rows)
        reporting.emit({"runs": len(plans) * len(numbers), **{k: len(v) for k, v in jobs.items()}}, settings)
        return
    facts = Facts(encoder.sha256, tuple(sorted({_named(path) for part in parts for path, _ in part})), place, spread)
    deadline = None if minutes is None else begun + 60 * minutes
    if plans and not score_only:
        there = _train(plans, numbers, parts, encoder, facts, out, workers, together, deadline)
    named: list[Named] = [(name, seed, str(run_folder(out, name, seed))) for name, seed in there]
    named += [(variant.name, None, UNTRAINED) for variant in chosen if variant.recipe == UNTRAINED]
    found = _score(jobs, named, workers)
    about = {"plans": {p.variant.name: told(p) for p in plans}, **reporting.environment(), "command": settings}
    about["searches"] = {p.variant.name: search_of(run_folder(out, p.variant.name, numbers[0])) for p in plans}
    if scored and found:
        write_scores(out, found, scored, about)
        for split in scored:
            for title, columns in TABLES.items():
                head = ["variant", "seeds", *columns.values()]
                reporting.print_table(f"miniature, {split}: {title}", head, table(found, split, columns))
    left = len(plans) * len(numbers) - len(there)
    reporting.emit(_flat(found, scored) | {"runs": len(there), "left": left}, settings)


def _train(
    plans: Sequence[Plan], seeds: Sequence[int], parts: Sequence[Sequence[Example]], encoder: TextEncoder, facts: Facts,
    out: Path, workers: int, together: int, deadline: float | None,
) -> list[tuple[str, int]]:  # fmt: skip
    """Read, then train; what is complete."""
    widest = _widest([p.settings for p in plans])
    with reporting.progress_bar("reading") as bar:
        splits = read_splits(
            parts, encoder, widest, plans[0].training, torch.device("cpu"), workers=workers, progress=bar
        )  # fmt: skip
    shared = share(splits, out / "splits.safetensors")
    del splits

    def say(done: Done) -> None:
        score = done.trained.figures["calib_score"]
        typer.echo(f"{done.task.name}: {done.seconds:.0f} s, calib score {score:.4f}", err=True)

    try:
        with stop_on_signals(None) as stop:
            return train_all(shared, facts, plans, seeds, out, together, deadline, say)
    except KeyboardInterrupt:
        raise StoppedError(f"{out}: comparison ended; the same command goes on where it was", stop.signal) from None
    finally:
        shared.path.unlink(missing_ok=True)


def _widest(settings: Sequence[Settings]) -> Settings:
    """Settings that read all that any of these do."""
    ours = [s for s in settings if isinstance(s, RelationalSettings)]
    if not ours:
        return settings[0]
    tokens = max(s.token_width for s in settings)
    looks, outline = max(s.look_width for s in ours), any(s.outline for s in ours)
    return replace(ours[0], token_width=tokens, look_width=looks, outline=outline)


def _score(jobs: Mapping[str, Sequence[Job]], named: Sequence[Named], workers: int) -> list[Scores]:
    splits: dict[str, list[selector_scores.Figures]] = {}
    for split, some in jobs.items():
        if named:
            with reporting.progress_bar(f"scoring {split}", len(some)) as bar:
                splits[split] = score_together(some, [path for _, _, path in named], Models(), workers, bar)
    return [
        Scores(name, seed, {split: figures[i] for split, figures in splits.items()})
        for i, (name, seed, _) in enumerate(named)
    ]


def _flat(runs: list[Scores], splits: list[str]) -> dict[str, reporting.Figure]:
    """Mean and spread of J&F under names such as `default_valid_jf`."""
    flat: dict[str, reporting.Figure] = {}
    for name, some in selector_scores.by_variant(runs).items():
        for split in splits:
            value = selector_scores.mean_and_spread(some, split, "jf")
            if value is not None:
                flat |= {f"{name}_{split}_jf": value[0], f"{name}_{split}_jf_spread": value[1]}
    return flat


def _numbers(text: str) -> list[int]:
    try:
        return list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise InputError(f"--seeds: expected whole numbers with commas between, got {text!r}") from None


def _scored(splits: str, measure: bool) -> list[str]:
    names = [name for name in splits.split(",") if name]
    kept = [name for name in names if name in KEPT]
    if kept:
        raise InputError(f"--splits: expected splits to choose on, got {', '.join(kept)}; --measure-test measures them")
    return [*names, *(KEPT if measure else ())]


def _named(path: Path) -> str:
    return "/".join(path.parts[-3:-1])


if __name__ == "__main__":
    cli.run(app)
