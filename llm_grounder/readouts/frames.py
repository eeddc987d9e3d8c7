"""Two heads on each frame's marker, as MMDuet's: whether it is informative (time to speak) and whether it is relevant,
which a frame is the more, the better any track in it fits the question.

Knows states and labels. Does not know when to speak. Axis letters: T frames, N tracks, H width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from core.types import TimeSpan
from llm_grounder.readouts.tracks import Fits

RELEVANT = 0.5
NOBODY = -6.0  # logit of a track that is not there
HEADS = ("relevance", "informative")
"""Names of labels (`Targets`), heads, losses and replies alike."""


class FrameHead(nn.Module):
    """One Linear for each of HEADS."""

    def __init__(self, width: int, *, fits: bool = False) -> None:
        """fits: whether it is known how well tracks fit."""
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(width, 1) for name in HEADS})
        self.fitting = nn.Parameter(torch.tensor([0.2])) if fits else None  # no scalar, which FSDP refuses

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """Logits [..] of each head for states [.., H]."""
        return {name: head(frames).squeeze(-1) for name, head in self.heads.items()}

    def of_samples(
        self, frames: Tensor, sizes: Sequence[int], fits: Sequence[Fits | None]
    ) -> dict[str, list[Tensor]]:  # fmt: skip
        """Logits of each head, [T] a sample, for states [all T, H] of samples with so many frames each."""
        said = {name: list(logits.split(list(sizes))) for name, logits in self(frames).items()}
        said["relevance"] = [
            own if fit is None or self.fitting is None else own + self.fitting * _anybody(fit)
            for own, fit in zip(said["relevance"], fits, strict=True)
        ]
        return said


def _anybody(fits: Fits) -> Tensor:
    """The logit [T] that any track fits, the softest maximum over those that are there."""
    return torch.as_tensor(fits.now.masked_fill(~fits.there, NOBODY).clamp(min=NOBODY).logsumexp(0))


def frame_losses(
    logits: Mapping[str, Sequence[Tensor]], truth: Mapping[str, Sequence[Tensor | None]]
) -> Mapping[str, Tensor]:
    """Named binary cross-entropies over all frames with a label in 0..1; None and NaN are no label.

    logits and truth: for each of HEADS one [T] a sample.
    """
    losses = {}
    for name in HEADS:
        pairs = [(said, true) for said, true in zip(logits[name], truth[name], strict=True) if true is not None]
        if not pairs:
            continue
        said, true = torch.cat([pair[0] for pair in pairs]), torch.cat([pair[1] for pair in pairs])
        known = torch.nonzero(~true.isnan()).flatten()  # where labels are, so that no device is waited for
        if len(known):
            losses[f"frames.{name}"] = F.binary_cross_entropy_with_logits(
                said[known.to(said.device, non_blocking=True)], true[known].to(said, non_blocking=True)
            )
    return losses


def relevant_spans(relevance: NDArray[np.float64], times: NDArray[np.float64], end: float) -> tuple[TimeSpan, ...]:
    """Runs of frames whose relevance [T] is RELEVANT or more, as seconds, with its mean as score, best first.

    times: [T] at which frames begin to be shown; the last is shown until `end`.
    """
    edges = np.append(times, end)
    steps = np.diff(np.concatenate([[0], relevance >= RELEVANT, [0]]).astype(np.int64))
    runs = zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True)
    spans = [TimeSpan(float(edges[a]), float(edges[b]), float(relevance[a:b].mean())) for a, b in runs]
    return tuple(sorted(spans, key=lambda span: -(span.score or 0.0)))
