"""Boxes on every frame, from its marker's state: K of them with a score each, which say "lost" by low scores.

Knows states and boxes (x1, y1, x2, y2 as shares of the picture). Does not know who follows what. Axis letters: F
frames, K boxes a frame, M truths, H width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llm_grounder.matching import best_pairs, box_giou


@dataclass(frozen=True, eq=False)
class BoxOutput:
    """boxes: [F, K, 4] shares, never inverted.   score: [F, K] logits."""

    boxes: Tensor
    score: Tensor


class BoxHead(nn.Module):
    """A frame's state and a learned vector for each of its boxes, through one MLP."""

    def __init__(self, width: int, boxes: int) -> None:
        super().__init__()
        self.which = nn.Parameter(torch.randn(boxes, width) * 0.1)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.box, self.score = nn.Linear(width, 4), nn.Linear(width, 1)

    def forward(self, frames: Tensor) -> BoxOutput:
        """Boxes of states [F, H]; a box is a sigmoid of centre and sides, cut at the picture's edges."""
        inner = self.mlp(frames[:, None] + self.which)
        centre, side = self.box(inner).sigmoid().split(2, -1)
        boxes = torch.cat([centre - side / 2, centre + side / 2], -1).clamp(0, 1)
        return BoxOutput(boxes, self.score(inner).squeeze(-1))


def box_losses(
    found: Sequence[BoxOutput], truth: Sequence[Tensor | None], labelled: Sequence[Tensor | None]
) -> Mapping[str, Tensor]:
    """Named losses of samples whose truth is [T, M, 4] (NaN: none) on the frames that `labelled` [T] names.

    l1 and giou of matched boxes; score: binary cross-entropy of "is matched", on every labelled frame.
    """
    terms: dict[str, list[Tensor]] = {"l1": [], "giou": [], "score": []}
    for out, boxes, frames in _alike(found, truth, labelled):
        t, k, m = _match(out, boxes.to(out.boxes, non_blocking=True), boxes, frames)
        matched = torch.zeros_like(out.score)
        matched[t, k] = 1
        score = F.binary_cross_entropy_with_logits(out.score, matched, reduction="none")
        terms["score"].append(score[torch.nonzero(frames).flatten().to(score.device, non_blocking=True)].flatten())
        if len(t):
            one, other = out.boxes[t, k], boxes.to(out.boxes, non_blocking=True)[t, m]
            terms["l1"].append((one - other).abs().sum(-1))
            terms["giou"].append(1 - box_giou(one, other))
    return {f"boxes.{name}": torch.cat(parts).mean() for name, parts in terms.items() if parts}


def _alike(
    found: Sequence[BoxOutput], truth: Sequence[Tensor | None], labelled: Sequence[Tensor | None]
) -> Iterator[tuple[BoxOutput, Tensor, Tensor]]:
    """The frames of all samples with as many truths a frame, in one: boxes, truth and which have labels."""
    groups: dict[int, list[tuple[BoxOutput, Tensor, Tensor]]] = {}
    for out, boxes, frames in zip(found, truth, labelled, strict=True):
        if boxes is not None and frames is not None:
            groups.setdefault(boxes.shape[1], []).append((out, boxes, frames.bool()))
    for group in groups.values():
        together = BoxOutput(*(torch.cat([getattr(one[0], name) for one in group]) for name in ("boxes", "score")))
        yield together, torch.cat([one[1] for one in group]), torch.cat([one[2] for one in group])


def _match(
    out: BoxOutput, truth: Tensor, known: Tensor, labelled: Tensor
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Frames, boxes and truths that belong together.   known, labelled: truth and its labels where they were given, so
    that no device is waited for.
    """
    with torch.no_grad():
        one, other = out.boxes[:, :, None], truth[:, None]
        cost = 5 * (one - other).abs().sum(-1) - 2 * box_giou(one, other) - out.score.sigmoid()[..., None]
    there = ~known[..., 0].isnan() & labelled[:, None]
    cost = cost.masked_fill(~there[:, None].to(cost.device, non_blocking=True), torch.inf)
    if min(cost.shape[1:]) == 1:  # one box or one truth a frame: the cheapest pair, all frames at once
        return _cheapest(cost, there)
    found: list[tuple[int, int, int]] = []
    cost, there = cost.cpu(), there.cpu()
    for t in torch.nonzero(there.any(1)).flatten().tolist():
        real = torch.nonzero(there[t]).flatten()
        rows, columns = best_pairs(cost[t][:, real])
        found += [(t, int(k), int(real[m])) for k, m in zip(rows, columns, strict=True)]
    t, k, m = torch.tensor(found, dtype=torch.long, device=out.boxes.device).view(-1, 3).unbind(1)
    return t, k, m


def _cheapest(cost: Tensor, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    t = torch.nonzero(there.any(1)).flatten().to(cost.device, non_blocking=True)
    best = cost[t].flatten(1).argmin(1)
    return t, best // cost.shape[2], best % cost.shape[2]
