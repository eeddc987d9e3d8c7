"""A training step's forward and backward as one CUDA graph, replayed on new data; what is said where none can be made.

Knows CUDA graphs. Does not know models or losses. A step of the miniature SAM2 is about 33,000 small kernels: launched
one by one they take three times as long as the GPU needs for them. Everything in the step must have one shape and run
on the device; dice come from the device's own generator, or as input.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from core.hub import first_line

Made = TypeVar("Made")
Work = Callable[..., Tensor]
WARM_UPS = 3


class CapturedStep:
    """`work(*inputs)` gives a vector whose first entry is the loss; calling this replays it with its gradients.

    The parameters' `.grad` are overwritten by every call, never added to.
    """

    def __init__(
        self, work: Work, parameters: Sequence[nn.Parameter], example: Sequence[Tensor],
        beside: CapturedStep | None = None,
    ) -> None:  # fmt: skip
        """Capture on copies of `example`, after warm-ups that compile and choose kernels; nothing is learnt.

        beside: another step whose memory this one may use too. Then what a call of either gives, gradients included,
        holds until the next call of any of them.
        """
        self._inputs = [tensor.clone() for tensor in example]
        self._parameters = list(parameters)
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                self._forget()
                torch.autograd.backward(work(*self._inputs)[0])
        torch.cuda.current_stream().wait_stream(stream)
        self._forget()
        self._graph = torch.cuda.CUDAGraph()
        # Other threads, such as NCCL's watchdog, may use the device meanwhile.
        pool = None if beside is None else beside._graph.pool()
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            self._result = work(*self._inputs)
            torch.autograd.backward(self._result[0])
        self._gradients = [parameter.grad for parameter in self._parameters]
        self._result = self._result.detach()
        self._forget()

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        """The vector for `inputs`, whose shapes are those of the example; sets every `.grad`."""
        for kept, given in zip(self._inputs, inputs, strict=True):
            kept.copy_(given)
        self._graph.replay()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        return self._result.clone()

    def _forget(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None


def captured_or_warned(capture: Callable[[], Made], what: str) -> Made | None:
    """What `capture` gives; None where a CUDA graph cannot be made, with a warning that begins with `what`.

    Raises:
        torch.OutOfMemoryError: where memory is what is missing, since smaller batches may help.
    """
    try:
        return capture()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        told = f"{what} could not be captured as a CUDA graph ({first_line(error)}); it goes on without, and slower"
        warnings.warn(told, stacklevel=3)
        _free_dice()
        return None


def _free_dice() -> None:
    """Let the device's generator throw dice again: torch 2.11 leaves it in the capture that broke, where it refuses."""
    if torch.cuda.is_available():
        dice = torch.cuda.default_generators[torch.cuda.current_device()]
        dice.graphsafe_set_state(dice.clone_state())
