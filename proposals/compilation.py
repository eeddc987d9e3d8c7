"""`torch.compile` where it is asked for, and the batch sizes that it is asked for.

Knows that a compiled function is made again for every new shape. Does not know what is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import ParamSpec, TypeVar

import torch

BUCKETS = (1, 4, 8, 16, 32, 48, 64)
OVERHEAD = 3  # what one more batch costs, in objects: launches, and kernels that leave the device partly idle
SHAPES = 64  # compiled versions of one function: a few a bucket and tracker

Params = ParamSpec("Params")
Result = TypeVar("Result")


def compilable(function: Callable[Params, Result], compiled: bool) -> Callable[Params, Result]:
    """The function, compiled where asked for, once for each shape.

    Rounded to bfloat16 wherever it is without compiling: scores that tie then tie in both, and the same mask is chosen.
    """
    if not compiled:
        return function
    torch._dynamo.config.cache_size_limit = max(SHAPES, torch._dynamo.config.cache_size_limit)
    made: Callable[Params, Result] = torch.compile(function, dynamic=False, options={"emulate_precision_casts": True})
    return made


@cache
def portions(objects: int) -> tuple[tuple[int, int], ...]:
    """How many objects each batch takes, and the bucket that it is padded to, largest first; they add up to `objects`.

    A batch costs its bucket and OVERHEAD: of all ways the one that costs least, so 20 are 16 and 4, and 31 are 32.
    """
    best: list[tuple[int, tuple[int, ...]]] = [(0, ())]
    for count in range(1, objects + 1):
        before = ((best[max(count - size, 0)], size) for size in BUCKETS)
        ways = [(cost + size + OVERHEAD, (*sizes, size)) for (cost, sizes), size in before]
        best.append(min(ways, key=lambda way: (way[0], len(way[1]))))
    sizes = sorted(best[objects][1], reverse=True)
    taken, result = 0, []
    for size in sizes:
        result.append((min(size, objects - taken), size))
        taken += result[-1][0]
    return tuple(result)
