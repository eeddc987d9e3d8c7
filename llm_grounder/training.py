"""Trains a grounder with Lightning: rates, precision, processes, gradient checkpointing, a state to go on from.

Knows processes, states and batches of samples. Does not know losses, datasets, caches or commands. Nothing is caught
and nothing is dropped: an error of one sample ends the training, with the sample's name in it.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.precision import FSDPPrecision
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy
from torch.utils.data import DataLoader

from core.errors import InputError
from core.processes import rank_of
from core.reporting import Progress
from core.training_signals import AgreedStop, told_of_signals
from llm_grounder.mixture import Mixture
from llm_grounder.optimiser import TrainingSettings
from llm_grounder.training_module import GrounderModule, Learnt, Teller

StrategyName = Literal["single", "ddp", "fsdp"]
Precision = Literal["bf16-mixed", "32-true"]
STATE = "grounder.training.ckpt"


@dataclass(frozen=True)
class Spread:
    """How a training is spread. devices: processes, one a GPU, of each of so many nodes.   strategy: `ddp` copies the
    model, `fsdp` spreads its weights.   bf16: None for bfloat16 on a GPU and float32 on a CPU.   workers: processes
    that read.

    Every process takes batches of its own, so that a step is that of one process which accumulates as many more.
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
        if self.processes > 1 and self.strategy == "single":
            raise InputError(f"--strategy: expected ddp or fsdp with {self.processes} processes, got single")
        if self.strategy == "fsdp" and self.device.type != "cuda":
            raise InputError("--strategy: expected GPUs with fsdp, got a CPU")

    @property
    def processes(self) -> int:
        """Of all machines."""
        return self.devices * self.nodes

    @property
    def rank(self) -> int:
        """Which of all processes this is; 0 for the one that starts the others, and alone writes."""
        return rank_of(self.devices, self.nodes)


def train_grounder(
    grounder: Any, batches: Mixture, settings: TrainingSettings, spread: Spread, out: Path, *,
    resume: bool = False, tell: Teller | None = None, progress: Progress | None = None,
) -> Learnt:  # fmt: skip
    """Train in place.

    batches: of this process; processes together take `settings.accumulate` batches each a step.

    In `out` lies the state of every hundredth part of the training, from which `resume` goes on. It stays until whoever
    keeps the weights deletes it, so that a stop before they are written loses nothing.

    Raises:
        InputError: for a state that is not there, or one in the way.
        StoppedError: when SIGTERM or SIGINT ends it.
        TrackSiftError: for a loss that is not finite.
    """
    state = out / STATE
    if resume and not state.exists():
        raise InputError(f"--resume: expected {state} of an earlier training, got nothing there")
    if not resume and state.exists():
        raise InputError(f"--out: expected a folder without a stopped training, got {state}; add --resume or delete it")
    if resume:
        batches.first = settings.accumulate * int(
            torch.load(state, map_location="cpu", weights_only=True)["global_step"]
        )
    module = GrounderModule(grounder, settings, tell)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with told_of_signals(out, lambda: _kept(state)), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Lightning's advice on workers and loggers
        warnings.simplefilter("ignore", FutureWarning)  # the name that transformers 5.17 knows, and 5.23 deprecates
        if settings.checkpointing:
            grounder.backbone.lm.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        trainer = make_trainer(settings, spread, out, progress)
        loader = DataLoader(batches, batch_size=None, num_workers=0)
        trainer.fit(module, loader, ckpt_path=str(state) if resume else None, weights_only=True)
    return module.learnt


def _kept(state: Path) -> str:
    if state.exists():
        return "--resume goes on from its last state"
    return "no state was written, and the same command starts anew"


def make_trainer(settings: TrainingSettings, spread: Spread, out: Path, progress: Progress | None) -> Any:
    """Lightning, with a state every hundredth part and one progress bar of ours."""
    bf16 = spread.device.type == "cuda" if spread.bf16 is None else spread.bf16
    precision: Precision = "bf16-mixed" if bf16 else "32-true"
    keep = ModelCheckpoint(
        dirpath=out, filename=STATE.removesuffix(".ckpt"), every_n_train_steps=max(1, settings.steps // 100),
        save_top_k=1, enable_version_counter=False,
    )  # fmt: skip
    return lightning.Trainer(
        accelerator="gpu" if spread.device.type == "cuda" else "cpu",
        devices=[spread.device.index or 0] if spread.device.type == "cuda" and spread.devices == 1 else spread.devices,
        num_nodes=spread.nodes, strategy=_strategy(spread.strategy, precision), precision=precision,
        max_steps=settings.steps, max_epochs=-1, accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=settings.clip, logger=False,
        callbacks=[keep, _Bar(settings.steps, progress), AgreedStop()],
        enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False,
    )  # fmt: skip


def _strategy(name: StrategyName, precision: Precision) -> Any:
    if name == "ddp":
        # A batch of captions gives the boxes' head no gradient.
        return DDPStrategy(find_unused_parameters=True)
    if name == "fsdp":
        # LoRA's small trained weights and the large frozen ones lie together.
        return FSDPStrategy(use_orig_params=True, state_dict_type="full", precision_plugin=_Untouched(precision))
    return "auto"


class _Untouched(FSDPPrecision):  # type: ignore[misc]  # the library is untyped
    """FSDP's precision, with samples as they are: the grounder takes of them what it needs."""

    def convert_input(self, data: Any) -> Any:
        """See Lightning."""
        return data


class _Bar(lightning.Callback):  # type: ignore[misc]  # the library is untyped
    """Tells how many steps are done."""

    def __init__(self, steps: int, progress: Progress | None) -> None:
        self.steps, self.progress = steps, progress

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """See Lightning."""
        if self.progress is not None and trainer.is_global_zero:
            self.progress(trainer.global_step, self.steps)
