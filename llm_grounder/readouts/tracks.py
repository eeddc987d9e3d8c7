"""Which of the tracks are meant, and whether any is: a score from each track's own token after the last frame.

Before that, how well each track fits the words in every frame (`Fits`), which a selector would say too: it is learnt
wherever it is known, whatever is read out. Knows states and labels. Does not know tracks' masks or thresholds. Axis
letters: N tracks, T frames, H width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llm_grounder.types import Targets


@dataclass(frozen=True, eq=False)
class Fits:
    """Logits of one sample's tracks by the last question alone.

    now: [N, T], that it holds of each in that frame.   whole: [N], that the track is meant, whenever: a mean over the
    frames that show it.   there: [N, T] bool, where each is seen.
    """

    now: Tensor
    whole: Tensor
    there: Tensor


class TrackHead(nn.Module):
    """One Linear for tracks, one for presence; what fits the words counts where that is known."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score, self.presence = nn.Linear(width, 1), nn.Linear(width, 1)

    def forward(self, tracks: Tensor, presence: Tensor, fits: Fits | None = None) -> tuple[Tensor, Tensor]:
        """Logits [N] and [] of the states [N, H] of the tracks' tokens and [H] of the presence token."""
        score = self.score(tracks).squeeze(-1)
        return score if fits is None else score + fits.whole, self.presence(presence).squeeze(-1)


def fit_losses(found: Sequence[Fits | None], targets: Sequence[Targets]) -> Mapping[str, Tensor]:
    """Named binary cross-entropies of what fits the words, over all tracks and frames of which it is known; {} where
    nothing is.
    """
    now, tracks = [], []
    for fits, target in zip(found, targets, strict=True):
        if fits is not None and target.now is not None:
            now.append((fits.now, target.now, fits.there))
        if fits is not None and target.tracks is not None:
            tracks.append((fits.whole, target.tracks, torch.ones_like(fits.whole)))
    named = {"now.fits": now, "tracks.fits": tracks}
    return {name: _weighted(*zip(*parts, strict=True)) for name, parts in named.items() if parts}


def _weighted(said: Sequence[Tensor], wanted: Sequence[Tensor], there: Sequence[Tensor]) -> Tensor:
    """Mean cross-entropy where something is there and known; one copy for all, and no index that waits."""
    logits = torch.cat([part.flatten() for part in said])
    truth = torch.cat([part.flatten().float() for part in wanted]).to(logits.device, non_blocking=True)
    weight = torch.cat([part.flatten() for part in there]) * ~truth.isnan()
    each = F.binary_cross_entropy_with_logits(logits, truth.nan_to_num(), reduction="none")
    return (each * weight).sum() / weight.sum().clamp(min=1)


def track_losses(found: Sequence[tuple[Tensor, Tensor] | None], truth: Sequence[Tensor | None]) -> Mapping[str, Tensor]:
    """Named binary cross-entropies of samples whose truth is [N] in 0..1 (NaN: not known); {} where none has any.

    Presence is learnt where every track is known: that any is meant by at least 0.5.
    """
    tracks, wanted, presence, any_of = [], [], [], []
    for out, true in zip(found, truth, strict=True):
        if out is None or true is None:
            continue
        score, there = out
        known = torch.nonzero(~true.isnan()).flatten()  # where labels are, so that no device is waited for
        tracks.append(score[known.to(score.device, non_blocking=True)])
        wanted.append(true[known].to(score, non_blocking=True))
        if len(known) == len(true):
            presence.append(there)
            any_of.append((true >= 0.5).any().to(there, non_blocking=True))
    losses = {}
    if tracks and len(torch.cat(tracks)):
        losses["tracks.score"] = F.binary_cross_entropy_with_logits(torch.cat(tracks), torch.cat(wanted))
    if presence:
        losses["tracks.presence"] = F.binary_cross_entropy_with_logits(torch.stack(presence), torch.stack(any_of))
    return losses
