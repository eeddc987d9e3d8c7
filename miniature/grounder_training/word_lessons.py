"""Object tokens learn to lie among the words that describe them: its colour, shape, texture, and what it does then.

What a language model is shown is of use to it once it lies in the space of its words; replies alone teach that late.
Knows words, tokens and what tracks show. Does not know films or requests. Axis letters: X tracks in frames, V tokens of
the vocabulary, H width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llm_grounder.backbone import Backbone
from miniature.grounder_training.shown import KINDS, NOTHING
from miniature.long_world.words import ACTS, forms

AT_ONCE = 1024  # tracks in frames of a step


class WordLessons(nn.Module):
    """The cross-entropy of object tokens [X, H] against the words of what they show, by the model's own table."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        for kind, values in KINDS.items():
            rows = [_spread_out(backbone, _words_of(kind, value)) for value in values]
            self.register_buffer(kind, torch.stack(rows))  # [values, V], rows that sum to 1, or 0 for no word

    def forward(self, tokens: Tensor, truth: Tensor, table: Tensor) -> Tensor:
        """tokens: [X, H].   truth: [X, kinds], NOTHING where it is not known.   table: [V, H], of words."""
        wanted = sum(
            self.get_buffer(kind)[truth[:, k].clamp(min=0)] * (truth[:, k, None] != NOTHING)
            for k, kind in enumerate(KINDS)
        )
        assert isinstance(wanted, Tensor)
        wanted = wanted / wanted.sum(-1, keepdim=True).clamp(min=1e-6)
        # Of vectors of one length each, so that only directions are learnt.
        logits = F.rms_norm(tokens, tokens.shape[-1:]) @ F.rms_norm(table, table.shape[-1:]).T
        each = -(wanted * (logits.float() / math.sqrt(table.shape[-1])).log_softmax(-1)).sum(-1)
        known = wanted.sum(-1)
        return torch.as_tensor((each * known).sum() / known.sum().clamp(min=1))


def _words_of(kind: str, value: str) -> str:
    """As replies say it; "" for doing nothing."""
    if kind != "act":
        return value
    return "" if value == "none" else forms(ACTS[value])[1]


def _spread_out(backbone: Backbone, words: str) -> Tensor:
    """An even distribution [V] over the tokens of words inside a sentence."""
    ids = backbone.tokenizer.encode(f" {words}", add_special_tokens=False) if words else []
    out = torch.zeros(backbone.lm.get_input_embeddings().weight.shape[0])
    if ids:
        out[torch.tensor(ids)] = 1 / len(ids)
    return out
