"""A batch under the rule of a stream: what each token may look at, and the positions that go with it.

Knows pieces and windows. Does not know embeddings. Axis letters: B samples, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from llm_grounder.pieces import Kind, Piece
from llm_grounder.sequence import Batch, Layout
from llm_grounder.window import Part, Segment, Window, window_mask, window_positions

_PART: Final = {
    Kind.SYSTEM: Part.SYSTEM, Kind.USER: Part.QUESTION, Kind.FRAMES: Part.FRAME, Kind.READ: Part.QUESTION,
    Kind.REPLY: Part.REPLY,
}  # fmt: skip


def segment(piece: Piece) -> Segment:
    """A piece as a stream counts it; a reply that says nothing is a silence."""
    return Segment(Part.SILENCE if piece.silent else _PART[piece.kind], len(piece.ids))


def windowed(layouts: Sequence[Layout], batch: Batch, window: Window) -> tuple[Tensor, Tensor]:
    """What each token sees, bool [B, 1, L, L], and positions [B, L]; tokens that fill up see themselves alone."""
    rows, length = batch.ids.shape
    mask = torch.eye(length, dtype=torch.bool).repeat(rows, 1, 1)
    positions = torch.zeros(rows, length, dtype=torch.long)
    for row, (layout, start) in enumerate(zip(layouts, batch.start, strict=True)):
        segments = [segment(piece) for piece in layout.pieces]
        here = slice(start, start + len(layout.ids))
        mask[row, here, here] = window_mask(window, segments)
        positions[row, here] = window_positions(segments)
    return mask[:, None], positions
