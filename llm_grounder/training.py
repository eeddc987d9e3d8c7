"""Trains a grounder with Lightning: rates, precision, processes, gradient checkpointing, a state to go on from.

Knows the grounder, its losses and batches of samples. Does not know datasets, caches or commands. Nothing is caught and
nothing is dropped: an error of one sample ends the training, with the sample's name in it.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader

from core.errors import InputError, TrackSiftError
from core.reporting import Progress
from llm_grounder.mixture import Mixture
from llm_grounder.types import Sample

StrategyName = Literal["single", "ddp", "fsdp"]
STATE = "grounder.training.ckpt"
LOG_EVERY = 10
Teller = Callable[..., None]
"""Takes a line of a log by its names."""


@dataclass(frozen=True)
class TrainingSettings:
    """steps: optimiser's steps in all.   tokens, most: of a batch, see `Mixture`.   accumulate: batches a step.

    rate: of the language model's weights or LoRA's.   head_rate: of all that is new.   warm_up: share of the steps.
    weight_decay: of matrices.   clip: of the gradient's norm.   checkpointing: forget layers' states and compute them
    again, for a third more time and a fraction of the memory.
    """

    steps: int = 2000
    tokens: int = 16_384
    most: int = 32
    accumulate: int = 1
    rate: float = 2e-4
    head_rate: float = 5e-4
    warm_up: float = 0.05
    weight_decay: float = 0.01
    clip: float = 1.0
    checkpointing: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        if min(self.steps, self.tokens, self.most, self.accumulate) < 1:
            raise InputError(f"training: expected steps, tokens, most and accumulate of 1 or more, got {self}")
        if not (self.rate > 0 and self.head_rate > 0 and self.clip > 0 and 0 <= self.warm_up < 1):
            raise InputError(f"training: expected rates and a clip above 0 and a warm-up below 1, got {self}")


@dataclass(frozen=True)
class Spread:
    """How a training is spread. devices: GPUs of each of so many nodes.   strategy: `ddp` copies the model, `fsdp`
    spreads its weights.   bf16: None for bfloat16 on a GPU and float32 on a CPU.   workers: processes that read.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    devices: int = 1
    nodes: int = 1
    strategy: StrategyName = "single"
    bf16: bool | None = None
    workers: int = 0

    def __post_init__(self) -> None:
        """Refuse several processes without a strategy."""
        if self.strategy not in get_args(StrategyName):
            raise InputError(f"--strategy: expected one of {get_args(StrategyName)}, got {self.strategy!r}")
        if self.devices * self.nodes > 1 and self.strategy == "single":
            raise InputError(f"--strategy: expected ddp or fsdp with {self.devices * self.nodes} processes, got single")
        if self.strategy == "fsdp" and self.device.type != "cuda":
            raise InputError("--strategy: expected GPUs with fsdp, got a CPU")


class GrounderModule(lightning.LightningModule):  # type: ignore[misc]  # the library is untyped
    """A grounder, whose forward pass gives its losses by name, under AdamW with warm-up and half a cosine."""

    def __init__(self, grounder: nn.Module, settings: TrainingSettings, tell: Teller | None = None) -> None:
        """tell: called with a line of the log (step, seconds, losses and what was drawn) every few steps."""
        super().__init__()
        self.grounder, self.recipe, self.tell = grounder, settings, tell
        self.begun = time.monotonic()
        self.seen: Counter[str] = Counter()

    def training_step(self, batch: list[Sample], index: int) -> Tensor:
        """The total loss of a batch.

        Raises:
            TrackSiftError: where it is not a finite number.
        """
        losses: Mapping[str, Tensor] = self.grounder(batch)
        total = losses["total"]
        self.seen.update(sample.request.task.value for sample in batch)
        if self.global_step % LOG_EVERY == 0 or self.global_step + 1 == self.recipe.steps:
            values = {name: round(float(value.detach()), 5) for name, value in losses.items()}
            if not math.isfinite(values["total"]):
                clips = [sample.clip.id for sample in batch]
                raise TrackSiftError(
                    f"training: expected a finite loss, got {values} at step {self.global_step} on clips {clips}"
                )
            if self.tell is not None and self.trainer.is_global_zero:
                seconds = round(time.monotonic() - self.begun, 2)
                self.tell(step=self.global_step, seconds=seconds, drawn=dict(self.seen), **values)
        return total

    def transfer_batch_to_device(self, batch: list[Sample], device: torch.device, dataloader_idx: int) -> list[Sample]:
        """Samples stay where they are: the grounder takes of them what it needs."""
        return batch

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What was drawn goes on after a stop."""
        checkpoint["seen"] = dict(self.seen)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See `on_save_checkpoint`."""
        self.seen = Counter(checkpoint["seen"])

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW and its schedule."""
        optimizer = make_optimizer(self.grounder, self.recipe)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share_at(step, self.recipe))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def share_at(step: int, settings: TrainingSettings) -> float:
    """The share of the highest rate at a step: up, then down by half a cosine to a hundredth."""
    warm = max(1, round(settings.warm_up * settings.steps))
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, settings.steps - warm))))


def make_optimizer(grounder: nn.Module, settings: TrainingSettings, *, fused: bool = False) -> torch.optim.AdamW:
    """AdamW over all that is trained: matrices decay, vectors and embeddings of the grounder's tokens do not.

    fused: one kernel for all weights of a GPU.

    Raises:
        InputError: where nothing is to be trained.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in grounder.named_parameters():
        if parameter.requires_grad:
            inside = name.startswith("backbone.lm.")
            decays = parameter.ndim > 1 and "rows" not in name
            groups.setdefault((inside, decays), []).append(parameter)
    if not groups:
        raise InputError("training: expected weights to train, got a grounder that is all frozen")
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": settings.rate if inside else settings.head_rate,
                "weight_decay": settings.weight_decay if decays else 0.0,
            }
            for (inside, decays), parameters in groups.items()
        ],
        betas=(0.9, 0.98),
        fused=fused,
    )


def train_grounder(
    grounder: Any, batches: Mixture, settings: TrainingSettings, spread: Spread, out: Path, *,
    resume: bool = False, tell: Teller | None = None, progress: Progress | None = None,
) -> Counter[str]:  # fmt: skip
    """Train in place; how many samples of each task were drawn by this process.

    In `out` lies the state of every hundredth part of the training, from which `resume` goes on; it is gone at the end.

    Raises:
        InputError: for a state that is not there.
        TrackSiftError: for a loss that is not finite.
    """
    state = out / STATE
    if resume and not state.exists():
        raise InputError(f"--resume: expected {state} of an earlier training, got nothing there")
    if resume:
        batches.first = settings.accumulate * int(
            torch.load(state, map_location="cpu", weights_only=True)["global_step"]
        )
    module = GrounderModule(grounder, settings, tell)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Lightning's advice on workers and loggers
        warnings.simplefilter("ignore", FutureWarning)  # the name that transformers 5.17 knows, and 5.23 deprecates
        if settings.checkpointing:
            grounder.backbone.lm.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        trainer = make_trainer(settings, spread, out, progress)
        loader = DataLoader(batches, batch_size=None, num_workers=0)
        trainer.fit(module, loader, ckpt_path=str(state) if resume else None, weights_only=True)
    if trainer.is_global_zero:
        state.unlink(missing_ok=True)
    return module.seen


def make_trainer(settings: TrainingSettings, spread: Spread, out: Path, progress: Progress | None) -> Any:
    """Lightning, with a state every hundredth part and one progress bar of ours."""
    bf16 = spread.device.type == "cuda" if spread.bf16 is None else spread.bf16
    keep = ModelCheckpoint(
        dirpath=out, filename=STATE.removesuffix(".ckpt"), every_n_train_steps=max(1, settings.steps // 100),
        save_top_k=1, enable_version_counter=False,
    )  # fmt: skip
    return lightning.Trainer(
        accelerator="gpu" if spread.device.type == "cuda" else "cpu",
        devices=[spread.device.index or 0] if spread.device.type == "cuda" and spread.devices == 1 else spread.devices,
        num_nodes=spread.nodes, strategy=_strategy(spread.strategy), precision="bf16-mixed" if bf16 else "32-true",
        max_steps=settings.steps, max_epochs=-1, accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=settings.clip, callbacks=[keep, _Bar(settings.steps, progress)], logger=False,
        enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False,
    )  # fmt: skip


def _strategy(name: StrategyName) -> Any:
    if name == "ddp":
        # A batch of captions gives the boxes' head no gradient.
        return DDPStrategy(find_unused_parameters=True)
    # LoRA's small trained weights and the large frozen ones lie together.
    return FSDPStrategy(use_orig_params=True, state_dict_type="full") if name == "fsdp" else "auto"


class _Bar(lightning.Callback):  # type: ignore[misc]  # the library is untyped
    """Tells how many steps are done."""

    def __init__(self, steps: int, progress: Progress | None) -> None:
        self.steps, self.progress = steps, progress

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """See Lightning."""
        if self.progress is not None and trainer.is_global_zero:
            self.progress(trainer.global_step, self.steps)
