"""`torch.compile` where it is asked for, and the batch sizes that it is asked for.

Knows that a compiled function is made again for every new shape. Does not know what is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

BUCKETS = (1, 4, 8, 16, 32, 48, 64)
SHAPES = 64  # compiled versions of one function: a few a bucket and tracker

Params = ParamSpec("Params")
Result = TypeVar("Result")


def compilable(
    function: Callable[Params, Result], compiled: bool, *, dynamic: bool = False
) -> Callable[Params, Result]:
    """The function, compiled where asked for; `dynamic` for one whose shapes differ from frame to frame."""
    if not compiled:
        return function
    torch._dynamo.config.cache_size_limit = max(SHAPES, torch._dynamo.config.cache_size_limit)
    made: Callable[Params, Result] = torch.compile(function, dynamic=dynamic)
    return made


def bucket(objects: int) -> int:
    """The batch size that `objects` are padded to: the next bucket, or multiples of the largest."""
    for size in BUCKETS:
        if objects <= size:
            return size
    return -(-objects // BUCKETS[-1]) * BUCKETS[-1]
