"""What stands between a clip's tracks and the language model: each track is read along its own time.

A track's numbers in one frame tell where it is and what it looks like; what it does lies in several frames. Unlike
patches, tracks are known when their video has been seen, so that blocks may look ahead; streams have none.
Knows tensors and clips. Does not know words or layouts. Axis letters: N tracks, T frames, D values of a track in a
frame, W width, X values of any tracks and frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.errors import InputError
from llm_grounder.regions import WAVES, waves
from llm_grounder.types import Clip

LEAST = 1e-3  # spread of a value that hardly changes


class TrackFrontEnd(nn.Module):
    """Values of tracks and waves of their boxes, brought to a width, then `layers` residual blocks; [N, T, D] and
    boxes [N, T, 4] -> [N, T, W], zeros where a track is absent.

    Values are taken as multiples of their spread around their mean, once `fit` has seen some.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, values: int, width: int, layers: int, reach: int) -> None:
        """values: D.   width: W.   reach: frames before and after that each block looks at."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(values))
        self.register_buffer("spread", torch.ones(values))
        self.enter = nn.Linear(values + WAVES, width)
        self.blocks = nn.ModuleList(_Block(width, reach) for _ in range(layers))
        self.leave = nn.LayerNorm(width)

    def fit(self, values: Tensor) -> None:
        """Take mean and spread from values [X, D] of tracks that are there."""
        self.mean.copy_(values.float().mean(0))
        self.spread.copy_(values.float().std(0, correction=0).clamp(min=LEAST))

    def forward(self, values: Tensor, boxes: Tensor) -> Tensor:
        """See the class; boxes are shares of the picture, NaN where absent."""
        there = ~boxes[..., :1].isnan()
        known = (values - self.mean) / self.spread
        where = waves(boxes.nan_to_num().flatten(0, 1)).view(*boxes.shape[:2], WAVES)
        states: Tensor = self.enter(torch.cat([known, where], -1)) * there
        for block in self.blocks:
            states = block(states, there)
        return torch.as_tensor(self.leave(states) * there)


class _Block(nn.Module):
    """x + a convolution along time of the normalised x and a Linear; what is absent is zero."""

    def __init__(self, width: int, reach: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.beside = nn.Conv1d(width, width, 2 * reach + 1, padding=reach)
        self.act = nn.GELU()
        self.after = nn.Linear(width, width)

    def forward(self, states: Tensor, there: Tensor) -> Tensor:
        """[N, T, W] and [N, T, 1] bool -> [N, T, W]."""
        inner = self.beside((self.norm(states) * there).transpose(1, 2)).transpose(1, 2)
        return torch.as_tensor(states + self.after(self.act(inner)) * there)


@dataclass(frozen=True, eq=False)
class TrackStates:
    """states: [all tracks, T, W] of several clips, filled up at their ends.   there: [all tracks, T] bool.   first: of
    each clip with tracks, by `id`, its first row.
    """

    states: Tensor
    there: Tensor
    first: Mapping[int, int]


def read_tracks(front: TrackFrontEnd, clips: Sequence[Clip], device: torch.device) -> TrackStates:
    """The states of all clips' tracks, each clip once.

    Raises:
        InputError: for tracks of another width than the front end's.
    """
    width = len(front.mean)
    shown = {id(clip): clip for clip in clips if clip.tracks}
    longest = max((clip.frames for clip in shown.values()), default=1)
    many = sum(clip.tracks for clip in shown.values())
    values = torch.zeros(many, longest, width, device=device)
    boxes = torch.full((many, longest, 4), torch.nan, device=device)
    first, row = {}, 0
    for key, clip in shown.items():
        if clip.track_tokens.shape[-1] != width:
            raise InputError(
                f"clip {clip.id!r}: expected track tokens of width {width}, got {clip.track_tokens.shape[-1]}"
            )
        here = slice(row, row + clip.tracks)
        values[here, : clip.frames] = clip.track_tokens.to(device, torch.float32, non_blocking=True)
        boxes[here, : clip.frames] = clip.track_boxes.to(device, torch.float32, non_blocking=True)
        first[key], row = row, row + clip.tracks
    return TrackStates(front(values, boxes), ~boxes[..., 0].isnan(), first)
