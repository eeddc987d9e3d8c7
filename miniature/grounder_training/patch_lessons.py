"""What each patch of a film shows, as a lesson of its own for the front end: colour, shape, texture, and what it does.

Grounding tells a front end little and late; the films' own truth tells it everything at once. The heads are of no use
after the training and are not part of the grounder. Knows stories and boxes. Does not know requests or language models.
Axis letters: T frames, O objects, P patches, C their width, W of the front end.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from miniature.grounder_training.films import Film
from miniature.grounder_training.shown import KINDS, NOTHING

ROUND: Final = 0.9  # of half a box's sides: patches whose middle lies in this ellipse show the object


class PatchLessons(nn.Module):
    """One Linear for each of KINDS and one for whether anything is there, on the front end's patches."""

    def __init__(self, width: int) -> None:
        """width: W."""
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(values)) for name, values in KINDS.items()})
        self.there = nn.Linear(width, 1)

    def forward(self, patches: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Losses by name of patches [T, P, W] whose truth is [T, P, kinds], NOTHING where there is none: `there`, and
        each of KINDS where something is.
        """
        shown = truth[..., 0] >= 0
        there = self.there(patches).squeeze(-1).float()
        terms = {"there": F.binary_cross_entropy_with_logits(there, shown.float())}
        weight = shown.float() / shown.sum().clamp(min=1)
        for k, (name, head) in enumerate(self.heads.items()):
            wanted = truth[..., k]
            known = wanted >= 0
            each = F.cross_entropy(
                head(patches).float().flatten(0, 1), wanted.clamp(min=0).flatten(), reduction="none"
            ).view_as(weight)
            terms[name] = (each * weight * known).sum()
        return terms


def patch_truth(film: Film, frames: slice, side: int) -> Tensor:
    """What the patches of a grid of `side` x `side` show in some frames, [T, P, kinds], on the film's device."""
    shown, device = film.looks, film.patches.device
    boxes = torch.from_numpy(film.boxes[:, frames]).to(device, non_blocking=True)  # [O, T, 4]
    values = torch.from_numpy(shown.values[:, frames]).to(device, non_blocking=True).long()  # [O, T, kinds]
    middles = (torch.arange(side, device=device) + 0.5) / side
    y, x = (line.flatten() for line in torch.meshgrid(middles, middles, indexing="ij"))  # [P] each
    centre, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    reach = (ROUND * half).clamp(min=0.5 / side)
    away = ((x - centre[..., :1]) / reach[..., :1]) ** 2 + ((y - centre[..., 1:]) / reach[..., 1:]) ** 2  # [O, T, P]
    inside = away.nan_to_num(math.inf) <= 1
    depth = torch.from_numpy(shown.depth).to(device, non_blocking=True)
    front = torch.where(inside, depth[:, None, None], len(depth) + 100).argmin(0)  # [T, P]
    truth = values[front, torch.arange(values.shape[1], device=device)[:, None]]
    return truth.masked_fill(~inside.any(0)[..., None], NOTHING)


def track_truth(film: Film) -> Tensor:
    """What a film's tracks show, [N, T, kinds], on the film's device; NOTHING where they are absent or no object."""
    assert film.masklets is not None
    owner = film.masklets.owner
    absent = np.isnan(film.masklets.where[..., 0]) | (owner < 0)
    shown = film.looks.values[owner.clip(min=0), np.arange(owner.shape[1])]
    values = np.where(absent[..., None], NOTHING, shown)
    return torch.from_numpy(values).to(film.patches.device, non_blocking=True).long()
