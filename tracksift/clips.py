"""What the grounder sees of a video: frame features and tracks of a cache file, as a clip.

Knows caches and the grounder's types. Does not know encoders, requests or models. Axis letters: T frames, P patches, C
feature width, N tracks, D token width.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cache import CacheFile, FrameFeatures, open_cache, read_frames
from core.candidates import candidates, detected_for
from core.errors import CacheError, CheckpointError, InputError
from llm_grounder.types import Clip


@dataclass(frozen=True)
class Inputs:
    """How features were made, so that a grounder never reads others than it learnt from.

    encoder: content hash of the frozen encoder.   grid, tiles: side of the grid of patches (0 for one pooled feature a
    frame), and parts of a frame's side that were looked at one by one.   per_second: frames a second, None for every
    frame.   motion: whether the change since the frame before stands beside each patch.   tracks: the most tracks of a
    clip, 0 for none.
    """

    encoder: str
    grid: int = 0
    tiles: int = 1
    per_second: float | None = None
    motion: bool = True
    tracks: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        if self.grid < 0 or self.tracks < 0:
            raise InputError(f"inputs: expected a grid and tracks of 0 or more, got {self.grid} and {self.tracks}")

    def record(self) -> dict[str, Any]:
        """As `read_inputs` takes it from a checkpoint's record."""
        return asdict(self)


def read_inputs(record: Any) -> Inputs:
    """The inputs of a checkpoint's record; CheckpointError where they are not there."""
    try:
        return Inputs(**record["inputs"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"grounder: expected a record with inputs, got {record!r:.200}") from error


def read_clip(path: Path, inputs: Inputs, expression_id: str = "") -> Clip:
    """The clip of a cache file.

    expression_id: of the tracks those that may compete for it; ground-truth tracks never do.

    Raises:
        CacheError: when the file cannot be used, or its features are others than `inputs` say.
    """
    cached, features = open_cache(path), read_frames(path, inputs.encoder)
    wanted = {"grid": inputs.grid, "tiles": inputs.tiles, "per_second": inputs.per_second}
    found = {name: features.facts.get(name, 1 if name == "tiles" else None) for name in wanted}
    if found != wanted:
        raise CacheError(
            f"{path}: expected features made with {wanted}, got {found}; run `tracksift extract-features` with these"
        )
    tokens, boxes = _tracks(cached, features, inputs.tracks, expression_id)
    video = cached.video
    return Clip(
        video.id, see(_patches(features, path), inputs.motion), video.timestamps[features.index], video.end, tokens,
        boxes, cached.content_sha256,
    )  # fmt: skip


def see(patches: Tensor, motion: bool) -> Tensor:
    """Patches [T, P, C], or with their change since the frame before [T, P, 2 C]; the first frame has none."""
    if not motion:
        return patches
    before = torch.cat([patches[:1], patches[:-1]])
    return torch.cat([patches, patches - before], dim=-1)


def _patches(features: FrameFeatures, path: Path) -> Tensor:
    """[T, P, C]; the pooled feature alone where there is no grid."""
    if features.facts.get("grid") and features.patches is None:
        raise CacheError(f"{path}: expected patches of the grid that its features name, got none")
    values = features.pooled[:, None] if features.patches is None else features.patches
    return torch.from_numpy(np.ascontiguousarray(values))


def _tracks(cached: CacheFile, features: FrameFeatures, most: int, expression_id: str) -> tuple[Tensor, Tensor]:
    """Tokens [N, T, D] and boxes [N, T, 4] as shares of the picture, of the first tracks that may compete."""
    if not most or not len(cached):
        return torch.zeros(0, len(features.index), 0), torch.zeros(0, len(features.index), 4)
    prompted = [prompt.expression_id for prompt in cached.prompts()]
    chosen = candidates(cached.sources(), prompted, expression_id, detected_for(cached.provenance))[:most]
    present = (cached.object_score() > 0) & ~np.isnan(cached.boxes()[..., 0])
    height, width = cached.video.size
    tokens = np.where(present[..., None], cached.tokens(), 0)[chosen][:, features.index]
    boxes = (cached.boxes() / np.array([width, height, width, height], dtype=np.float32))[chosen][:, features.index]
    return torch.from_numpy(tokens), torch.from_numpy(np.clip(boxes, 0, 1))
