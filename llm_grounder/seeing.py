"""Clips' patches through the front end, and through slots that questions guide, side by side: few large steps.

Knows tensors and clips. Does not know words or layouts. Axis letters: N clips, T frames, P patches, C feature width, W
of the front end, K slots, A samples of a clip, U questions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.errors import InputError
from llm_grounder.compressors import GuidedSlots, group_frames
from llm_grounder.masklets import TrackStates
from llm_grounder.types import Clip

LONG = 16  # frames
ALIKE = 1.25  # clips whose lengths differ by no more than this share of frames are seen together


@dataclass(frozen=True, eq=False)
class Seen:
    """shown: [N, T, P, W] of clips of about one length, filled up at their ends.   place: of each clip, by `id`, its
    row and its number of frames.   there: [N, T, P] bool, what of it is there; None for all.
    """

    shown: Tensor
    place: Mapping[int, tuple[int, int]]
    there: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Steering:
    """directions: [U, W, K] of slots by each question.   turns: of each sample's groups, whose they are."""

    directions: Tensor
    turns: Sequence[Sequence[int]]


def see(front: nn.Module, clips: Sequence[Clip], patches: int, width: int, device: torch.device) -> list[Seen]:
    """Each clip once, in groups of about one length.   patches, width: P and C that clips must have, InputError."""
    alike: dict[int, dict[int, Clip]] = {}
    for clip in clips:
        if list(clip.features.shape[1:]) != [patches, width]:
            raise InputError(
                f"clip {clip.id!r}: expected features of {[patches, width]} patches and width, "
                f"got {list(clip.features.shape[1:])}"
            )
        alike.setdefault(math.floor(math.log(clip.frames, ALIKE)), {})[id(clip)] = clip
    return [_see(front, list(group.values()), device) for group in alike.values()]


def _see(front: nn.Module, clips: Sequence[Clip], device: torch.device) -> Seen:
    longest, (_, patches, width) = max(clip.frames for clip in clips), clips[0].features.shape
    if longest > LONG:
        longest += -longest % LONG  # few different shapes, for each of which convolutions are chosen anew
    kind = next(front.parameters()).dtype
    features = torch.zeros(len(clips), longest, patches, width, device=device, dtype=kind)
    for n, clip in enumerate(clips):
        features[n, : clip.frames] = clip.features.to(device, non_blocking=True)
    shown: Tensor = front(features)
    if torch.is_autocast_enabled(device.type):  # once, not for each sample that looks at them
        shown = shown.to(torch.get_autocast_dtype(device.type))
    return Seen(shown, {id(clip): (n, clip.frames) for n, clip in enumerate(clips)})


def patches_of(seen: Sequence[Seen]) -> dict[int, Tensor]:
    """Patches [T, P, W] of each clip by `id`."""
    return {key: each.shown[n, :frames] for each in seen for key, (n, frames) in each.place.items()}


def _there_of(seen: Sequence[Seen]) -> dict[int, Tensor]:
    """Which of each clip's patches are there, [T, P] by `id`, of those of which not all are."""
    return {
        key: each.there[n, :frames]
        for each in seen if each.there is not None for key, (n, frames) in each.place.items()
    }  # fmt: skip


def tracks_beside(seen: Sequence[Seen], clips: Sequence[Clip], tracks: TrackStates, nobody: Tensor) -> list[Seen]:
    """The same clips' tracks in each frame where their patches were, as wide as `nobody` [W], who comes first in every
    frame.
    """
    of, found = {id(clip): clip for clip in clips}, []
    for each in seen:
        most = max(of[key].tracks for key in each.place)
        shape = (*each.shown.shape[:2], 1 + most)
        there = torch.zeros(shape, dtype=torch.bool, device=nobody.device)
        shown = nobody.new_zeros((*shape, len(nobody)), dtype=tracks.states.dtype)
        there[..., 0], shown[..., 0, :] = True, nobody.to(shown.dtype)
        for key, (n, frames) in each.place.items():
            if key in tracks.first:
                rows = slice(tracks.first[key], tracks.first[key] + of[key].tracks)
                here = slice(1, 1 + of[key].tracks)
                shown[n, :frames, here] = tracks.states[rows, :frames].transpose(0, 1)
                there[n, :frames, here] = tracks.there[rows, :frames].T
        found.append(Seen(shown, each.place, there))
    return found


def groups_of(
    patches: Tensor, wanted: Sequence[int], group: int, seen: Tensor | None = None
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Patches [G, F, W] of the wanted groups of frames [T, P, W], and which are there, [G, F] bool.

    seen: [T, P] bool, which are there of the frames'; None for all.
    """
    cut, there = group_frames(patches, group)
    if seen is not None:
        there = there & group_frames(seen[..., None].to(patches.dtype), group)[0].squeeze(-1).bool()
    if len(wanted) == len(cut):
        return cut, there
    pick = torch.tensor(list(wanted), dtype=torch.long).to(patches.device, non_blocking=True)
    return cut[pick], there[pick]


def frames_of(seen: Sequence[Seen], wanted: Sequence[tuple[int, int]]) -> Tensor:
    """Patches [R, P, W] of R frames, each named by the `id` of its clip and its number."""
    parts, order = [], []
    for each in seen:
        own = [r for r, (key, _) in enumerate(wanted) if key in each.place]
        order += own
        index = torch.tensor([(each.place[wanted[r][0]][0], wanted[r][1]) for r in own], dtype=torch.long).view(-1, 2)
        n, t = index.to(each.shown.device, non_blocking=True).unbind(1)
        parts.append(each.shown[n, t])
    back = torch.tensor(order, dtype=torch.long).argsort()
    return torch.cat(parts)[back.to(parts[0].device, non_blocking=True)]


def guided(
    slots: GuidedSlots, seen: Sequence[Seen], clips: Sequence[Clip], groups: Sequence[Sequence[int]], group: int,
    steering: Steering,
) -> Tensor:  # fmt: skip
    """What guided slots make of all samples' groups, one sample after another, [all, K, W + 1]; samples whose whole
    clip is read in the light of one question go together.
    """
    made: list[Tensor] = []
    place: dict[int, NDArray[np.int64]] = {}  # of each sample's groups in all that was made
    count = 0
    for each in seen:
        together: dict[int, list[int]] = {}
        for b, (clip, wanted, turns) in enumerate(zip(clips, groups, steering.turns, strict=True)):
            if group == 1 and len(set(turns)) == 1 and id(clip) in each.place and len(wanted) == clip.frames:
                together.setdefault(id(clip), []).append(b)
        if together:
            tokens, most = _together(slots, each, together, steering)
            longest = each.shown.shape[1]
            for key, own in together.items():
                n, frames = each.place[key]
                for a, b in enumerate(own):
                    place[b] = count + (n * longest + np.arange(frames)) * most + a
            made.append(tokens)
            count += len(tokens)
    shown, kept = patches_of(seen), _there_of(seen)
    for b, (clip, wanted, turns) in enumerate(zip(clips, groups, steering.turns, strict=True)):
        if b not in place:
            index = torch.tensor(turns, dtype=torch.long).to(steering.directions.device, non_blocking=True)
            made.append(
                slots(*groups_of(shown[id(clip)], wanted, group, kept.get(id(clip))), steering.directions[index])
            )
            place[b] = count + np.arange(len(wanted))
            count += len(wanted)
    order = torch.from_numpy(np.concatenate([place[b] for b in range(len(clips))]))
    return torch.cat(made)[order.to(made[0].device, non_blocking=True)]


def _together(
    slots: GuidedSlots, seen: Seen, samples: Mapping[int, Sequence[int]], steering: Steering
) -> tuple[Tensor, int]:  # fmt: skip
    """Tokens [N * T * A, K, W + 1], and A, of clips whose `samples` (by clip) have one question each."""
    most = max(map(len, samples.values()))
    turns = torch.zeros(len(seen.shown), most, dtype=torch.long)
    for key, own in samples.items():
        turns[seen.place[key][0], : len(own)] = torch.tensor([steering.turns[b][0] for b in own])
    directions = steering.directions[turns.to(steering.directions.device, non_blocking=True)]  # [N, A, W, K]
    wide = directions.permute(0, 2, 1, 3).flatten(2)[:, None]  # [N, 1, W, A * K]
    real = seen.there
    if real is None:
        real = torch.ones(1, dtype=torch.bool, device=seen.shown.device).expand(seen.shown.shape[:3])
    made = slots(seen.shown, real, wide)  # [N, T, A * K, W + 1]
    return made.reshape(-1, made.shape[2] // most, made.shape[3]), most
