"""Small batches without the host's cost: a function of tensors, captured as a CUDA graph and replayed on new data.

One expression's answer, or a tracker's step of few objects, is some hundred short kernels, which the host cannot launch
as fast as a GPU runs them. Knows CUDA graphs and shapes. Does not know models. All graphs of one `Replay` share their
memory, since one runs at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from core.captured_step import captured_or_warned

MOST = 256  # graphs; further shapes are launched as usual

Work = Callable[[], None]
Shapes = tuple[tuple[torch.Size, tuple[int, ...], torch.dtype], ...]


class Replay:
    """`function(*tensors)`, which gives tensors; each set of shapes is captured when it is met for the second time.

    What it gives belongs to the caller, as the function's own results do. Threads take turns.
    """

    def __init__(
        self,
        function: Callable[..., Sequence[Tensor]],
        numbers: int,
        capture: Callable[[Work, Any], Work] | None = None,
    ) -> None:
        """numbers: in the first tensor, up to which a call is captured.   capture: for work and a pool of memory what
        does the work again; a CUDA graph if not given.
        """
        self._function, self._numbers = function, numbers
        self._capture = capture or capture_graph
        self._pool = torch.cuda.graph_pool_handle() if capture is None else None
        self._met: set[Shapes] = set()
        self._captured: dict[Shapes, tuple[Work, list[Tensor], list[Tensor]]] = {}
        self._stores: list[Tensor] = []
        self._turn = threading.Lock()

    def __call__(self, *tensors: Tensor) -> Sequence[Tensor]:
        """What the function gives."""
        key = tuple((tensor.shape, tensor.stride(), tensor.dtype) for tensor in tensors)
        with self._turn:
            if key not in self._captured and not self._record(key, tensors):
                return self._function(*tensors)
            again, inputs, outputs = self._captured[key]
            for kept, given in zip(inputs, tensors, strict=True):
                kept.copy_(given)
            again()
            return [kept.clone() for kept in outputs]

    def _record(self, key: Shapes, tensors: Sequence[Tensor]) -> bool:
        """Capture a call of these shapes, if it is worth it; whether that was done."""
        if tensors[0].numel() > self._numbers or len(self._captured) >= MOST:
            return False
        if key not in self._met:
            self._met.add(key)
            return False
        taken: set[int] = set()
        inputs = [self._kept(tensor, taken) for tensor in tensors]
        for kept, given in zip(inputs, tensors, strict=True):
            kept.copy_(given)
        outputs = [self._kept(tensor, taken) for tensor in self._function(*inputs)]

        def work() -> None:
            for kept, made in zip(outputs, self._function(*inputs), strict=True):
                kept.copy_(made)

        # Streams are of the current device, wherever the tensors lie.
        with torch.cuda.device_of(tensors[0]):  # type: ignore[no-untyped-call]
            again = captured_or_warned(lambda: self._capture(work, self._pool), "a small batch")
        if again is None:
            self._numbers = 0
            return False
        self._captured[key] = again, inputs, outputs
        return True

    def _kept(self, like: Tensor, taken: set[int]) -> Tensor:
        """A tensor of the shape of `like` in memory that all graphs share, apart from what this one has `taken`."""
        for number, store in enumerate(self._stores):
            if number not in taken and store.dtype == like.dtype and store.numel() >= like.numel():
                break
        else:
            number, store = len(self._stores), like.new_empty(like.numel())
            self._stores.append(store)
        taken.add(number)
        last = sum((size - 1) * stride for size, stride in zip(like.shape, like.stride(), strict=True))
        if last + 1 == like.numel():  # in its own order, for which kernels may have been made
            return store.as_strided(like.shape, like.stride())
        return store[: like.numel()].view(like.shape)


def capture_graph(work: Work, pool: Any) -> Work:
    """A CUDA graph of `work`, which is run once before, so that nothing is compiled or chosen in the capture."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # Other threads use the device meanwhile: one writes masks.
    with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
        work()
    replay: Work = graph.replay
    return replay
