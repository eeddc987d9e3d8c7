"""`tracksift train-selector`: caches with labels -> a selector.

Knows flags and tables. Does not know how a selector is trained.
"""

import tempfile
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from core import reporting
from scripts import options

EPILOG = (
    "Examples: [bold]tracksift train-selector --data world --out runs/selector[/]  |  "
    "[bold]tracksift train-selector --data world --recipe sola-tuned --out runs/sola[/]  |  "
    "[bold]tracksift train-selector --data mevis --size full --text-encoder "
    "sentence-transformers/all-roberta-large-v1 --devices 8[/]  |  "
    "[bold]tracksift train-selector --data world --set look_noise=0.5 --seed 1 --fast-dev-run[/]"
)
FAST_VIDEOS = 4
TEXTS = "texts"  # folder of the cache where features of expressions are kept


def main(
    data: Annotated[Path, typer.Option(help="A folder in MeViS's layout that holds all three splits.")],
    out: options.Out = Path("runs/selector"),
    cache: options.Cache = Path("caches"),
    split: Annotated[str, typer.Option(help="Split to learn from.")] = "train",
    valid_split: Annotated[str, typer.Option(help="Split on which the best epoch is chosen.")] = "valid",
    calib_split: Annotated[str, typer.Option(help="Split for calibration, and the search of sola-tuned.")] = "calib",
    recipe: Annotated[str, typer.Option(help="default, sola or sola-tuned.")] = "default",
    size: Annotated[str, typer.Option(help="miniature, or full for tracks of SAM 2 and RoBERTa-large.")] = "miniature",
    change: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE: another value of the recipe; may be repeated.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs, instead of the recipe's.", min=1)] = None,
    batch: Annotated[int | None, typer.Option(help="Expressions a step, instead of the recipe's.", min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Instead of the recipe's, or of its search.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    stop_after: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without a better valid score.", min=0)
    ] = None,
    limit: options.Limit = None,
    text_encoder: options.TextEncoder = "miniature",
    device: options.Device = "auto",
    devices: Annotated[int, typer.Option(help="Processes on this machine, one a GPU (DDP).", min=1)] = 1,
    nodes: Annotated[int, typer.Option(help="Machines; start this command on each, as Lightning says.", min=1)] = 1,
    bf16: Annotated[bool | None, typer.Option(help="bfloat16; by default on a GPU and not on a CPU.")] = None,
    graphs: Annotated[
        bool, typer.Option("--graphs", help="Record steps as CUDA graphs: for small modules; one GPU, --no-bf16.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes that read caches; 0 reads here.", min=0)] = 0,
    stream: Annotated[
        bool, typer.Option("--stream", help="Leave tokens on disk (`tracksift cache pack`): for what no GPU holds.")
    ] = False,
    resume: Annotated[bool, typer.Option(help="Go on from OUT where a training was stopped.")] = True,
    fast_dev_run: Annotated[
        bool, typer.Option("--fast-dev-run", help="One epoch over four videos a split; nothing is kept.")
    ] = False,
    dry_run: options.DryRun = False,
) -> None:
    """Train the track selector on cached tracks and labels, choose its best epoch, calibrate it.

    Needs the caches of `tracksift generate` for the three splits; training gains from `--source ground_truth` beside
    `--source grid`. Features of the expressions are kept in texts/ under --cache. Writes to --out:
    selector.safetensors, selector.json (record and thresholds), selector.csv and an event file for TensorBoard (both
    after every epoch), selector.curves.png, selector.reliability.png.
    [bold]default[/] is TrackSift's own module, [bold]sola[/] SOLA's with its published losses, rate and schedule,
    [bold]sola-tuned[/] the same with the rate that is best on the split calib, of five, each trained in full.
    """
    from core.devices import pick_device
    from core.text import load_text_encoder
    from core.text_store import StoredText
    from selector.fitting import Spread
    from selector.recipes import changed, find_recipe
    from selector.training import train_selector
    from tracksift.jobs import labelled_caches
    from tracksift.models import Models
    from tracksift.reliability import write_reliability

    shape, found = find_recipe(recipe, size)
    shape, training = changed(shape, found.training, change or [])
    given = {"batch": batch, "learning_rate": learning_rate, "seed": seed, "stop_after": stop_after}
    given["epochs"] = 1 if fast_dev_run else epochs
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    training = replace(training, **overrides)
    fixed = learning_rate is not None or any(text.startswith("learning_rate=") for text in change or [])
    rates = () if fixed else found.rates
    limit = min(limit or FAST_VIDEOS, FAST_VIDEOS) if fast_dev_run else limit
    names = (split, valid_split, calib_split)
    learn, choose, calibrate = parts = [labelled_caches(data, name, cache, limit) for name in names]
    settings = {"recipe": recipe, "size": size, **asdict(training), "data": data, "cache": cache, "out": out}
    if dry_run:
        rows = [(name, len(part)) for name, part in zip(names, parts, strict=True)]
        reporting.print_table("would train on", ["split", "videos"], rows)
        reporting.emit({"videos": sum(len(p) for p in parts)}, {**settings, "dry_run": True})
        return
    place = pick_device(device)
    spread = Spread(devices, nodes, bf16, graphs)
    loaded = load_text_encoder(Models(text_encoder=text_encoder).text_spec, spread.place(place))
    encoder = StoredText(loaded, cache / TEXTS)
    with ExitStack() as stack:
        if fast_dev_run:
            out = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        reading = stack.enter_context(reporting.progress_bar("reading"))
        stepping = stack.enter_context(reporting.progress_bar("training"))
        trained = train_selector(
            learn, choose, calibrate, encoder, replace(shape, text_width=encoder.width), training, out, place,
            recipe=recipe, rates=rates, spread=spread, resume=resume, workers=workers, stream=stream,
            read_progress=reading, progress=stepping,
        )  # fmt: skip
        if trained is None:  # another process of the same training, which the first speaks for
            return
        figures = trained.figures | write_reliability(out, trained.valid, trained.calibration)
    reporting.print_table("selector", list(figures), [list(figures.values())])
    reporting.emit(figures, settings)
