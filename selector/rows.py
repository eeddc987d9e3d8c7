"""Where the numbers of a split's tracks lie, and how some videos' are put into one padded tensor.

`HeldRows` has all of them on the training's device, for splits that fit there; `StreamedRows` leaves tokens where they
were read, which is the mapped pack where there is one, and copies a batch's videos to the device. Both give the same
numbers. Knows arrays. Does not know expressions or labels.
Axis letters: V videos, N tracks, T frames, D numbers a track and frame, R rows (one per track and frame).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selector.grid import put
from selector.inputs import TrackValues

MOMENT_ROWS = 1 << 18  # float64 of all rows at once would not fit


@dataclass(frozen=True)
class HeldRows:
    """values [R, D] float16, video after video, on any device.   sizes: N, T and first row of every video, [V, 3]."""

    values: Tensor
    sizes: Tensor

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return self.values.device

    @property
    def width(self) -> int:
        """D."""
        return int(self.values.shape[1])

    def gather(self, which: NDArray[np.int64], tracks: int, frames: int) -> Tensor:
        """The values of videos `which` [V] as [V, tracks, frames, D] float32, zero where a video has no such one."""
        count, length, first = self.sizes[put(which, self.device)].unbind(1)
        n, t = (torch.arange(size, device=self.device) for size in (tracks, frames))
        row = first[:, None, None] + n[:, None] * length[:, None, None] + t
        inside = (n < count[:, None])[:, :, None] & (t < length[:, None])[:, None]
        return self.values[torch.where(inside, row, 0)].float() * inside[..., None]

    def parts(self) -> Iterator[Tensor]:
        """All rows, [any, D], in parts."""
        yield from torch.split(self.values, MOMENT_ROWS)


@dataclass(frozen=True)
class StreamedRows:
    """The videos' values as they were read, at least one; batches go to `device`."""

    videos: tuple[TrackValues, ...]
    device: torch.device

    @property
    def width(self) -> int:
        """D."""
        return self.videos[0].shape[2]

    def gather(self, which: NDArray[np.int64], tracks: int, frames: int) -> Tensor:
        """As `HeldRows.gather`; may be called by several threads."""
        shape = (len(which), tracks, frames, self.width)
        cuda = self.device.type == "cuda"
        values = torch.zeros(shape, dtype=torch.float16, pin_memory=cuda)
        for place, number in zip(values.numpy(), which.tolist(), strict=True):
            self.videos[number].put(place)
        return values.to(self.device, non_blocking=cuda).float()

    def parts(self) -> Iterator[Tensor]:
        """All rows, [any, D], video by video."""
        for video in self.videos:
            yield torch.from_numpy(video.joined().reshape(-1, self.width)).to(self.device)


Rows = HeldRows | StreamedRows


def hold(videos: Sequence[TrackValues], device: torch.device) -> HeldRows:
    """All rows of the videos, at least one, on the device."""
    sizes = np.array([video.shape[:2] for video in videos], dtype=np.int64)
    values = np.empty((int(sizes.prod(1).sum()), videos[0].shape[2]), dtype=np.float16)
    start = 0
    for video, (tracks, frames) in zip(videos, sizes.tolist(), strict=True):
        end = start + tracks * frames
        video.put(values[start:end].reshape(tracks, frames, -1))
        start = end
    firsts = np.cumsum([0, *sizes.prod(1)])[:-1]
    placed = torch.from_numpy(np.column_stack([sizes, firsts]))
    return HeldRows(torch.from_numpy(values).to(device), placed.to(device))


def moments(rows: Rows) -> tuple[Tensor, Tensor]:
    """Mean and deviation [D] of the values over all rows."""
    total = torch.zeros(rows.width, dtype=torch.float64, device=rows.device)
    square, count = torch.zeros_like(total), 0
    for part in rows.parts():
        wide = part.double()
        total += wide.sum(0)
        square += wide.square().sum(0)
        count += len(part)
    mean = total / count
    return mean.float(), (square / count - mean.square()).clamp(min=0).sqrt().float()
