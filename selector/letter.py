"""SOLA's training loop to the letter, to be timed: one expression a step, all of it read and encoded again each time.

Knows files in SOLA's layout, its module and losses, and clocks. Does not know our data or batches. Written from the
description of the release (arXiv 2412.01136). Axis letters: N tracks, T frames, D token width.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from core import rle
from core.text import TextEncoder
from core.types import Expression
from selector.labelled import LabelledVideo
from selector.loss import alignment_losses, selection_loss, total_loss
from selector.settings import SolaSettings
from selector.sola import SolaSelector

FRAME = (480, 854)


def time_letter(
    shape: SolaSettings, video: LabelledVideo, encoder: TextEncoder, device: torch.device, steps: int
) -> float:
    """Expressions a second of SOLA's training loop as it is released, its files read from a warm disk cache."""
    model = SolaSelector(shape).to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-6)
    with tempfile.TemporaryDirectory() as folder:
        write_layout(Path(folder), video, shape.token_width)

        def learn(number: int) -> None:
            expression = video.expressions[number % len(video.expressions)]
            tokens, labels = read_layout(Path(folder), expression)
            features = encoder.encode([expression.text])
            logits, objects = model(tokens[None].to(device), features.tokens)
            wanted, mask = labels[None].to(device), torch.ones(1, len(labels), dtype=torch.bool, device=device)
            loss = selection_loss(logits, wanted, mask, 1.5)
            aligned = alignment_losses(objects, features.pooled, model.negative_token.weight, wanted, mask)
            step(total_loss(loss, *aligned, 0.3), model, optimiser)

        def loop() -> None:
            for number in range(steps):
                learn(number)

        return steps / median_seconds(loop, device, 1)


def write_layout(folder: Path, video: LabelledVideo, width: int) -> None:
    """A .npy of tokens [T, D] float32 and a .json of masks and overlaps a track, as SOLA's stage 1 leaves them."""
    rows, columns = np.ogrid[: FRAME[0], : FRAME[1]]
    for n, values in enumerate(video.tracks.values):
        disc = (rows - 240) ** 2 / (40 + n) ** 2 + (columns - 300 - n) ** 2 / 60**2 < 1
        counts = rle.encode(disc[None])[0].decode()
        named = dict(zip(video.labels.object_ids, video.labels.iou[n].tolist(), strict=True))
        masks = [{"size": list(FRAME), "counts": counts}] * len(values)
        track = {"anno_id": n, "prompt_type": "grid", "rle": masks, "iou": named, "precision": named, "recall": named}
        np.save(folder / f"{n:05d}.npy", values[:, :width].astype(np.float32))
        (folder / f"{n:05d}.json").write_text(json.dumps(track), encoding="utf-8")


def read_layout(folder: Path, expression: Expression) -> tuple[Tensor, Tensor]:
    """Tokens [N, T, D] and labels [N] of all tracks of a folder."""
    tokens, labels = [], []
    for path in sorted(folder.glob("*.json")):
        track = json.loads(path.read_text(encoding="utf-8"))
        labels.append(max(track["iou"][target] for target in expression.target_ids or ()) > 0.7)
        tokens.append(torch.from_numpy(np.load(path.with_suffix(".npy"))))
    return torch.stack(tokens), torch.tensor(labels)


def step(loss: Tensor, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """One step of training."""
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()


def median_seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median seconds of `work`, after once for warming up."""
    taken = []
    for _ in range(repeats + 1):
        _wait(device)
        start = time.perf_counter()
        work()
        _wait(device)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
