"""`python -m miniature.compare_devices`: a selector's training on one GPU and on several, as curves and paces.

Without dropout, noise and mirror images, whose dice differ between processes, both are to be the same curve but for
rounding. Knows folders of trainings. Does not know how they are made.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from core import cli, reporting
from core.charts import Panel, draw_panels
from core.errors import TrackSiftError
from selector.logs import TABLE

PLAIN = ("dropout=0", "token_noise=0", "mirror_share=0")
OWN = ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
PICTURE = "devices.png"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


def compare(folders: dict[int, Path]) -> dict[str, float | None]:
    """Largest differences of the losses of two trainings, epoch by epoch, and their paces.

    folders: of the fewer processes first.

    Raises:
        TrackSiftError: where they have other numbers of epochs.
    """
    tables = {n: _table(folder) for n, folder in folders.items()}
    if len({len(table) for table in tables.values()}) > 1:
        raise TrackSiftError(f"curves: expected as many epochs, got { {n: len(t) for n, t in tables.items()} }")
    (few, one), (many, several) = tables.items()
    figures: dict[str, float | None] = {}
    for name in ("train_loss", "valid_loss", "valid_score"):
        figures[f"{name}_difference"] = max(abs(a[name] - b[name]) for a, b in zip(one, several, strict=True))
        figures |= {f"{name}_{few}": one[-1][name], f"{name}_{many}": several[-1][name]}
    paces = {n: json.loads((folder / "selector.json").read_text())["steps_per_second"] for n, folder in folders.items()}
    figures |= {f"steps_per_second_{n}": pace for n, pace in paces.items()}
    figures["speedup"] = paces[many] / paces[few] if paces[few] and paces[many] else None
    return figures


def _table(folder: Path) -> list[dict[str, float]]:
    with (folder / TABLE).open(encoding="utf-8", newline="") as handle:
        return [{name: float(value) for name, value in line.items()} for line in csv.DictReader(handle)]


def _train(data: Path, cache: Path, out: Path, devices: int, flags: list[str]) -> None:
    """Run `train-selector`, in a process of its own since every process of a training starts with its words."""
    words = [sys.executable, "-m", "scripts", "train-selector", "--data", str(data), "--cache", str(cache)]
    words += ["--out", str(out), "--devices", str(devices), *flags]
    environment = {name: value for name, value in os.environ.items() if name not in OWN}
    done = subprocess.run(words, env=environment, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise TrackSiftError(f"{' '.join(words[1:])}: expected exit code 0, got {done.returncode}")


@app.command()
def main(
    data: Annotated[Path, typer.Option(help="A folder that holds the splits of train-selector.")],
    cache: Annotated[Path, typer.Option(help="Root of the cache files.")] = Path("caches"),
    out: Annotated[Path, typer.Option(help="A folder a training, and the picture of both curves.")] = Path(
        "runs/devices"
    ),
    devices: Annotated[int, typer.Option(help="Processes beside one.", min=2)] = 2,
    batch: Annotated[int, typer.Option(help="Expressions a step, of all processes together.", min=2)] = 4096,
    epochs: Annotated[int, typer.Option(help="Epochs; the first is not timed.", min=2)] = 4,
    limit: Annotated[int | None, typer.Option(help="Only the first so many videos of each split.", min=1)] = None,
    bf16: Annotated[bool, typer.Option(help="bfloat16 instead of float32.")] = False,
    workers: Annotated[int, typer.Option(help="Processes that read caches.", min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Train the selector with one process and with several, and say how far the curves lie apart and how fast each is.

    Example: python -m miniature.compare_devices --data world --devices 2 --workers 14
    """
    flags = ["--batch", str(batch), "--epochs", str(epochs), "--no-resume", "--device", device]
    flags += [word for change in PLAIN for word in ("--set", change)] + ["--workers", str(workers)]
    flags += ["--bf16" if bf16 else "--no-bf16"] + ([] if limit is None else ["--limit", str(limit)])
    folders = {n: out / str(n) for n in (1, devices)}
    for number, folder in folders.items():
        _train(data, cache, folder, number, flags)
    figures = compare(folders)
    series = {f"{n}": [(line["epoch"], line["train_loss"]) for line in _table(folder)] for n, folder in folders.items()}
    draw_panels(out / PICTURE, [Panel("training loss by processes", series, "epoch", low=0.0)])
    reporting.print_table("miniature: one process and several", ["figure", "value"], list(figures.items()))
    reporting.emit(figures, {"data": data, "devices": devices, "batch": batch, "epochs": epochs, "bf16": bf16})


if __name__ == "__main__":
    cli.run(app)
