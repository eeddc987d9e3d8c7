"""Work on many objects in batches that fit: when memory runs out, the batch is halved and the work goes on.

Knows torch's out-of-memory error. Does not know what the work is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from core.errors import TrackSiftError

Result = TypeVar("Result")


class Batches:
    """The most objects that are worked on at once; it only ever falls."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def run(self, objects: int, work: Callable[[int, int], Result]) -> list[Result]:
        """`work(start, stop)` over all objects, in order.

        Raises:
            TrackSiftError: when one object alone does not fit.
        """
        results: list[Result] = []
        start = 0
        while start < objects:
            stop = min(start + self.limit, objects)
            try:
                results.append(work(start, stop))
            except torch.OutOfMemoryError as error:
                if stop - start == 1:
                    raise TrackSiftError(
                        "tracking: expected memory for at least one object, got none left; free the device, "
                        "or use a smaller tracker"
                    ) from error
                self.limit = (stop - start) // 2
            else:
                start = stop
                continue
            # Outside the handler, or the traceback would keep the failed batch alive.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return results
