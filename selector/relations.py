"""How tracks lie, move and look beside each other: numbers of each track, and of each ordered pair, from their boxes.

Knows the eight box numbers a frame (`selector.inputs.track_geometry`) and looks. Does not know words or models.
Axis letters: V videos, N tracks, T frames, C look width. All numbers are of order 1; a pair never seen together has
zeros where being together matters.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

PAIR_WIDTH, COVERED_WIDTH = 19, 4
TRACK_WIDTH = 20
LEAST = 1e-6


def frame_motion(geometry: Tensor, lags: tuple[int, ...] = (1, 4)) -> Tensor:
    """What changed since `lag` frames ago: geometry [V, N, T, 8] -> [V, N, T, 6 lags].

    For each lag: steps of the centre (x 10), of the logarithms of width, height and area, and whether the track was
    there at both ends; zeros where it was not.
    """
    centre, sizes, present = geometry[..., :2] * 10, geometry[..., 2:5].clamp(min=LEAST).log(), geometry[..., 7:]
    state = torch.cat([centre, sizes], dim=-1)
    parts = []
    for lag in lags:
        before = F.pad(state, (0, 0, lag, 0))[..., : state.shape[-2], :]
        both = present * F.pad(present, (0, 0, lag, 0))[..., : state.shape[-2], :]
        parts += [(state - before) * both, both]
    return torch.cat(parts, dim=-1)


def track_numbers(geometry: Tensor, length: Tensor) -> Tensor:
    """Each track as a whole, [V, N, 20]; length [V] frames of each video.

    First and last sighting as shares of the video, share of frames present, mean, least and greatest centre x and y,
    net way x and y (x 4), mean speed (x 20), logarithms of mean, least and greatest area (over 4) and of
    greatest to least, mean width and height, mean object probability and predicted IoU.
    """
    present = geometry[..., 7]  # [V, N, T]
    seen = present.sum(-1).clamp(min=1)
    first, last = sightings(present)
    frames = length[:, None].to(geometry.dtype)
    centre = geometry[..., :2]
    mean = (geometry * present[..., None]).sum(-2) / seen[..., None]
    low, high = _extremes(centre, present)
    way = _at(centre, last) - _at(centre, first)
    area_low, area_high = _extremes(geometry[..., 4:5], present)
    logs = torch.stack([mean[..., 4], area_low[..., 0], area_high[..., 0]], -1).clamp(min=LEAST).log()
    any_seen = (present.sum(-1, keepdim=True) > 0).to(geometry.dtype)
    numbers = torch.cat(
        [
            (first / frames)[..., None], ((last + 1) / frames)[..., None], (seen / frames)[..., None],
            mean[..., :2], low, high, way * 4, speeds(geometry)[..., None] * 20, logs / 4,
            logs[..., 2:] - logs[..., 1:2], mean[..., 2:4], mean[..., 5:7],
        ],
        dim=-1,
    )  # fmt: skip
    return numbers * any_seen


def pair_numbers(
    geometry: Tensor, looks: Tensor | None, length: Tensor, covered: Tensor | None = None
) -> Tensor:  # fmt: skip
    """Track i beside track j, [V, N, N, 19]; looks [V, N, C] or None.

    Over frames with both: mean, least and greatest of centre i minus centre j in x and y; mean and greatest share of
    box i inside box j; how much of its greatest area i lacks while it touches j, mean and greatest, and j likewise
    while it touches i. Then log area ratio, log speed ratio, cosine of the net ways, differences of first and of last
    sightings, share of frames together, and cosine of the looks.
    covered: with the share of each track's place that others take, [V, N, T], four more: of i and of j while they
        touch, mean and greatest of each.
    """
    present = geometry[..., 7]
    both = present[:, :, None] * present[:, None]  # [V, N, N, T]
    count = both.sum(-1).clamp(min=1)
    numbers: list[Tensor] = []
    for axis in (0, 1):
        apart = geometry[:, :, None, :, axis] - geometry[:, None, :, :, axis]  # [V, N, N, T]
        low = apart.masked_fill(both == 0, 4.0).amin(-1)
        high = apart.masked_fill(both == 0, -4.0).amax(-1)
        together = (both.sum(-1) > 0).to(geometry.dtype)
        numbers += [(apart * both).sum(-1) / count, low * together, high * together]
    share = _inside(geometry) * both
    touching = (share > 0).to(geometry.dtype)
    lack = 1 - geometry[..., 4] / geometry[..., 4].amax(-1, keepdim=True).clamp(min=LEAST)  # [V, N, T]
    touches = touching.sum(-1).clamp(min=1)
    numbers += [share.sum(-1) / count, share.amax(-1)]
    for mine in (lack,) if covered is None else (lack, covered):
        for hidden in (mine[:, :, None] * touching, mine[:, None] * touching):
            numbers += [hidden.sum(-1) / touches, hidden.amax(-1)]
    numbers += [*_differences(geometry, length), both.sum(-1) / length[:, None, None].to(geometry.dtype)]
    if looks is None:
        numbers.append(torch.zeros_like(numbers[0]))
    else:
        unit = F.normalize(looks, dim=-1)
        numbers.append(unit @ unit.transpose(1, 2))
    return torch.stack(numbers, dim=-1)


def speeds(geometry: Tensor) -> Tensor:
    """Mean way of the centre a frame over frames present in a row, [V, N]; 0 without any."""
    present = geometry[..., 7]
    both = present[..., 1:] * present[..., :-1]
    way = (geometry[..., 1:, :2] - geometry[..., :-1, :2]).norm(dim=-1)
    mean: Tensor = (way * both).sum(-1) / both.sum(-1).clamp(min=1)
    return mean


def sightings(present: Tensor) -> tuple[Tensor, Tensor]:
    """First and last frame present, [V, N] each, from present [V, N, T]; 0 for tracks never present."""
    frames = torch.arange(present.shape[-1], device=present.device, dtype=present.dtype)
    last = (frames * present).amax(-1)
    first = (present.shape[-1] - ((present.shape[-1] - frames) * present).amax(-1)) * (present.sum(-1) > 0)
    return first, last


def _differences(geometry: Tensor, length: Tensor) -> list[Tensor]:
    """Area, speed, net way and sightings of i against those of j."""
    present = geometry[..., 7]
    first, last = sightings(present)
    area = ((geometry[..., 4] * present).sum(-1) / present.sum(-1).clamp(min=1)).clamp(min=LEAST).log()
    speed = (speeds(geometry) + 2e-3).log()
    way = _at(geometry[..., :2], last) - _at(geometry[..., :2], first)
    unit = way / way.norm(dim=-1, keepdim=True).clamp(min=0.02)  # what hardly moves has no direction
    frames = length[:, None, None].to(geometry.dtype)
    return [
        area[:, :, None] - area[:, None],
        speed[:, :, None] - speed[:, None],
        unit @ unit.transpose(1, 2),
        (first[:, :, None] - first[:, None]) / frames,
        (last[:, :, None] - last[:, None]) / frames,
    ]


def _inside(geometry: Tensor) -> Tensor:
    """Share of box i that lies in box j, [V, N, N, T]."""
    sides = []
    for axis in (0, 1):
        low = geometry[..., axis] - geometry[..., axis + 2] / 2
        high = geometry[..., axis] + geometry[..., axis + 2] / 2
        low, high = torch.maximum(low[:, :, None], low[:, None]), torch.minimum(high[:, :, None], high[:, None])
        sides.append((high - low).clamp(min=0))
    area = (geometry[..., 2] * geometry[..., 3]).clamp(min=LEAST)
    return sides[0] * sides[1] / area[:, :, None]


def _extremes(values: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Least and greatest of values [V, N, T, K] over present frames, [V, N, K]; 0 without any."""
    absent = (present == 0)[..., None]
    some = (present.sum(-1, keepdim=True) > 0).to(values.dtype)
    return values.masked_fill(absent, 4.0).amin(-2) * some, values.masked_fill(absent, -4.0).amax(-2) * some


def _at(values: Tensor, frame: Tensor) -> Tensor:
    """values [V, N, T, K] at frame [V, N] -> [V, N, K]."""
    index = frame.long()[..., None, None].expand(-1, -1, 1, values.shape[-1])
    return values.gather(2, index)[:, :, 0]
