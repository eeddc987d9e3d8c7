"""What a question wants seen: for each slot a vector of the words of the user's turn that it minds.

A frame is read in the light of the last question before it, as it is in a stream. Knows tensors and layouts. Does not
know compressors. Axis letters: B samples, L tokens, H width, K slots, E width of a guide, U guides, N tokens of the
longest turn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from llm_grounder.sequence import Layout

SPREAD = 2.0


class Guide(nn.Module):
    """Means of a turn's tokens, each slot with weights of its own; learned vectors where nothing was asked yet."""

    def __init__(self, width: int, slots: int, guide: int) -> None:
        """width: H.   guide: E."""
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(1, slots, guide))
        self.norm = nn.LayerNorm(width)
        self.word = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.minds, self.says = nn.Linear(width, slots), nn.Linear(width, guide)
        nn.init.normal_(self.minds.weight, std=SPREAD * width**-0.5)  # else all slots would mind all words alike
        self.leave = nn.LayerNorm(guide)

    def forward(self, embeds: Tensor, starts: Sequence[int], layouts: Sequence[Layout]) -> Tensor:
        """Guides [U, K, E]: of nothing, and then of every user's turn of all layouts, from embeddings [B, L, H].

        starts: where each layout begins in its row.
        """
        nothing = self.leave(self.nothing)
        rows, columns, real = (part.to(embeds.device, non_blocking=True) for part in _words(starts, layouts))
        if not len(rows):
            return torch.as_tensor(nothing)
        words = self.word(self.norm(embeds[rows[:, None], columns]))  # [U - 1, N, H]
        weights = self.minds(words).float().masked_fill(~real[..., None], -torch.inf).softmax(1)
        said = weights.transpose(1, 2).to(words.dtype) @ self.says(words)
        return torch.cat([nothing, self.leave(said)])


def questions_of(layouts: Sequence[Layout]) -> list[list[int]]:
    """Of each layout's groups of frames, in their order, which of the guides is theirs."""
    out, before = [], 0
    for layout in layouts:
        asked = layout.asked.numpy()
        out.append(np.where(asked > 0, asked + before, 0).tolist())
        before += len(layout.turns)
    return out


def _words(starts: Sequence[int], layouts: Sequence[Layout]) -> tuple[Tensor, Tensor, Tensor]:
    """Row [U - 1] of each user's turn, the columns [U - 1, N] of its tokens, and which of these are there."""
    turns = [layout.turns.numpy() + np.array([start, 0]) for start, layout in zip(starts, layouts, strict=True)]
    rows = np.repeat(np.arange(len(layouts)), [len(own) for own in turns])
    if not len(rows):
        none = torch.zeros(0, 0, dtype=torch.long)
        return torch.zeros(0, dtype=torch.long), none, none.bool()
    first, many = np.concatenate(turns).T
    place = np.arange(many.max())
    real = place < many[:, None]
    columns = np.where(real, first[:, None] + place, 0)
    return torch.from_numpy(rows), torch.from_numpy(columns), torch.from_numpy(real)
