"""The detector's losses: proposals one-to-many, queries one-to-one, jittered boxes each with its own object.

Knows boxes, logits and which objects a phrase fits. Does not know models. All shapes are fixed and nothing waits for
the device. Axis letters: B images, S proposals, Q queries, M objects, L text tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

ALPHA, GAMMA = 0.25, 2.0
CLASS, DISTANCE, OVERLAP = 4.0, 5.0, 2.0  # weights of the three terms
PER_OBJECT = 8  # proposals that learn one object
FAR = 1e4


@dataclass(frozen=True)
class Said:
    """Of each text's tokens, bool [B, L]: which are the phrase's words, and which are there at all, so no padding."""

    words: Tensor
    tokens: Tensor


def corners(boxes: Tensor) -> Tensor:
    """(centre, size) [..., 4] to (x1, y1, x2, y2)."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def overlaps(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (Rezatofighi et al. 2019, arXiv 1902.09630) of boxes (centre, size) that broadcast."""
    a, b = corners(first), corners(second)
    common = _area((torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0))
    union = _area(first[..., 2:]) + _area(second[..., 2:]) - common
    hull = _area(torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).clamp(min=1e-8)
    iou = common / union.clamp(min=1e-8)
    return iou, iou - (hull - union) / hull


def _area(sizes: Tensor) -> Tensor:
    """Width times height [...] of sizes [..., 2]; the gradient of `prod` would cost ten kernels."""
    return sizes[..., 0] * sizes[..., 1]


def focal(logits: Tensor, wanted: Tensor, said: Said) -> Tensor:
    """Focal loss (Lin et al. 2017, arXiv 1708.02002) of each query, all tokens' sum over the count of words: [B, Q].

    logits: [B, Q, L].   wanted: bool [B, Q], whether every word of the phrase shall fire, or none. The tokens that
    are no words never shall: the package takes the best of all tokens for a box's score, and for the choice of queries.
    """
    truth = (wanted[..., None] & said.words[:, None]).to(logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    chance = logits.sigmoid()
    miss = chance + truth - 2 * chance * truth  # 1 - p of the truth
    balance = ALPHA * truth + (1 - ALPHA) * (1 - truth)
    each = balance * miss.pow(GAMMA) * entropy * said.tokens[:, None]
    return each.sum(dim=2) / said.words.sum(dim=1, keepdim=True).clamp(min=1)


@torch.no_grad()
def own(boxes: Tensor, truth: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Which proposals [B, S] learn an object, and which object; boxes [B, S, 4], truth [B, M, 4].

    Of the proposals inside a visible object's box, the PER_OBJECT that overlap it best learn it; of one that two
    objects want, the better overlap decides.
    """
    iou, _ = overlaps(boxes[:, :, None], truth[:, None])  # [B, S, M]
    gap = (boxes[:, :, None, :2] - truth[:, None, :, :2]).abs()
    inside = (gap < truth[:, None, :, 2:] / 2).all(dim=-1) & visible[:, None]
    worth = torch.where(inside, iou + 1e-3, 0.0)
    best = worth.topk(min(PER_OBJECT, worth.shape[1]), dim=1).indices
    chosen = torch.zeros_like(inside).scatter(1, best, True) & inside
    return chosen.any(dim=2), torch.where(chosen, worth, 0.0).argmax(dim=2)


def proposal_loss(
    logits: Tensor, boxes: Tensor, truth: Tensor, taken: Tensor, owner: Tensor, match: Tensor, said: Said
) -> Tensor:
    """Class, distance and overlap [3] of proposals: logits [B, S, L], boxes [B, S, 4]; truth [B, M, 4].

    taken, owner: [B, S] of `own`. Only objects that the phrase fits get their words.
    """
    wanted = taken & match.gather(1, owner)
    return torch.stack([
        focal(logits, wanted, said).sum() / wanted.sum().clamp(min=1),
        *_box_terms(boxes, truth.gather(1, owner[..., None].expand(-1, -1, 4)), taken),
    ])  # fmt: skip


def query_loss(logits: Tensor, boxes: Tensor, truth: Tensor, match: Tensor, said: Said) -> Tensor:
    """Class, distance and overlap [3] of the model's own queries [B, Q, ...], each object that fits having one."""
    with torch.no_grad():
        taken, owner = assign(cost(logits, boxes, truth, said), match)
    return torch.stack([
        focal(logits, taken, said).sum() / match.sum().clamp(min=1),
        *_box_terms(boxes, truth.gather(1, owner[..., None].expand(-1, -1, 4)), taken),
    ])  # fmt: skip


def jitter_loss(logits: Tensor, boxes: Tensor, truth: Tensor, visible: Tensor, match: Tensor, said: Said) -> Tensor:
    """Class, distance and overlap [3] of jittered boxes [B, G * M, ...], which know their object."""
    groups = boxes.shape[1] // truth.shape[1]
    there, fitting = visible.repeat(1, groups), match.repeat(1, groups)
    each = focal(logits, fitting, said) * there
    return torch.stack([
        each.sum() / fitting.sum().clamp(min=1), *_box_terms(boxes, truth.repeat(1, groups, 1), there),
    ])  # fmt: skip


def naming_loss(states: Tensor, table: Tensor, sorts: Sequence[int], numbers: Tensor, counted: Tensor) -> Tensor:
    """Cross entropy of the words that states [..., d] shall name, the mean over what is counted and said.

    table: [V, d], a vector of each word, `sorts` words of each attribute one after another.   numbers: int64 [..., A],
    each attribute's word; negative where there is none.   counted: bool [...]. Objects and phrases that name the same
    words by the same table lie near each other, which is what a logit, the product of the two, needs to begin with.
    """
    terms, counts, start = [], [], 0
    for attribute, words in enumerate(sorts):
        scores = states.float() @ table[start : start + words].T
        number = numbers[..., attribute].expand(scores.shape[:-1])
        known = (number >= 0) & counted
        surprise = -scores.log_softmax(dim=-1).gather(-1, number.clamp(min=0)[..., None])[..., 0]
        terms.append((surprise * known).sum())
        counts.append(known.expand(scores.shape[:-1]).sum())
        start += words
    return torch.stack(terms).sum() / torch.stack(counts).sum().clamp(min=1)


def cost(logits: Tensor, boxes: Tensor, truth: Tensor, said: Said) -> Tensor:
    """What it costs to give an object to a query, [B, Q, M]: the words' focal cost, the distance, the overlap."""
    chance = logits.sigmoid()
    gain = ALPHA * (1 - chance).pow(GAMMA) * -(chance + 1e-8).log()
    pain = (1 - ALPHA) * chance.pow(GAMMA) * -(1 - chance + 1e-8).log()
    words = said.words
    spoken = ((gain - pain) * words[:, None]).sum(dim=2) / words.sum(dim=1, keepdim=True).clamp(min=1)
    distance = (boxes[:, :, None] - truth[:, None]).abs().sum(dim=-1)
    return CLASS * spoken[..., None] + DISTANCE * distance - OVERLAP * overlaps(boxes[:, :, None], truth[:, None])[1]


def assign(cost: Tensor, match: Tensor) -> tuple[Tensor, Tensor]:
    """One query for each object that fits, cheapest pair first: which queries are taken [B, Q], and for what [B, Q].

    Greedy instead of Hungarian: it runs on the device in M steps, and differs only where two objects quarrel.
    """
    queries, objects = cost.shape[1:]
    open_ = torch.where(match[:, None], cost, FAR)
    taken = torch.zeros(cost.shape[:2], dtype=torch.bool, device=cost.device)
    owner = torch.zeros(cost.shape[:2], dtype=torch.long, device=cost.device)
    columns = torch.arange(objects, device=cost.device)
    rows = torch.arange(queries, device=cost.device)
    for _ in range(objects):
        value, place = open_.flatten(1).min(dim=1)
        row, column = place // objects, place % objects
        here = (rows == row[:, None]) & (value < FAR / 2)[:, None]  # [B, Q]
        taken |= here
        owner = torch.where(here, column[:, None], owner)
        gone = here[:, :, None] | ((columns == column[:, None]) & (value < FAR / 2)[:, None])[:, None]
        open_ = torch.where(gone, FAR, open_)
    return taken, owner


def _box_terms(boxes: Tensor, truth: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """Mean distance and 1 - generalised IoU of the counted boxes."""
    count = counted.sum().clamp(min=1)
    distance = ((boxes - truth).abs().sum(dim=-1) * counted).sum() / count
    return distance, ((1 - overlaps(boxes, truth)[1]) * counted).sum() / count


def weigh(terms: Tensor) -> Tensor:
    """The weighted sum of terms [..., 3]."""
    return CLASS * terms[..., 0] + DISTANCE * terms[..., 1] + OVERLAP * terms[..., 2]
