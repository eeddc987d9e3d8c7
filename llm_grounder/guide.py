"""What a question wants seen: one vector of the words of each user's turn, which steers the slots that read frames.

A frame is read in the light of the last question before it, as it is in a stream. Knows tensors and layouts. Does not
know compressors. Axis letters: B samples, L tokens, H width, E width of a guide, U guides, G groups of frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from llm_grounder.sequence import Kind, Layout


class Guide(nn.Module):
    """The mean over a turn's tokens of two layers of each; one learned vector where nothing was asked yet."""

    def __init__(self, width: int, guide: int) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(1, guide))
        self.norm = nn.LayerNorm(width)
        self.word = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, guide))
        self.leave = nn.LayerNorm(guide)

    def forward(self, embeds: Tensor, starts: Sequence[int], layouts: Sequence[Layout]) -> Tensor:
        """Guides [U, E]: of nothing, and then of every user's turn of all layouts, from embeddings [B, L, H].

        starts: where each layout begins in its row.
        """
        rows, columns, turns, count = _words(starts, layouts)
        device = embeds.device
        said = self.word(self.norm(embeds[rows.to(device), columns.to(device)]))
        place = turns.to(device)
        sums = said.new_zeros(count, said.shape[-1]).index_add(0, place, said)
        many = said.new_zeros(count).index_add(0, place, said.new_ones(len(said)))
        guides: Tensor = self.leave(torch.cat([self.nothing.to(said.dtype), sums / many[:, None]]))
        return guides


def questions_of(layouts: Sequence[Layout]) -> list[list[int]]:
    """Of each layout's groups of frames, in their order, which of the guides is theirs."""
    out, turns = [], 0
    for layout in layouts:
        now, here = 0, []
        for piece in layout.pieces:
            if piece.kind is Kind.USER:
                turns += 1
                now = turns
            elif piece.kind is Kind.FRAMES:
                here.append(now)
        out.append(here)
    return out


def _words(starts: Sequence[int], layouts: Sequence[Layout]) -> tuple[Tensor, Tensor, Tensor, int]:
    """Row, column and number of the turn of each token of the user's turns, and how many turns there are."""
    rows: list[int] = []
    columns: list[int] = []
    turns: list[int] = []
    count = 0
    for row, (start, layout) in enumerate(zip(starts, layouts, strict=True)):
        at = start
        for piece in layout.pieces:
            if piece.kind is Kind.USER:
                rows += [row] * len(piece.ids)
                columns += range(at, at + len(piece.ids))
                turns += [count] * len(piece.ids)
                count += 1
            at += len(piece.ids)
    return (
        torch.tensor(rows, dtype=torch.long),
        torch.tensor(columns, dtype=torch.long),
        torch.tensor(turns, dtype=torch.long),
        count,
    )
