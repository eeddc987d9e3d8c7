"""K span queries: their states become spans in seconds with a score each, matched one to one with the truth.

By the rule `pointer` an end is an expectation over the frames around the likeliest one, so that it is as exact as the
frames' times at any length; by `mlp` it is regressed as a share of the clip, as in DTOS. The score is trained (DTOS's
TCS). Knows states and times. Does not know what was asked. Axis letters: B samples, T frames, K queries, M truths,
H width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from llm_grounder.matching import best_pairs, span_giou
from llm_grounder.settings import SpanRule

AROUND = 2  # frames on each side of the likeliest one that its expectation takes in
COST = {"l1": 5.0, "giou": 2.0, "score": 1.0}  # weights in the matching, those of Moment-DETR's kind


@dataclass(frozen=True, eq=False)
class SpanOutput:
    """ends: [B, K, 2] seconds, start before end.   score: [B, K] logits.   pointers: [B, 2, K, T] log-probabilities of
    the first and last frame, None by the rule `mlp`.
    """

    ends: Tensor
    score: Tensor
    pointers: Tensor | None


class SpanHead(nn.Module):
    """See the module."""

    def __init__(self, width: int, rule: SpanRule) -> None:
        super().__init__()
        self.rule = rule
        self.score = nn.Linear(width, 1)
        if rule == "pointer":
            self.mixers = nn.ModuleList(FrameMixer(width) for _ in range(2))
            self.ask = nn.Linear(width, 2 * width)
            self.show = nn.Linear(width, 2 * width)
        else:
            self.regress = nn.Sequential(
                nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 2)
            )

    def forward(self, queries: Tensor, frames: Tensor, real: Tensor, edges: Tensor) -> SpanOutput:
        """Spans of queries [B, K, H] over frames [B, T, H], of which `real` [B, T] are there; edges [B, T, 2] are the
        seconds at which each frame begins and ends.
        """
        score = self.score(queries).squeeze(-1)
        first, last = edges[:, 0, 0], torch.where(real, edges[..., 1], -torch.inf).amax(1)
        if self.rule == "mlp":
            shares = self.regress(queries).sigmoid()
            ends = first[:, None, None] + shares * (last - first)[:, None, None]
            return SpanOutput(ends.sort(-1).values, score, None)
        for mixer in self.mixers:
            frames = mixer(frames, real)
        batch, width = len(queries), queries.shape[-1]
        asked = self.ask(queries).view(batch, -1, 2, width).permute(0, 2, 1, 3)
        shown = self.show(frames).view(batch, -1, 2, width).permute(0, 2, 3, 1)
        logits = (asked @ shown / math.sqrt(width)).masked_fill(~real[:, None, None], -1e4)  # [B, 2, K, T]
        ends = torch.stack([local_mean(logits[:, side], edges[:, None, :, side]) for side in (0, 1)], -1)
        return SpanOutput(ends.sort(-1).values, score, logits.log_softmax(-1))


class FrameMixer(nn.Module):
    """Frames see their neighbours on both sides, which a causal model's states do not: a residual convolution."""

    def __init__(self, width: int, reach: int = 3) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.near = nn.Conv1d(width, width, 2 * reach + 1, padding=reach, groups=width)
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(width, width))

    def forward(self, frames: Tensor, real: Tensor) -> Tensor:
        """[B, T, H] of the same; frames that are not there count as nothing."""
        seen = self.norm(frames) * real[..., None]
        near = self.near(seen.transpose(1, 2)).transpose(1, 2)
        return frames + torch.as_tensor(self.mix(near))


def local_mean(logits: Tensor, times: Tensor) -> Tensor:
    """The mean [..] of `times` [.., T] weighted by the softmax of `logits` [.., T] within AROUND of its highest."""
    best = logits.argmax(-1, keepdim=True)
    far = (torch.arange(logits.shape[-1], device=logits.device) - best).abs() > AROUND
    return (logits.masked_fill(far, -torch.inf).softmax(-1) * times).sum(-1)


def span_losses(found: SpanOutput, truth: Sequence[Tensor | None], edges: Tensor, real: Tensor) -> Mapping[str, Tensor]:
    """Named losses of samples whose truth is [M, 2] seconds; of None nothing is learnt; {} where all are None.

    l1 in shares of the clip, giou, score: binary cross-entropy of "is matched"; pointer: cross-entropy of the matched
    queries' first and last frames. Of more truths than queries the dearest to match are nobody's.
    """
    known = [b for b, spans in enumerate(truth) if spans is not None]
    if not known:
        return {}
    each = [spans for spans in truth if spans is not None]
    ends, score, edges, real = found.ends[known], found.score[known], edges[known], real[known]
    first, last = edges[:, :1, :1], torch.where(real, edges[..., 1], -torch.inf).amax(1)[:, None, None]
    spans = pad_sequence(each, batch_first=True).to(ends, non_blocking=True)  # [B', M, 2]
    predicted, wanted = (ends - first) / (last - first), (spans - first) / (last - first)
    b, k, m = _match(predicted, wanted, score, [len(one) for one in each])
    matched = torch.zeros_like(score).index_put((b, k), score.new_ones(()))
    terms = {"score": F.binary_cross_entropy_with_logits(score, matched)}
    if len(b):
        one, other = predicted[b, k], wanted[b, m]
        terms |= {"l1": (one - other).abs().sum(-1).mean(), "giou": (1 - span_giou(one, other)).mean()}
        if found.pointers is not None:
            frames = frames_of(spans, torch.where(real[..., None], edges, torch.inf))[b, m]  # [pairs, 2]
            pointed = found.pointers[known][b, :, k].gather(-1, frames[..., None])  # [pairs, 2, 1]
            terms["pointer"] = -pointed.sum(1).mean()
    return {f"spans.{name}": term for name, term in terms.items()}


def frames_of(spans: Tensor, edges: Tensor) -> Tensor:
    """The first and last frame [.., M, 2] of spans [.., M, 2]: those shown at the start and just before the end.

    edges: [.., T, 2], infinite for frames that are not there.
    """
    starts = edges[..., 0].contiguous()
    start = torch.searchsorted(starts, spans[..., 0].contiguous() + 1e-4, right=True) - 1
    end = torch.searchsorted(starts, spans[..., 1].contiguous() - 1e-4) - 1
    return torch.stack([start, end], -1).clamp(0, edges.shape[-2] - 1)


def _match(
    predicted: Tensor, wanted: Tensor, score: Tensor, counts: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Samples, queries and truths that belong together, of which each sample has `counts`; one wait for the device."""
    with torch.no_grad():
        one, other = predicted[:, :, None], wanted[:, None]
        cost = COST["l1"] * (one - other).abs().sum(-1) - COST["giou"] * span_giou(one, other)
        costs = (cost - COST["score"] * score.sigmoid()[..., None]).float().cpu()
    found = [best_pairs(costs[b, :, :count]) for b, count in enumerate(counts)]
    samples = torch.repeat_interleave(torch.tensor([len(rows) for rows, _ in found]))
    queries, truths = (torch.cat([pair[i] for pair in found]) for i in (0, 1))
    return (
        samples.to(score.device, non_blocking=True),
        queries.to(score.device, non_blocking=True),
        truths.to(score.device, non_blocking=True),
    )
