"""A training's history as files: a CSV table, an event file for TensorBoard, and its curves as a picture.

Knows numbers by epoch. Does not know how they came about.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from core.atomic import atomic_path
from core.charts import Panel, draw_panels
from core.tensorboard import write_scalars

TABLE, CURVES = "selector.csv", "selector.curves.png"


def write_history(folder: Path, history: Sequence[dict[str, float]]) -> None:
    """Write TABLE, CURVES and TensorBoard's file to `folder` anew; called after every epoch.

    history: one line an epoch with `epoch`, `train_loss`, `valid_loss`, `valid_score`, `learning_rate`.

    Raises:
        OutputError: when a file cannot be written.
    """
    with atomic_path(folder / TABLE) as path, path.open("w", encoding="utf-8", newline="") as handle:
        table = csv.DictWriter(handle, list(history[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(history)
    write_scalars(folder, history)
    losses = {name: [(line["epoch"], line[name]) for line in history] for name in ("train_loss", "valid_loss")}
    score = {"valid_score": [(line["epoch"], line["valid_score"]) for line in history]}
    draw_panels(
        folder / CURVES,
        [Panel("loss", losses, "epoch", low=0.0), Panel("overlap score, valid", score, "epoch", low=0.0, high=1.0)],
    )
