"""Losses and gradients of a training step, recorded as CUDA graphs: what a small module spends on a GPU is launches.

A graph is recorded for every shape of batches that comes again, and replayed on copies of the batches. Knows tensors,
shapes and graphs. Does not know modules, losses or optimisers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from selector.data import Batch

Shapes = tuple[tuple[int, ...], ...]
WARM = 3
"""Runs before a recording, in which libraries choose their kernels."""


@dataclass(frozen=True)
class _Recorded:
    """What a graph reads and writes."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    loss: Tensor
    gradients: tuple[Tensor | None, ...]


class GraphedLoss:
    """The loss of a batch, a scalar; gradients are left in the parameters, in place of those of the last batch."""

    def __init__(self, loss: Callable[[Batch], Tensor], parameters: Sequence[nn.Parameter]) -> None:
        """loss: of a batch, without any transfer from the device.   parameters: of which gradients are wanted."""
        self._loss, self._parameters = loss, list(parameters)
        self._seen: set[Shapes] = set()
        self._recorded: dict[Shapes, _Recorded] = {}

    def __call__(self, batch: Batch) -> Tensor:
        """Recorded where batches of the same shapes were seen before and lie on a GPU, else step by step."""
        shapes = tuple(tuple(getattr(batch, field.name).shape) for field in fields(batch))
        if batch.values.device.type != "cuda" or shapes not in self._seen:
            self._seen.add(shapes)
            return self._plain(batch)
        if shapes not in self._recorded:
            self._recorded[shapes] = self._record(batch)
        recorded = self._recorded[shapes]
        for field in fields(batch):
            getattr(recorded.batch, field.name).copy_(getattr(batch, field.name))
        recorded.graph.replay()
        for parameter, gradient in zip(self._parameters, recorded.gradients, strict=True):
            parameter.grad = gradient
        return recorded.loss.clone()

    def _plain(self, batch: Batch) -> Tensor:
        for parameter in self._parameters:
            parameter.grad = None
        loss = self._loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _record(self, batch: Batch) -> _Recorded:
        """A graph whose gradients lie in memory of its own, since none are there when it is recorded."""
        copies = {field.name: getattr(batch, field.name).clone() for field in fields(batch)}
        static = replace(batch, **copies)
        aside = torch.cuda.Stream(batch.values.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(batch.values.device))
        with torch.cuda.stream(aside):
            for _ in range(WARM):
                self._plain(static)
        torch.cuda.current_stream(batch.values.device).wait_stream(aside)
        for parameter in self._parameters:
            parameter.grad = None
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._recorded.values())).graph.pool() if self._recorded else None
        with torch.cuda.graph(graph, pool=pool):
            loss = self._loss(static)
            loss.backward()  # type: ignore[no-untyped-call]
        return _Recorded(graph, static, loss.detach(), tuple(p.grad for p in self._parameters))
