"""Losses and gradients of a training step, captured as CUDA graphs: what a small module spends on a GPU is launches.

A graph is captured for every shape of batches that comes again. Knows batches, shapes and captured steps. Does not know
modules, losses or optimisers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

import torch
from torch import Tensor, nn

from core.captured_step import CapturedStep, captured_or_warned
from selector.data import Batch

CAPTURING = ("cuda",)
"""Kinds of devices that capture."""
Shapes = tuple[torch.Size, ...]


class GraphedLoss:
    """The loss of a batch, a scalar; gradients are left in the parameters, in place of those of the last batch."""

    def __init__(self, loss: Callable[[Batch], Tensor], parameters: Sequence[nn.Parameter]) -> None:
        """loss: of a batch, without any transfer from the device.   parameters: of which gradients are wanted."""
        self._loss, self._parameters = loss, list(parameters)
        self._seen: set[Shapes] = set()
        self._captured: dict[Shapes, CapturedStep] = {}
        self._capture = True

    def __call__(self, batch: Batch) -> Tensor:
        """Captured where batches of the same shapes were seen before and lie on a GPU, else step by step.

        Where a step cannot be captured, a warning says so, and all go step by step from then on.
        """
        tensors: list[Tensor] = [getattr(batch, field.name) for field in fields(batch)]
        shapes = tuple(tensor.shape for tensor in tensors)
        if not self._capture or batch.values.device.type not in CAPTURING or shapes not in self._seen:
            self._seen.add(shapes)
            return self._plain(batch)
        if shapes not in self._captured:
            beside = next(iter(self._captured.values()), None)
            step = captured_or_warned(
                lambda: CapturedStep(self._work, self._parameters, tensors, beside), "training: the step"
            )
            if step is None:
                self._capture = False
                return self._plain(batch)
            self._captured[shapes] = step
        return self._captured[shapes](tensors)[0]

    def _plain(self, batch: Batch) -> Tensor:
        for parameter in self._parameters:
            parameter.grad = None
        loss = self._loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _work(self, *tensors: Tensor) -> Tensor:
        return self._loss(Batch(*tensors))[None]
