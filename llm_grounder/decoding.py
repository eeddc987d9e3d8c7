"""Words from a language model, one token after another: the likeliest that the rules leave.

Knows logits, rules and the keys and values of what was read. Does not know samples. Axis letters: B replies, H width,
V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from llm_grounder.backbone import CLOSE, Backbone


class Processor(Protocol):
    """What transformers calls a LogitsProcessor."""

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """New logits [1, V] for those given, after the token ids [1, n] said so far, in the host's memory."""


def decode(
    backbone: Backbone, last: Tensor, past: Any, real: Tensor, positions: Tensor, rules: Sequence[Sequence[Processor]],
    most: int, name: Callable[[Tensor, Sequence[Sequence[int]]], Tensor] | None = None,
) -> list[list[int]]:  # fmt: skip
    """The tokens of B replies without the closing one, `most` each.

    last: [B, H], the states after which they begin.   past: keys and values of all before.   real: [B, keys] bool.
    positions: [B] of the last token.   rules: of each reply, applied in order after tokens that no reply holds are out.
    name: states [B, H] with what they name, of those and of what each reply has said.
    """
    said: list[list[int]] = [[] for _ in rules]
    going = list(range(len(rules)))
    closing, device = backbone.ids[CLOSE], last.device
    position = positions.to(device)
    for step in range(most):
        named = last if name is None else name(last, said)
        logits = backbone.logits(named).float().masked_fill(~backbone.speakable, -torch.inf)
        chosen = torch.full((len(rules),), closing, device=device)
        for b in going:
            scores, so_far = logits[b : b + 1], torch.tensor([said[b]], dtype=torch.long)
            for rule in rules[b]:
                scores = rule(so_far, scores)
            chosen[b] = scores[0].argmax()
        tokens = chosen.tolist()
        going = [b for b in going if tokens[b] != closing]
        for b in going:
            said[b].append(tokens[b])
        if not going or step == most - 1:
            break
        real = torch.cat([real, torch.ones_like(real[:, :1])], 1)
        position = position + 1
        states, past = backbone(backbone.embed(chosen[:, None]), real, position[:, None], past, use_cache=True)
        last = states[:, -1]
    return said
