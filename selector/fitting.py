"""Where and how a training runs: processes and precision, the state a stopped training goes on from, Lightning itself.

Knows devices, processes, checkpoints and folders. Does not know losses, recipes' names or results' files.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import Tensor

from core.atomic import atomic_path
from core.devices import tensor_float_32
from core.errors import InputError
from core.processes import local_rank_of, rank_of
from core.training_signals import told_of_signals
from selector.learner import SelectorModule
from selector.loading import SelectorDataModule

STATE, CHECKPOINTS = "selector.training", "checkpoints"  # what a stopped training needs, gone when it is done


@dataclass(frozen=True)
class Spread:
    """How a training is spread: processes (one a GPU) on each of so many machines, and in which precision.

    bf16: None for bfloat16 on a GPU and float32 on a CPU.   graphs: record steps as CUDA graphs, in float32.
    """

    devices: int = 1
    nodes: int = 1
    bf16: bool | None = None
    graphs: bool = False

    def __post_init__(self) -> None:
        """Refuse no processes, and graphs of what cannot be recorded."""
        if self.graphs and (self.processes > 1 or self.bf16):
            raise InputError("--graphs: expected one process and --no-bf16, got several or bfloat16")
        if self.devices < 1 or self.nodes < 1:
            raise InputError(f"--devices, --nodes: expected at least 1, got {self.devices} and {self.nodes}")

    @property
    def processes(self) -> int:
        """Of all machines."""
        return self.devices * self.nodes

    @property
    def rank(self) -> int:
        """Which of all processes this is; 0 for the one that starts the others."""
        return rank_of(self.devices, self.nodes)

    @property
    def local_rank(self) -> int:
        """Which of this machine's processes this is."""
        return local_rank_of(self.devices, self.nodes)

    def place(self, device: torch.device) -> torch.device:
        """This process' own device; InputError where there are too few, or none that records graphs."""
        if self.graphs and device.type != "cuda":
            raise InputError(f"--graphs: expected a GPU, got {device}")
        if self.devices == 1 or device.type != "cuda":
            return device
        if self.devices > torch.cuda.device_count():
            raise InputError(f"--devices {self.devices}: expected as many GPUs, got {torch.cuda.device_count()}")
        return torch.device("cuda", self.local_rank)


def fit(
    module: SelectorModule, data: SelectorDataModule, state: Path, last: Path | None, device: torch.device,
    spread: Spread,
) -> dict[str, Tensor]:  # fmt: skip
    """Run Lightning; the module's weights of the epoch that was best on validation.

    state: a folder for checkpoints.   last: the checkpoint to go on from.   device: this process' own.

    Raises:
        StoppedError: when SIGTERM or SIGINT ends it.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # its banners are no results
    keeper = ModelCheckpoint(
        dirpath=state / CHECKPOINTS, filename="best", monitor="valid_score", mode="max", save_last=True,
        enable_version_counter=False,
    )  # fmt: skip
    callbacks: list[Callback] = [keeper]
    if module.recipe.stop_after:
        callbacks.append(EarlyStopping("valid_score", patience=module.recipe.stop_after, mode="max"))
    cuda = device.type == "cuda"
    trainer = lightning.Trainer(
        accelerator="gpu" if cuda else "cpu",
        devices=[device.index or 0] if cuda and spread.devices == 1 else spread.devices,
        num_nodes=spread.nodes,
        strategy="ddp" if spread.processes > 1 else "auto",
        use_distributed_sampler=False,  # the data module hands every process its part
        precision="bf16-mixed" if (cuda and not spread.graphs if spread.bf16 is None else spread.bf16) else "32-true",
        max_epochs=module.recipe.epochs,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    # TensorFloat-32 is exact enough to learn, and spares casts of all weights a step.
    with tensor_float_32(device), told_of_signals(state.parent, lambda: _kept(state)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists")  # it does when a training goes on
        warnings.filterwarnings("ignore", message=".*LeafSpec")  # the library's own use of torch
        warnings.filterwarnings("ignore", message=".*does not have many workers")  # nothing is read while training
        trainer.fit(module, datamodule=data, ckpt_path=last, weights_only=True)
    checkpoint = torch.load(keeper.best_model_path, map_location="cpu", weights_only=True)
    return cast(dict[str, Tensor], checkpoint["state_dict"])


def _kept(state: Path) -> str:
    if (state / CHECKPOINTS / "last.ckpt").exists():
        return "the same command goes on from its last epoch"
    return "no epoch was done, and the same command starts anew"


def model_state(checkpoint: dict[str, Tensor]) -> dict[str, Any]:
    """The selector's own tensors of what `fit` returns."""
    return {k.removeprefix("model."): v for k, v in checkpoint.items() if k.startswith("model.")}


def prepare_state(state: Path, identity: str, *, resume: bool, main: bool) -> Path | None:
    """The last checkpoint of a stopped training of the same `identity`, or None and an empty folder.

    main: whether this process may write; the others only look.

    Raises:
        InputError: when another training was stopped there.
    """
    note, last = state / "identity.txt", state / CHECKPOINTS / "last.ckpt"
    if resume and last.exists():
        if not note.exists() or note.read_text(encoding="utf-8") != identity:
            raise InputError(
                f"{state}: expected a stopped training of the same settings, encoder and caches, got another; "
                "start anew without resuming, or choose another folder"
            )
        return last
    if main:
        if state.exists():
            shutil.rmtree(state)
        with atomic_path(note) as path:
            path.write_text(identity, encoding="utf-8")
    return None
