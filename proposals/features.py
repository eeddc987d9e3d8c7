"""Frame features of one video: encoded once in batches, read ahead, kept on the device, then in host memory.

Knows a reader, a tracker's encoder and two byte budgets. Does not know prompts or tracks. Features over the device's
budget wait in pinned host memory; over both budgets they are let go, least recently used first, and encoded again when
asked for. `passes` counts the frames encoded: a sweep forward and one backward need two a frame at the most.
Frames that only a sweep forward reads are not kept at all (`keep_until`).
"""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from core.frames import VideoReader
from proposals.settings import Resources
from proposals.tracker import Maps, Tracker

MEAN = (0.485, 0.456, 0.406)  # of ImageNet, as in all SAM2 checkpoints
SPREAD = (0.229, 0.224, 0.225)
RESIZERS = 4  # threads; resizing one frame takes longer than decoding it
SHARE = 0.4  # of free memory, the most that features take; memories and attention need the rest


class FeatureStore:
    """Features by frame index. The reader belongs to the store: one thread of its own reads."""

    def __init__(self, reader: VideoReader, tracker: Tracker[Any], resources: Resources) -> None:
        self.frames = reader.meta.frames
        self.size = reader.meta.size
        self.passes = 0
        self._reader, self._tracker = reader, tracker
        self._batch = resources.encoder_batch
        self._on_gpu = tracker.device.type == "cuda"
        self._budget = min(resources.feature_bytes, SHARE * _free_bytes(tracker.device))
        self._host_budget = 0.0
        if self._on_gpu:
            self._host_budget = min(resources.host_bytes, SHARE * _free_bytes(torch.device("cpu")))
        self._held: OrderedDict[int, Maps] = OrderedDict()
        self._parked: OrderedDict[int, Maps] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="frames")
        self._helpers = ThreadPoolExecutor(max_workers=RESIZERS, thread_name_prefix="resize")
        self._ahead: dict[int, Future[NDArray[np.uint8]]] = {}
        self._last = -1
        self._again = self.frames  # the last frame that is read more than once

    def __getitem__(self, index: int) -> Maps:
        """The maps [1, channels, h, w] of one frame, fine to coarse; its whole batch is encoded when it is not held."""
        number, place = divmod(index, self._batch)
        if number not in self._held:
            self._held[number] = self._fetch(number)
            self._make_room(number)
        self._held.move_to_end(number)
        return tuple(level[place : place + 1] for level in self._held[number])

    def image(self, index: int) -> NDArray[np.uint8]:
        """The pixels of one frame, uint8 [H, W, 3] RGB."""
        frames: NDArray[np.uint8] = self._thread.submit(self._reader.read, [index]).result()
        image: NDArray[np.uint8] = frames[0]
        return image

    def keep_until(self, frame: int) -> None:
        """Say that frames after `frame` are read once, in order: their features go when the next ones come."""
        self._again = frame

    def close(self) -> None:
        """Stop reading ahead and let go of everything."""
        self._thread.shutdown(cancel_futures=True)
        self._helpers.shutdown(cancel_futures=True)
        self._ahead.clear()
        self._held.clear()
        self._parked.clear()

    def _fetch(self, number: int) -> Maps:
        """A batch from host memory, or encoded; meanwhile the next one in the same direction is read."""
        if number in self._parked:
            return tuple(level.to(self._tracker.device, non_blocking=True) for level in self._parked.pop(number))
        images = self._ahead.pop(number, None) or self._thread.submit(self._read, number)
        step = -1 if number < self._last else 1
        self._last = number
        coming = number + step
        within = 0 <= coming * self._batch < self.frames
        if within and coming not in self._held and coming not in self._parked and coming not in self._ahead:
            self._ahead = {coming: self._thread.submit(self._read, coming)}
        read = images.result()
        self.passes += len(read)
        return self._tracker.encode(read)

    def _read(self, number: int) -> NDArray[np.uint8]:
        """The frames of a batch at the tracker's size."""
        start = number * self._batch
        frames = self._reader.read(range(start, min(start + self._batch, self.frames)))
        side = self._tracker.image_size
        if frames.shape[1:3] == (side, side):
            return frames
        return np.stack(list(self._helpers.map(partial(resized, size=side), frames)))

    def _make_room(self, used: int) -> None:
        """Let go of what is not read again, and bring the rest under the budgets, the batch in use always excepted."""
        for number in [number for number in self._held if number != used and number * self._batch > self._again]:
            del self._held[number]
        while len(self._held) > 1 and _bytes(self._held) > self._budget:
            number, maps = self._held.popitem(last=False)
            size = sum(map(_size, maps))
            if _bytes(self._parked) + size <= self._host_budget:
                self._parked[number] = tuple(_pinned(level) for level in maps)


def resized(frame: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] -> [size, size, 3], as the package's frame loader resizes (bicubic)."""
    return np.asarray(Image.fromarray(frame).resize((size, size)))


def normalise(frames: NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 [B, S, S, 3] RGB -> float32 [B, 3, S, S] of the statistics that SAM2 was trained with."""
    images = torch.from_numpy(frames).to(device).permute(0, 3, 1, 2).float() / 255
    mean, spread = (torch.tensor(values, device=device).view(3, 1, 1) for values in (MEAN, SPREAD))
    return ((images - mean) / spread).contiguous()


def precision(device: torch.device) -> torch.autocast:
    """bfloat16 where a GPU computes, float32 on the CPU."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


def _free_bytes(device: torch.device) -> float:
    """Free memory of a GPU or of this machine; infinite where the system does not say."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    names = ("SC_AVPHYS_PAGES", "SC_PAGE_SIZE")
    known = all(name in os.sysconf_names for name in names)
    return float(math.prod(os.sysconf(name) for name in names)) if known else math.inf


def _pinned(level: Tensor) -> Tensor:
    """A copy in page-locked host memory, which the device writes while it goes on."""
    return torch.empty(level.shape, dtype=level.dtype, pin_memory=True).copy_(level, non_blocking=True)


def _bytes(batches: Mapping[int, Maps]) -> int:
    return sum(_size(level) for maps in batches.values() for level in maps)


def _size(level: Tensor) -> int:
    return level.numel() * level.element_size()
