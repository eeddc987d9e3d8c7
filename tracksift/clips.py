"""What the grounder sees of a video: frame features and tracks of a cache file, as a clip.

Knows caches, track sets and the grounder's types. Does not know encoders, requests or models. Axis letters: T frames,
P patches, C feature width, N tracks, D numbers a track and frame.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cache import CacheFile, FrameFeatures, open_cache, read_frames
from core.candidates import candidates, detected_for
from core.errors import CacheError, CheckpointError, InputError
from core.types import TrackSet
from llm_grounder.types import Clip
from selector.inputs import read_tracks
from selector.settings import BOX_WIDTH, OUTLINE_WIDTH

NUMBERS = BOX_WIDTH + OUTLINE_WIDTH
"""First values of a track and frame that is read by its numbers: those of its box and outline; its look follows."""


@dataclass(frozen=True)
class Inputs:
    """How features were made, so that a grounder never reads others than it learnt from.

    encoder: content hash of the frozen encoder.   grid, tiles: side of the grid of patches (0 for one pooled feature a
    frame), and parts of a frame's side that were looked at one by one.   per_second: frames a second, None for every
    frame.   motion: whether the change since the frame before stands beside each patch.   tracks: the most tracks of a
    clip, 0 for none.   numbers: whether tracks are read by the numbers of their boxes and outlines and by their looks,
    as the selector without object tokens reads them, instead of by object tokens.   trackless: whether the grounder
    also learnt from clips without tracks, so that it can read streams, which have none.
    """

    encoder: str
    grid: int = 0
    tiles: int = 1
    per_second: float | None = None
    motion: bool = True
    tracks: int = 0
    numbers: bool = False
    trackless: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        if self.grid < 0 or self.tracks < 0:
            raise InputError(f"inputs: expected a grid and tracks of 0 or more, got {self.grid} and {self.tracks}")
        if (self.numbers or self.trackless) and not self.tracks:
            raise InputError(
                f"inputs: expected 1 track or more for numbers or trackless, got 0 with numbers {self.numbers} and "
                f"trackless {self.trackless}"
            )

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
        ScorerMismatchError: when tracks are read by their numbers, and have no looks.
    """
    cached, features = open_cache(path), read_frames(path, inputs.encoder)
    wanted = {"grid": inputs.grid, "tiles": inputs.tiles, "per_second": inputs.per_second}
    found = {name: features.facts.get(name, 1 if name == "tiles" else None) for name in wanted}
    if found != wanted:
        raise CacheError(
            f"{path}: expected features made with {wanted}, got {found}; run `tracksift extract-features` with these"
        )
    tokens, boxes = _tracks(cached, features, inputs, expression_id)
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


def read_track_clip(source: CacheFile | TrackSet, *, numbers: bool) -> tuple[Tensor, Tensor]:
    """All tracks of a cache or of a track set in memory, as a `Clip` of all frames holds them.

    Values are [N, T, D] float16, zeros where a track is absent: object tokens, or with `numbers` 19 of boxes and
    outlines and the look, which is the same in every frame. Boxes are [N, T, 4] float32, shares of the picture in 0..1,
    NaN where absent.

    Raises:
        ScorerMismatchError: when looks are read and the tracks have none.
    """
    values = read_tracks(source, geometry=NUMBERS, looks=True, tokens=False).values if numbers else source.tokens()
    boxes, (height, width) = _boxes(source), source.video.size
    shares = np.clip(boxes / np.array([width, height, width, height], dtype=np.float32), 0, 1)
    return torch.from_numpy(np.where(np.isnan(boxes[..., :1]), 0, values)), torch.from_numpy(shares)


def _boxes(source: CacheFile | TrackSet) -> NDArray[np.float32]:
    """Boxes [N, T, 4] in pixels, NaN also where a mask is not empty but the object score says that nothing is there."""
    if isinstance(source, TrackSet):
        frames = source.video.frames
        boxes = np.array([track.boxes for track in source.tracks], dtype=np.float32).reshape(-1, frames, 4)
        score = np.array([track.object_score for track in source.tracks], dtype=np.float32).reshape(-1, frames)
    else:
        boxes, score = source.boxes(), source.object_score()
    return np.where(score[..., None] > 0, boxes, np.float32(np.nan))


def _tracks(cached: CacheFile, features: FrameFeatures, inputs: Inputs, expression_id: str) -> tuple[Tensor, Tensor]:
    """Values [N, T, D] and boxes [N, T, 4] as shares of the picture, of the first tracks that may compete."""
    if not inputs.tracks or not len(cached):
        return torch.zeros(0, len(features.index), 0), torch.zeros(0, len(features.index), 4)
    prompted = [prompt.expression_id for prompt in cached.prompts()]
    chosen = candidates(cached.sources(), prompted, expression_id, detected_for(cached.provenance))[: inputs.tracks]
    values, boxes = read_track_clip(cached, numbers=inputs.numbers)
    return values[chosen][:, features.index], boxes[chosen][:, features.index]
