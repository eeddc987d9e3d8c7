"""Processes that train one model together, a GPU each, as `torchrun` starts them; alone where it did not.

Knows torch.distributed. Does not know models or data. Every process draws its own batches; gradients are averaged, so
that weights stay the same everywhere, and the first process tells the others how far the training is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Team:
    """One process of `size`; `rank` 0 leads: it alone logs, measures and writes."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def average(self, gradients: Sequence[Tensor]) -> None:
        """Replace gradients, of the same shapes in every process, by their mean over the processes."""
        if self.size == 1:
            return
        # One message for all of them: hundreds of small ones would take longer than the step.
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def agree(self, value: float, device: torch.device) -> float:
        """The leader's value, in every process."""
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=device)
        distributed.broadcast(told, src=0)
        return float(told)

    def most(self, value: int, device: torch.device) -> int:
        """The greatest of all processes' values, in every process."""
        if self.size == 1:
            return value
        told = torch.tensor([value], device=device)
        distributed.all_reduce(told, distributed.ReduceOp.MAX)
        return int(told)

    def part(self) -> None:
        """Wait for one another, then each process is on its own."""
        if self.size > 1:
            distributed.barrier()
            distributed.destroy_process_group()


def join(device: torch.device) -> tuple[Team, torch.device]:
    """The team that torchrun's variables name, and this process's own device."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Team(), device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Team(distributed.get_rank(), size), device
