"""What an optimiser's step of a grounder's training does: its numbers, its rate, and which weights decay.

Knows the names of a grounder's weights. Does not know losses, data or what runs the steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from core.errors import InputError


@dataclass(frozen=True)
class TrainingSettings:
    """steps: optimiser's steps in all.   tokens, most: of a batch, see `Mixture`.   accumulate: batches a step,
    of each process.

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


def share_at(step: int, settings: TrainingSettings) -> float:
    """The share of the highest rate at a step: up, then down by half a cosine to a hundredth."""
    warm = max(1, round(settings.warm_up * settings.steps))
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, settings.steps - warm))))


def decaying(grounder: nn.Module) -> frozenset[str]:
    """Names of the weights that decay: matrices, and neither vectors nor embeddings of the grounder's tokens."""
    return frozenset(name for name, weight in grounder.named_parameters() if weight.ndim > 1 and "rows" not in name)


def make_optimizer(
    grounder: nn.Module, settings: TrainingSettings, *, fused: bool = False, decay: frozenset[str] | None = None
) -> torch.optim.AdamW:
    """AdamW over all that is trained.

    fused: one kernel for all weights of a GPU.   decay: what was `decaying` before weights were spread over processes,
    after which all are vectors.

    Raises:
        InputError: where nothing is to be trained.
    """
    decay = decaying(grounder) if decay is None else decay
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in grounder.named_parameters():
        if parameter.requires_grad:
            inside = name.startswith("backbone.lm.")
            groups.setdefault((inside, name in decay), []).append(parameter)
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
