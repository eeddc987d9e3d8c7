"""Logits -> COCO masks at the video's size, several frames at a time and, on a GPU, beside the tracking.

Knows logits and run lengths. Does not know trackers or tracks. Axis letters: N objects, h w logits, H W pixels.
"""

from __future__ import annotations

from collections.abc import Hashable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor
from torch.nn import functional

from core import rle
from proposals.run_lengths import changes, strings

WAITING = 2  # jobs that may wait for the thread, each with PIXELS on the device
PIXELS = 2**27  # at the video's size that are enlarged at once: half a gigabyte of logits


class MaskWriter:
    """Masks by a key of the caller's; they are ready after `finish`."""

    def __init__(self, size: rle.Size, device: torch.device) -> None:
        self._size, self._on_gpu = size, device.type == "cuda"
        self._waiting: list[tuple[Hashable, Tensor]] = []
        self._objects = 0
        self._masks: dict[Hashable, tuple[bytes, ...]] = {}
        self._jobs: list[tuple[list[tuple[Hashable, int]], Future[list[bytes]]]] = []
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="masks") if self._on_gpu else None
        self._stream: torch.cuda.Stream | None = torch.cuda.Stream(device) if self._on_gpu else None  # type: ignore[no-untyped-call]

    def add(self, key: Hashable, logits: Tensor) -> None:
        """Logits [N, 1, h, w] of one key: N masks, logits > 0 at the video's size."""
        self._waiting.append((key, logits))
        self._objects += len(logits)
        if self._objects * self._size[0] * self._size[1] >= PIXELS:
            self._send()

    def finish(self) -> dict[Hashable, tuple[bytes, ...]]:
        """Every mask so far, by key."""
        self._send()
        for parts, job in self._jobs:
            self._take(parts, job.result())
        self._jobs.clear()
        return self._masks

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _send(self) -> None:
        """Encode what waits."""
        if not self._waiting:
            return
        parts = [(key, len(logits)) for key, logits in self._waiting]
        masks = video_masks(torch.cat([logits for _, logits in self._waiting]), self._size)
        self._waiting.clear()
        self._objects = 0
        if self._thread is None:
            self._take(parts, list(rle.encode(masks.numpy())))
        else:
            if len(self._jobs) >= WAITING:
                self._jobs[-WAITING][1].result()  # or a slow thread would fill the device
            changed = changes(masks)
            self._jobs.append(
                (parts, self._thread.submit(self._strings, changed, torch.cuda.current_stream(changed.device)))
            )

    def _strings(self, changed: Tensor, made_on: torch.cuda.Stream) -> list[bytes]:
        """In the thread: its own stream waits for the masks, so that the tracking's stream need not."""
        assert self._stream is not None
        self._stream.wait_stream(made_on)
        changed.record_stream(self._stream)
        with torch.cuda.stream(self._stream):
            return strings(changed)

    def _take(self, parts: list[tuple[Hashable, int]], counts: list[bytes]) -> None:
        at = 0
        for key, number in parts:
            self._masks[key] = tuple(counts[at : at + number])
            at += number


def video_masks(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Low-resolution logits [N, 1, h, w] -> bool [N, H, W] at the video's size, as the package does it (bilinear)."""
    if logits.shape[-2:] != size:
        logits = functional.interpolate(logits, size, mode="bilinear", align_corners=False)
    return logits[:, 0] > 0
