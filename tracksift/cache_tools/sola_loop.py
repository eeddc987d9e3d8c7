"""SOLA's reading of tracks, step for step, to be timed beside ours: a video a sample, every track's JSON and .npy.

As its release does it (arXiv 2412.01136): names are listed and sorted, each track's JSON is parsed whole, masks and
all, for its number and its overlaps with the targets, its .npy is loaded, a sample's tokens are stacked, and a batch of
one sample is stacked again. Names of folders come from an index there, so that looking for them is not timed. Knows the
layout. Does not know clocks. Axis letters: N tracks, T frames, D token width.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tracksift.cache_tools.sola_write import INDENT, MASKLETS, TOKENS

OVERLAPS = ("iou", "precision", "recall")
TARGETS = ("0", "1")
"""Objects that the expression means, as `made_up.made_up_labels` names them; an unknown one counts as no overlap."""


class SolaSample(NamedTuple):
    """tokens [1, N, T, D] float32; labels [N] of each overlap; prompt types and numbers of the tracks."""

    tokens: Tensor
    labels: dict[str, Tensor]
    prompt_types: list[str]
    numbers: list[int]


def token_folders(root: Path) -> list[tuple[str, str]]:
    """(masklets, tokens) of each folder with tracks, sorted."""
    found = {path.parent for path in root.glob(f"*_tracks/*/*/{TOKENS}/**/*.npy")}
    return [(str(path).replace(f"/{TOKENS}/", f"/{MASKLETS}/"), str(path)) for path in sorted(found)]


def read_sola(folders: Sequence[tuple[str, str]]) -> list[SolaSample]:
    """Every folder's tracks as SOLA's loader reads them."""
    return [_sample(*folder) for folder in folders]


def read_npy(folders: Sequence[tuple[str, str]]) -> list[Tensor]:
    """Every folder's tokens [1, N, T, D] float32 likewise, without a look at the JSON."""
    return [
        torch.stack([torch.stack([_tokens(tokens, name) for name in sorted(os.listdir(tokens))])])
        for _, tokens in folders
    ]


def mask_bytes(path: Path) -> int:
    """Bytes of a track's JSON without its overlaps."""
    value = json.loads(path.read_text(encoding="utf-8"))
    return len(json.dumps({key: part for key, part in value.items() if key not in OVERLAPS}, indent=INDENT))


def _sample(masklets: str, tokens: str) -> SolaSample:
    labels = {key: list[float]() for key in OVERLAPS}
    found, prompt_types, numbers = [], [], []
    for name in sorted(os.listdir(masklets)):
        with open(os.path.join(masklets, name), encoding="utf-8") as file:
            track = json.load(file)
        best = dict.fromkeys(OVERLAPS, 0.0)
        for target in TARGETS:
            overlap = {key: track.get(key, {}).get(target, 0.0) for key in OVERLAPS}
            best = overlap if overlap["iou"] > best["iou"] else best
        for key, value in best.items():
            labels[key].append(value)
        prompt_types.append(track["prompt_type"])
        numbers.append(track["anno_id"])
        found.append(_tokens(tokens, f"{track['anno_id']:05d}.npy"))
    stacked = torch.stack([torch.stack(found)])  # of the tracks, then of the batch's one sample
    return SolaSample(stacked, {key: torch.tensor(values) for key, values in labels.items()}, prompt_types, numbers)


def _tokens(folder: str, name: str) -> Tensor:
    return torch.from_numpy(np.load(os.path.join(folder, name)))
