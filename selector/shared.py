"""Splits that one process has read, as a file that others map: many trainings on one reading of the caches.

Knows the tensors of splits. Does not know caches, nor who trains. What is not a tensor is small and is sent along.
Axis letters: D numbers a track and frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from core.atomic import atomic_path
from core.errors import InputError
from selector.data import SelectorData
from selector.inputs import TrackValues
from selector.labelled import LabelledVideo
from selector.rows import HeldRows
from selector.settings import Settings
from selector.training import Splits

PARTS = ("train", "valid", "calib")


@dataclass(frozen=True)
class SharedSplits:
    """Splits whose tensors lie in `path`; may be sent to other processes of the machine."""

    path: Path
    rest: Splits

    def open(self, device: torch.device) -> Splits:
        """The splits on a device."""
        found = load_file(self.path, str(device))
        return _each(self.rest, lambda part, data: _filled(data, part, found))


def share(splits: Splits, path: Path) -> SharedSplits:
    """Write the splits' tensors to `path`; those of training keep no expressions but their hashes and numbers.

    Raises:
        InputError: for splits that are streamed.
        OutputError: where the file cannot be written.
    """
    tensors: dict[str, torch.Tensor] = {}

    def without(part: str, data: SelectorData) -> SelectorData:
        if not isinstance(data.rows, HeldRows):
            raise InputError("shared splits: expected splits that are held, got streamed ones")
        named = _tensors(data)
        tensors.update({f"{part}.{name}": tensor.cpu().contiguous() for name, tensor in named.items()})
        changes: dict[str, Any] = {name: torch.empty(0) for name in named if "." not in name}
        changes["items"] = () if part == "train" else tuple((_light(video), number) for video, number in data.items)
        return replace(data, rows=HeldRows(torch.empty(0), torch.empty(0)), **changes)

    rest = _each(splits, without)
    with atomic_path(path) as temporary:
        save_file(tensors, temporary)
    return SharedSplits(path, rest)


def fitting(splits: Splits, settings: Settings) -> Splits:
    """Splits as a module of the settings reads them, without tokens, outlines, boxes or looks that it does not.

    Raises:
        InputError: for splits that lack what the module reads, or have it of another width.
    """
    return _each(splits, lambda _, data: _narrow(data, settings))


def _each(splits: Splits, change: Callable[[str, SelectorData], SelectorData]) -> Splits:
    parts: dict[str, Any] = {part: change(part, getattr(splits, part)) for part in PARTS}
    return replace(splits, **parts)


def _narrow(data: SelectorData, settings: Settings) -> SelectorData:
    rows, have, read = data.rows, data.widths, (settings.token_width, settings.geometry, settings.look_width)
    if read == have:
        return data
    fit = all(r in (0, h) for r, h in zip(read[::2], have[::2], strict=True)) and read[1] <= have[1]
    if not fit or not isinstance(rows, HeldRows):
        raise InputError(f"selector settings: expected at most {have} numbers of tokens, boxes and looks, got {read}")
    starts = (0, have[0], have[0] + have[1])
    kept = [rows.values[:, start : start + r] for start, r in zip(starts, read, strict=True)]
    narrow = replace(rows, values=torch.cat(kept, 1))
    return replace(data, rows=narrow, widths=read, look=data.look if settings.look_width else "")


def _tensors(data: SelectorData) -> dict[str, torch.Tensor]:
    """Every tensor by its field's name; those of the rows after "rows."."""
    assert isinstance(data.rows, HeldRows)
    own = {f.name: getattr(data, f.name) for f in fields(data)}
    return {name: value for name, value in own.items() if isinstance(value, torch.Tensor)} | {
        "rows.values": data.rows.values,
        "rows.sizes": data.rows.sizes,
    }


def _filled(data: SelectorData, part: str, found: dict[str, torch.Tensor]) -> SelectorData:
    own: dict[str, Any] = {
        name.removeprefix(f"{part}."): tensor for name, tensor in found.items() if name.startswith(f"{part}.")
    }
    rows = HeldRows(own.pop("rows.values"), own.pop("rows.sizes"))
    return replace(data, rows=rows, **own)


def _light(video: LabelledVideo) -> LabelledVideo:
    """The video without its numbers, which the rows hold."""
    tracks, frames, _ = video.tracks.parts.shape
    nothing = TrackValues(np.empty((tracks, frames, 0), dtype=np.float16))
    return replace(video, tracks=replace(video.tracks, parts=nothing))
