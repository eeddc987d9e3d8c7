"""What Lightning trains: a module, its losses, optimiser and schedule, over batches gathered on the device.

Knows recipes, losses and the flat data. Does not know files, caches, or where the training runs. Every batch is the
same whatever the number of processes: each takes its part of it, so that the mean of their gradients is the gradient
of one process. Validation is done by every process in full, since it is short and then needs no gathering.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, cast

import lightning
import numpy as np
import torch
from torch import Tensor

from core.reporting import Progress
from core.text import masked_mean
from selector.calibration import Calibration, Scored, mean_score
from selector.data import Batch, SelectorData
from selector.graphs import GraphedLoss
from selector.labelled import select_rows
from selector.loading import EVALUATION_BATCH, Batches, Index, Prepared
from selector.loss import alignment_losses, moment_loss, presence_loss, ramp_labels, selection_loss, total_loss
from selector.mirror import mirrored_values
from selector.modules import Module
from selector.relational import RelationalSelector
from selector.rows import moments
from selector.settings import TrainingSettings
from selector.sola import SolaSelector

History = list[dict[str, float]]


class SelectorModule(lightning.LightningModule):  # type: ignore[misc]  # the library is untyped
    """Losses, optimiser and schedule for either module; batches arrive as indices and are gathered on the device."""

    def __init__(
        self, model: Module, train: SelectorData, valid: SelectorData, settings: TrainingSettings,
        progress: Progress | None = None, on_epoch: Callable[[History], None] | None = None, *, graphs: bool = False,
    ) -> None:  # fmt: skip
        """`train` and `valid` lie on the device of the training; `valid` holds no ground-truth tracks.

        progress: told of steps done.   on_epoch: told the history after every epoch, in the first process.
        graphs: record steps as CUDA graphs (`selector.graphs`), over batches of few shapes.
        """
        super().__init__()
        self.automatic_optimization = not graphs
        self.graphed = GraphedLoss(lambda batch: self.losses(batch, self.noise)[0], list(model.parameters()))
        self.model, self.train_data, self.valid_data, self.recipe = model, train, valid, settings
        self.progress, self.on_epoch = progress, on_epoch
        self.history: History = []
        self.noise = _noise(model, train, settings)
        self.steps_per_epoch = math.ceil(len(train) / settings.batch)
        self.begun = self.taken = 0.0
        self.done = 0

    @property
    def steps_per_second(self) -> float | None:
        """Of the epochs trained here but the first, in which kernels are chosen; None where there was one."""
        return self.done / self.taken if self.taken else None

    def on_train_epoch_start(self) -> None:
        """Start the clock, which stands still while validating and saving."""
        self.begun = time.monotonic()

    def on_train_batch_end(self, *_: object) -> None:
        """Stop the clock at the end of an epoch."""
        if self.trainer.is_last_batch and self.current_epoch > self.first_epoch:
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            self.taken += time.monotonic() - self.begun
            self.done += self.trainer.num_training_batches

    def on_train_start(self) -> None:
        """Remember where a stopped training goes on."""
        self.first_epoch = self.current_epoch

    def training_step(self, prepared: Prepared) -> Tensor:
        """Loss of one batch."""
        recipe, (index, values) = self.recipe, prepared
        batch = self.train_data.batch(
            index,
            values,
            truth_share=recipe.truth_share,
            drop_share=recipe.track_dropout,
            word_drop=recipe.word_dropout,
            mirror_share=recipe.mirror_share,
            length=0 if self.automatic_optimization else recipe.together,
        )
        loss = self.losses(batch, self.noise)[0] if self.automatic_optimization else self._graphed_step(batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(index), sync_dist=self._several)
        if self.progress is not None:
            done = self.global_step + self.automatic_optimization  # the step is still to be done, or done
            self.progress(done, recipe.epochs * self.steps_per_epoch)
        return loss

    def _graphed_step(self, batch: Batch) -> Tensor:
        """A whole step, which Lightning otherwise does after the loss."""
        loss = self.graphed(batch)
        self.configure_gradient_clipping()
        optimiser: Any = self.optimizers()
        optimiser.step()
        scheduler: Any = self.lr_schedulers()
        if self.recipe.schedule == "cosine":
            scheduler.step()
        return loss

    def losses(self, batch: Batch, noise: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
        """(total loss, logits [B, N])."""
        recipe, shape, values = self.recipe, self.model.settings, batch.values
        if recipe.mirror_share:
            values = mirrored_values(values, batch.mirrored, shape.token_width, shape.geometry)
        if not isinstance(noise, float):
            values = values + noise * torch.randn_like(values)
        logits, objects, words, holding = score_batch(self.model, batch, values)
        with torch.autocast(self.device.type, enabled=False):
            wanted = batch.labels.float()
            if recipe.label_ramp:
                wanted = ramp_labels(batch.overlap, recipe.positive_iou, recipe.label_ramp)
            loss = selection_loss(logits, wanted, batch.track_mask, recipe.positive_weight)
            if recipe.presence_weight:
                loss = loss + recipe.presence_weight * presence_loss(logits, batch.labels, batch.track_mask)
            if holding is not None:
                held = moment_loss(holding, batch.held, batch.labels, batch.track_mask)
                loss = loss + recipe.moment_weight * held
            if recipe.alignment_weight and isinstance(self.model, SolaSelector):
                real = batch.text_mask.flatten(0, 1)[batch.cells]
                sentence, negatives = masked_mean(words.float(), real), self.model.negative_token.weight
                aligned = alignment_losses(objects, sentence, negatives, batch.labels, batch.track_mask)
                loss = total_loss(loss, *aligned, recipe.alignment_weight)
            return loss, logits

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's scores."""
        self.scored: list[Scored] = []

    def validation_step(self, prepared: Prepared) -> None:
        """Loss and logits of one batch."""
        index, values = prepared
        batch = self.valid_data.batch(index, values)
        loss, logits = self.losses(batch)
        self.log("valid_loss", loss, batch_size=len(index), sync_dist=self._several)
        self.scored += collect(self.valid_data, index, logits, batch.track_mask)

    def on_validation_epoch_end(self) -> None:
        """The stand-in for J&F at the plain threshold, on which the best epoch is chosen."""
        self.log("valid_score", mean_score(self.scored, Calibration()), sync_dist=self._several)

    def on_train_epoch_end(self) -> None:
        """Keep one line of history an epoch."""
        names = ("train_loss", "valid_loss", "valid_score")
        metrics = {name: round(float(self.trainer.callback_metrics[name]), 5) for name in names}
        rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        self.history.append({"epoch": self.current_epoch, **metrics, "learning_rate": float(f"{rate:.3g}")})
        if self.on_epoch is not None and self.trainer.is_global_zero:
            self.on_epoch(self.history)
        if not self.automatic_optimization and self.recipe.schedule == "plateau":
            scheduler: Any = self.lr_schedulers()
            scheduler.step(self.trainer.callback_metrics["valid_loss"])

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
            self.model.parameters(),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            fused=self.device.type == "cuda",
        )
        if recipe.schedule == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=recipe.patience)
            monitor = {"monitor": "valid_loss"} if self.automatic_optimization else {}
            return {"optimizer": optimiser, "lr_scheduler": {"scheduler": plateau, **monitor}}
        steps = recipe.epochs * self.steps_per_epoch
        warm = max(1, round(recipe.warm_up * steps))

        def share(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm))))

        cosine = torch.optim.lr_scheduler.LambdaLR(optimiser, share)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": cosine, "interval": "step"}}

    def configure_gradient_clipping(self, *_: object, **__: object) -> None:
        """Clip by the recipe's norm; Lightning's own way refuses fused optimisers in bfloat16."""
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)

    @property
    def _several(self) -> bool:
        return bool(self.trainer.world_size > 1)


@torch.no_grad()
def score_data(model: Module, data: SelectorData) -> list[Scored]:
    """Logits and labels of every expression's competing tracks; the model in evaluation mode, where the data are."""
    scored: list[Scored] = []
    for index, values in Batches(data, data.epoch(EVALUATION_BATCH, None, EVALUATION_BATCH)):
        batch = data.batch(index, values)
        logits, _, _, _ = score_batch(model, batch, batch.values)
        scored += collect(data, index, logits, batch.track_mask)
    return scored


def score_batch(model: Module, batch: Batch, values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Logits [B, N], track embeddings [B, N, E], read words [B, L, E] of a batch whose values are `values`; and logits
    [B, N, T] of when it holds, where the model has the head.
    """
    shape = batch.words.shape[:2]
    words = torch.unflatten(model.read(batch.words.flatten(0, 1), batch.text_mask.flatten(0, 1)), 0, shape)
    videos: Any = model.encode(values, batch.there, batch.frame_mask)
    logits, objects = model.select(videos, words, batch.grid_mask, batch.text_mask)
    holding = model.hold(videos, objects) if isinstance(model, RelationalSelector) else None
    # Not by brackets, whose gradient sorts the indices.
    found = (
        None if x is None else x.flatten(0, 1).index_select(0, batch.cells) for x in (logits, objects, words, holding)
    )
    return cast(tuple[Tensor, Tensor, Tensor, Tensor | None], tuple(found))


@torch.no_grad()
def moment_figures(model: Module, data: SelectorData) -> dict[str, float]:
    """How well frames of a target's track are told: mean IoU with the spans' frames, and that of saying all frames.

    Over expressions with spans, each by the track with its highest logit among the targets'; {} where there are none.
    """
    found: list[tuple[float, float]] = []
    if not model.settings.moment_width:
        return {}
    for index, values in Batches(data, data.epoch(EVALUATION_BATCH, None, EVALUATION_BATCH)):
        batch = data.batch(index, values)
        logits, _, _, holding = score_batch(model, batch, batch.values)
        meant = batch.labels & batch.track_mask
        known = batch.held >= 0
        assert holding is not None
        best = logits.masked_fill(~meant, float("-inf")).argmax(-1)
        said = (holding[torch.arange(len(best)), best] > 0) & known
        true = batch.held == 1
        for row in torch.nonzero(meant.any(-1) & true.any(-1)).squeeze(-1).tolist():
            overlap = (said[row] & true[row]).sum() / (said[row] | true[row]).sum()
            found.append((float(overlap), float(true[row].sum() / known[row].sum())))
    if not found:
        return {}
    told, every = np.mean(found, axis=0)
    return {"valid_moment_iou": round(float(told), 5), "valid_whole_video_iou": round(float(every), 5)}


def collect(data: SelectorData, index: Index, logits: Tensor, mask: Tensor) -> list[Scored]:
    """The real tracks' logits of a batch with their labels."""
    found = []
    for i, row, taking in zip(index.tolist(), logits.double().cpu().numpy(), mask.cpu().numpy(), strict=True):
        video, number = data.items[i]
        rows = taking[: len(video.tracks.sources)]
        found.append(
            Scored(row[taking], select_rows(video.labels, rows), video.expressions[number], video.tracks.video_id)
        )
    return found


def _noise(model: Module, train: SelectorData, settings: TrainingSettings) -> Tensor | float:
    """The deviations [D] of noise: on object tokens and looks as they vary, none on box numbers, which mean what they
    say. 0.0 where there is none at all.
    """
    if settings.token_noise == settings.look_noise == 0:
        return 0.0
    deviation = moments(train.rows)[1]
    place, shape = torch.arange(len(deviation), device=deviation.device), model.settings
    tokens, looks = place < shape.token_width, place >= len(deviation) - shape.look_width
    return deviation * (settings.token_noise * tokens + settings.look_noise * looks)
