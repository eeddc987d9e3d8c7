"""Which of the tracks are meant, and whether any is: a score from each track's own token after the last frame.

Knows states and labels. Does not know tracks' masks or thresholds. Axis letters: N tracks, H width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TrackHead(nn.Module):
    """One Linear for tracks, one for presence."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score, self.presence = nn.Linear(width, 1), nn.Linear(width, 1)

    def forward(self, tracks: Tensor, presence: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [N] and [] of the states [N, H] of the tracks' tokens and [H] of the presence token."""
        return self.score(tracks).squeeze(-1), self.presence(presence).squeeze(-1)


def track_losses(found: Sequence[tuple[Tensor, Tensor] | None], truth: Sequence[Tensor | None]) -> Mapping[str, Tensor]:
    """Named binary cross-entropies of samples whose truth is [N] in 0..1 (NaN: not known); {} where none has any.

    Presence is learnt where every track is known: that any is meant by at least 0.5.
    """
    tracks, wanted, presence, any_of = [], [], [], []
    for out, true in zip(found, truth, strict=True):
        if out is None or true is None:
            continue
        score, there = out
        true = true.to(score)
        known = ~true.isnan()
        tracks.append(score[known])
        wanted.append(true[known])
        if bool(known.all()):
            presence.append(there)
            any_of.append((true >= 0.5).any().to(there))
    losses = {}
    if tracks and len(torch.cat(tracks)):
        losses["tracks.score"] = F.binary_cross_entropy_with_logits(torch.cat(tracks), torch.cat(wanted))
    if presence:
        losses["tracks.presence"] = F.binary_cross_entropy_with_logits(torch.stack(presence), torch.stack(any_of))
    return losses
