"""Training of the selector: a thin Lightning module around the model, the losses and the flat data.

Knows recipes, epochs and checkpoints. Does not know caches' insides, masks or benchmarks. A stopped training goes on
from its last epoch; what it leaves when done is the folder of `selector.scoring`.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from core.atomic import atomic_path
from core.errors import InputError
from core.hashing import json_sha256
from core.reporting import Progress
from core.text import TextEncoder, masked_mean
from selector.calibration import Calibration, Scored, fit_calibration, mean_score
from selector.data import (
    Batch,
    Example,
    LabelledVideo,
    SelectorData,
    build_data,
    read_examples,
    select_rows,
    without_ground_truth,
)
from selector.loss import alignment_losses, selection_loss, total_loss
from selector.modules import Module, build
from selector.relational import RelationalSelector
from selector.scoring import WEIGHTS, Selector, load_selector, save_selector
from selector.settings import RelationalSettings, Settings, TrainingSettings
from selector.sola import SolaSelector

EVALUATION_BATCH = 64
STATE, CHECKPOINTS = "selector.training", "checkpoints"  # what a stopped training needs, gone when it is done

Index = NDArray[np.int64]


class SelectorModule(lightning.LightningModule):  # type: ignore[misc]  # the library is untyped
    """Losses, optimiser and schedule for either module; batches arrive as indices and are gathered on the device."""

    def __init__(
        self, model: Module, train: SelectorData, valid: SelectorData, settings: TrainingSettings,
        progress: Progress | None,
    ) -> None:  # fmt: skip
        """`train` and `valid` lie on the device of the training; `valid` holds no ground-truth tracks."""
        super().__init__()
        self.model, self.train_data, self.valid_data, self.recipe = model, train, valid, settings
        self.progress = progress
        self.history: list[dict[str, float]] = []
        self.noise = 0.0 if settings.token_noise == 0 else settings.token_noise * _noisy(model, train.moments()[1])
        self.steps_per_epoch = math.ceil(len(train) / settings.batch)

    def train_dataloader(self) -> DataLoader[Index]:
        """The batches of the current epoch, a function of seed and epoch."""
        generator = np.random.default_rng([self.recipe.seed, self.current_epoch])
        return _loader(self.train_data.epoch(self.recipe.batch, generator, self.recipe.together))

    def val_dataloader(self) -> DataLoader[Index]:
        """All validation expressions in fixed order."""
        return _loader(self.valid_data.epoch(EVALUATION_BATCH, None, EVALUATION_BATCH))

    def training_step(self, index: Index) -> Tensor:
        """Loss of one batch."""
        recipe = self.recipe
        batch = self.train_data.batch(index, truth_share=recipe.truth_share, drop_share=recipe.track_dropout)
        loss, _ = self.losses(batch, self.noise)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(index))
        if self.progress is not None:
            self.progress(self.global_step + 1, recipe.epochs * self.steps_per_epoch)
        return loss

    def losses(self, batch: Batch, noise: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
        """(total loss, logits [B, N])."""
        values = batch.values if isinstance(noise, float) else batch.values + noise * torch.randn_like(batch.values)
        logits, objects, words = _logits(self.model, batch, values)
        recipe = self.recipe
        with torch.autocast(self.device.type, enabled=False):
            loss = selection_loss(logits, batch.labels, batch.track_mask, recipe.positive_weight)
            if recipe.alignment_weight and isinstance(self.model, SolaSelector):
                sentence, negatives = masked_mean(words.float(), batch.text_mask), self.model.negative_token.weight
                aligned = alignment_losses(objects, sentence, negatives, batch.labels, batch.track_mask)
                loss = total_loss(loss, *aligned, recipe.alignment_weight)
            return loss, logits

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's scores."""
        self.scored: list[Scored] = []

    def validation_step(self, index: Index) -> None:
        """Loss and logits of one batch."""
        batch = self.valid_data.batch(index)
        loss, logits = self.losses(batch)
        self.log("valid_loss", loss, batch_size=len(index))
        self.scored += collect(self.valid_data, index, logits, batch.track_mask)

    def on_validation_epoch_end(self) -> None:
        """The stand-in for J&F at the plain threshold, on which the best epoch is chosen."""
        self.log("valid_score", mean_score(self.scored, Calibration()))

    def on_train_epoch_end(self) -> None:
        """Keep one line of history an epoch."""
        names = ("train_loss", "valid_loss", "valid_score")
        metrics = {name: round(float(self.trainer.callback_metrics[name]), 5) for name in names}
        self.history.append({"epoch": self.current_epoch, **metrics})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """History goes on after a stop."""
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See `on_save_checkpoint`."""
        self.history = checkpoint["history"]

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW with the recipe's schedule."""
        recipe = self.recipe
        optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        if recipe.schedule == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=recipe.patience)
            return {"optimizer": optimiser, "lr_scheduler": {"scheduler": plateau, "monitor": "valid_loss"}}
        steps = recipe.epochs * self.steps_per_epoch
        warm = max(1, round(recipe.warm_up * steps))

        def share(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm))))

        cosine = torch.optim.lr_scheduler.LambdaLR(optimiser, share)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": cosine, "interval": "step"}}


def train_selector(
    train: Sequence[Example],
    valid: Sequence[Example],
    calib: Sequence[Example],
    encoder: TextEncoder,
    settings: Settings,
    training: TrainingSettings,
    out: Path,
    device: torch.device,
    *,
    resume: bool = True,
    workers: int = 0,
    read_progress: Progress | None = None,
    progress: Progress | None = None,
) -> dict[str, float | int]:
    """Train on caches, keep the epoch that is best on `valid`, fit thresholds on `calib`, write the folder `out`.

    Args:
        train, valid, calib: cache files with labels, and their expressions; `valid` and `calib` are read without
            ground-truth tracks.
        encoder: frozen, on any device.
        settings, training: the module and the recipe.
        out: a folder for `selector.safetensors`, `selector.json` and the log, `selector.jsonl`.
        resume: go on from `out/selector.training` where an earlier training of the same settings and data was stopped.
        workers: processes that read caches.
        read_progress, progress: told of caches read, and of steps done.

    Returns:
        `best_epoch`, `valid_score` (a stand-in for J&F), `calib_score`, `train_expressions`, `steps`, `minutes`.

    Raises:
        InputError: for caches without labels, widths that do not fit the settings, or a stopped training of others.
    """
    start = time.monotonic()
    if training.alignment_weight and isinstance(settings, RelationalSettings):
        raise InputError("training settings: expected an alignment_weight of 0 with the relational module, got more")
    videos = read_examples(
        [*train, *valid, *calib], geometry=settings.geometry, looks=settings.look_width > 0, workers=workers,
        progress=read_progress,
    )  # fmt: skip
    parts = videos[: len(train)], videos[len(train) : len(train) + len(valid)], videos[len(train) + len(valid) :]
    torch.manual_seed(training.seed)
    data = build_data(parts[0], encoder, device, training.positive_iou)
    seen = build_data([without_ground_truth(v) for v in parts[1]], encoder, device, training.positive_iou)
    _check_widths(settings, data, encoder)
    model = build(settings)
    if isinstance(model, RelationalSelector):
        model.fit_input(*data.moments())
    module = SelectorModule(model, data, seen, training, progress)
    state = out / STATE
    last = _prepare_state(state, settings, training, data, encoder, resume=resume)
    best = _fit(module, state, last, device)
    model.load_state_dict({k.removeprefix("model."): v for k, v in best.items() if k.startswith("model.")})
    record: dict[str, Any] = {
        "training": asdict(training),
        "history": module.history,
        "steps": module.global_step,
        "expressions": len(data),
    }
    save_selector(out / WEIGHTS, model, Calibration(), data.tracker, encoder.sha256, record, data.look)
    # Thresholds are fitted to the weights as they are stored.
    selector, held_out = load_selector(out, device), [without_ground_truth(v) for v in parts[2]]
    calibration = calibrate(selector, held_out, encoder)
    scores = max(module.history, key=lambda line: line["valid_score"])
    figures = {
        "best_epoch": int(scores["epoch"]),
        "valid_score": scores["valid_score"],
        "calib_score": round(mean_score(score_labelled(selector, held_out, encoder), calibration), 5),
        "train_expressions": len(data),
        "steps": int(module.global_step),
        "minutes": round((time.monotonic() - start) / 60, 2),
    }
    record["figures"] = figures
    save_selector(out / WEIGHTS, model, calibration, data.tracker, encoder.sha256, record, data.look)
    with atomic_path(out / "selector.jsonl") as path:
        path.write_text("".join(json.dumps(line) + "\n" for line in module.history), encoding="utf-8")
    shutil.rmtree(state)
    return figures


def calibrate(selector: Selector, videos: Sequence[LabelledVideo], encoder: TextEncoder) -> Calibration:
    """Temperature and thresholds from labelled videos that training never saw."""
    return fit_calibration(score_labelled(selector, videos, encoder))


def score_labelled(selector: Selector, videos: Sequence[LabelledVideo], encoder: TextEncoder) -> list[Scored]:
    """Logits and labels of the competing tracks of every expression."""
    data = build_data(videos, encoder, selector.device)
    scored: list[Scored] = []
    with torch.no_grad():
        for index in data.epoch(EVALUATION_BATCH, None, EVALUATION_BATCH):
            batch = data.batch(index)
            logits, _, _ = _logits(selector.model, batch, batch.values)
            scored += collect(data, index, logits, batch.track_mask)
    return scored


def collect(data: SelectorData, index: Index, logits: Tensor, mask: Tensor) -> list[Scored]:
    """The real tracks' logits of a batch with their labels."""
    found = []
    for i, row, taking in zip(index.tolist(), logits.double().cpu().numpy(), mask.cpu().numpy(), strict=True):
        video, number = data.items[i]
        rows = taking[: len(video.tracks.sources)]
        found.append(Scored(row[taking], select_rows(video.labels, rows), video.expressions[number]))
    return found


def _logits(model: Module, batch: Batch, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits [B, N], track embeddings [B, N, E] and read words [B, L, E] of a batch whose values are `values`."""
    words = model.read(batch.words, batch.text_mask)
    videos: Any = model.encode(values, batch.there, batch.frame_mask)
    logits, objects = model.select(videos, batch.video, words, batch.track_mask, batch.text_mask)
    return logits, objects, words


def _fit(module: SelectorModule, state: Path, last: Path | None, device: torch.device) -> dict[str, Tensor]:
    """Run Lightning; the module's weights of the epoch that was best on validation."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # its banners are no results
    keeper = ModelCheckpoint(
        dirpath=state / CHECKPOINTS, filename="best", monitor="valid_score", mode="max", save_last=True,
        enable_version_counter=False,
    )  # fmt: skip
    trainer = lightning.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision="bf16-mixed" if device.type == "cuda" else "32-true",
        max_epochs=module.recipe.epochs,
        gradient_clip_val=module.recipe.clip_norm,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        callbacks=[keeper],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists")  # it does when a training goes on
        warnings.filterwarnings("ignore", message=".*LeafSpec")  # the library's own use of torch
        trainer.fit(module, ckpt_path=last, weights_only=True)
    checkpoint = torch.load(keeper.best_model_path, map_location="cpu", weights_only=True)
    return cast(dict[str, Tensor], checkpoint["state_dict"])


def _check_widths(settings: Settings, data: SelectorData, encoder: TextEncoder) -> None:
    if data.values.shape[1] != settings.input_width:
        raise InputError(
            f"selector settings: expected caches with {settings.input_width} numbers a track and frame (tokens, "
            f"geometry and looks), got {data.values.shape[1]}"
        )
    if settings.look_width and not data.look:
        raise InputError("selector settings: expected caches that name the encoder of their looks, got looks of nobody")
    if encoder.width != settings.text_width:
        raise InputError(
            f"selector settings: expected a text encoder of width {settings.text_width}, got {encoder.width} "
            f"of {encoder.name!r}"
        )


def _noisy(model: Module, deviation: Tensor) -> Tensor:
    """The deviations [D] that noise is scaled by: of object tokens alone, since boxes and looks mean what they say."""
    return deviation * (torch.arange(len(deviation), device=deviation.device) < model.settings.token_width)


def _prepare_state(
    state: Path, settings: Settings, training: TrainingSettings, data: SelectorData, encoder: TextEncoder,
    *, resume: bool,
) -> Path | None:  # fmt: skip
    """The last checkpoint of a stopped training, or None and an empty folder."""
    identity = json_sha256(
        [asdict(settings), asdict(training), data.tracker, encoder.sha256, [v.tracks.cache for v, _ in data.items]]
    )
    note, last = state / "identity.txt", state / CHECKPOINTS / "last.ckpt"
    if resume and last.exists():
        if not note.exists() or note.read_text(encoding="utf-8") != identity:
            raise InputError(
                f"{state}: expected a stopped training of the same settings, encoder and caches, got another; "
                "start anew without resuming, or choose another folder"
            )
        return last
    if state.exists():
        shutil.rmtree(state)
    with atomic_path(note) as path:
        path.write_text(identity, encoding="utf-8")
    return None


def _loader(batches: list[Index]) -> DataLoader[Index]:
    return DataLoader(cast(Any, batches), batch_size=None, collate_fn=_same)


def _same(index: Any) -> Any:  # the loader's default would make a tensor of it
    return index
