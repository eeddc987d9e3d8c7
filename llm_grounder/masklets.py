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
from torch.nn import functional as F

from core.errors import InputError
from llm_grounder.regions import WAVES, waves
from llm_grounder.types import Clip

LEAST = 1e-3  # spread of a value that hardly changes
LAGS = (1, 2, 4, 8)
"""Frames over which changes are taken."""
SMALLEST = 1e-2  # side of a box, as a share of the picture, below which logarithms do not follow it


class TrackFrontEnd(nn.Module):
    """Values of tracks and waves of their boxes, brought to a width, then `layers` residual blocks; [N, T, D] and
    boxes [N, T, 4] -> [N, T, W], zeros where a track is absent.

    Values are taken as multiples of their spread around their mean, once `fit` has seen some. With `motion` what blocks
    of that width find in changes is added (`Motion`): what a track does is drowned in what it looks like.
    """

    mean: Tensor
    spread: Tensor

    def __init__(
        self, values: int, width: int, layers: int, reach: int, *, motion: int = 0, moving: int = 0
    ) -> None:  # fmt: skip
        """values: D.   width: W.   reach: frames before and after that each block looks at.   moving: as `Motion`'s."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(values))
        self.register_buffer("spread", torch.ones(values))
        self.enter = nn.Linear(values + WAVES, width)
        self.blocks = nn.ModuleList(_Block(width, reach) for _ in range(layers))
        self.motion = Motion(moving, motion, width, layers, reach) if motion else None
        self.leave = nn.LayerNorm(width)

    def fit(self, values: Sequence[Tensor], boxes: Sequence[Tensor]) -> None:
        """Take mean and spread from values [N, T, D] and boxes [N, T, 4] of clips' tracks, where they are there."""
        mean, spread = _moments(torch.cat([own[~box[..., 0].isnan()] for own, box in zip(values, boxes, strict=True)]))
        self.mean.copy_(mean)
        self.spread.copy_(spread)
        if self.motion is not None:
            self.motion.fit(values, boxes)

    def forward(self, values: Tensor, boxes: Tensor) -> Tensor:
        """See the class; boxes are shares of the picture, NaN where absent."""
        there = ~boxes[..., :1].isnan()
        known = (values - self.mean) / self.spread
        where = waves(boxes.nan_to_num().flatten(0, 1)).view(*boxes.shape[:2], WAVES)
        states: Tensor = self.enter(torch.cat([known, where], -1)) * there
        for block in self.blocks:
            states = block(states, there)
        if self.motion is not None:
            states = states + self.motion(values, boxes, where, there)
        return torch.as_tensor(self.leave(states) * there)


class Motion(nn.Module):
    """How tracks move, grow and turn: M numbers, of their boxes and their first values, and the changes of these over
    LAGS, then residual blocks along time; [N, T, W], zeros at first, so that a front end without it can go on with it.
    """

    mean: Tensor
    spread: Tensor
    pace: Tensor

    def __init__(self, moving: int, inner: int, width: int, layers: int, reach: int) -> None:
        """moving: first values that are read, so that M is 4 more.   inner: width of the blocks.   width: W."""
        super().__init__()
        self.moving, numbers = moving, moving + 4
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("spread", torch.ones(numbers))
        # Spreads of changes, lag after lag: no matrix, which files of bytes would round, the smallest to 0.
        self.register_buffer("pace", torch.ones(len(LAGS) * numbers))
        self.enter = nn.Linear((1 + len(LAGS)) * numbers + WAVES, inner)
        self.blocks = nn.ModuleList(_Block(inner, reach) for _ in range(layers))
        self.norm, self.leave = nn.LayerNorm(inner), nn.Linear(inner, width)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def fit(self, values: Sequence[Tensor], boxes: Sequence[Tensor]) -> None:
        """As the front end's."""
        numbers = [self._numbers(own.float(), box) for own, box in zip(values, boxes, strict=True)]
        there = [~box[..., 0].isnan() for box in boxes]
        mean, spread = _moments(torch.cat([own[here] for own, here in zip(numbers, there, strict=True)]))
        self.mean.copy_(mean)
        self.spread.copy_(spread)
        for pace, lag in zip(self.pace.view(len(LAGS), -1), LAGS, strict=True):
            pairs = [
                (own[:, lag:] - own[:, :-lag])[here[:, lag:] & here[:, :-lag]]
                for own, here in zip(numbers, there, strict=True)
            ]
            changes = torch.cat([*pairs, torch.zeros_like(mean)[None]])
            pace.copy_(changes.square().mean(0).sqrt().clamp(min=LEAST))

    def forward(self, values: Tensor, boxes: Tensor, where: Tensor, there: Tensor) -> Tensor:
        """See the class.   values: [N, T, D].   boxes: [N, T, 4].   where: their waves.   there: [N, T, 1] bool."""
        numbers = self._numbers(values, boxes)
        parts = [(numbers - self.mean) / self.spread, where]
        for pace, lag in zip(self.pace.view(len(LAGS), -1), LAGS, strict=True):
            back = min(lag, numbers.shape[1])
            change = (numbers[:, back:] - numbers[:, :-back]) / pace * (there[:, back:] & there[:, :-back])
            parts.append(F.pad(change, (0, 0, back, 0)))
        states: Tensor = self.enter(torch.cat(parts, -1)) * there
        for block in self.blocks:
            states = block(states, there)
        return torch.as_tensor(self.leave(self.norm(states)))

    def _numbers(self, values: Tensor, boxes: Tensor) -> Tensor:
        """Centre and logarithms of the sides of boxes, then values, [N, T, M]; something or other where absent."""
        known = boxes.nan_to_num()
        low, high = known[..., :2], known[..., 2:]
        return torch.cat([(low + high) / 2, (high - low).clamp(min=SMALLEST).log(), values[..., : self.moving]], -1)


def _moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread [D] of values [X, D]."""
    return values.float().mean(0), values.float().std(0, correction=0).clamp(min=LEAST)


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
