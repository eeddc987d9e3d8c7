"""Tracks learn to say the words that describe them: their colour, shape, texture, size, and what they do then.

Replies teach `Naming` late, since it must know what a track shows and to which it should look at once. Knows words and
what tracks show. Does not know films or requests. Axis letters: X tracks in frames, V tokens of the vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from llm_grounder.backbone import Backbone
from miniature.grounder_training.shown import KINDS, NONE, NOTHING
from miniature.long_world.words import ACTS, forms

AT_ONCE = 1024  # tracks in frames of a step


class WordLessons(nn.Module):
    """The cross-entropy of what tracks say [X, V] against the words of what they show."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        for kind, values in KINDS.items():
            rows = [_spread_out(backbone, _words_of(kind, value)) for value in values]
            self.register_buffer(kind, torch.stack(rows))  # [values, V], rows that sum to 1, or 0 for no word

    def forward(self, logits: Tensor, truth: Tensor) -> Tensor:
        """logits: [X, V].   truth: [X, kinds], NOTHING where it is not known."""
        wanted = sum(
            self.get_buffer(kind)[truth[:, k].clamp(min=0)] * (truth[:, k, None] != NOTHING)
            for k, kind in enumerate(KINDS)
        )
        assert isinstance(wanted, Tensor)
        wanted = wanted / wanted.sum(-1, keepdim=True).clamp(min=1e-6)
        each = -(wanted * logits.float().log_softmax(-1)).sum(-1)
        known = wanted.sum(-1)
        return torch.as_tensor((each * known).sum() / known.sum().clamp(min=1))


def _words_of(kind: str, value: str) -> str:
    """As replies say it; "" for doing nothing."""
    if value == NONE:
        return ""
    return forms(ACTS[value])[1] if kind == "act" else value


def _spread_out(backbone: Backbone, words: str) -> Tensor:
    """An even distribution [V] over the tokens of words inside a sentence."""
    ids = backbone.tokenizer.encode(f" {words}", add_special_tokens=False) if words else []
    out = torch.zeros(len(backbone.row_of))
    if ids:
        out[torch.tensor(ids)] = 1 / len(ids)
    return out
