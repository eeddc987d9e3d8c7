"""The three losses of the miniature open_clip, on tensors.

Knows features, labels and token rows. Does not know where they come from.
Axis letters: G images, K texts, L text tokens, C width.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def pair_loss(images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    """Sigmoid loss over all pairs (Zhai et al. 2023, arXiv 2303.15343), any number of positives per row.

    images [G, C] and texts [K, C] of unit length, labels [G, K] bool. Summed over texts, averaged over images.
    """
    logits = scale * images @ texts.T + bias
    return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="sum") / len(images)


def same_clip_loss(images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    """The same loss on given pairs: images [K, P, C], texts [K, C], labels [K, P] bool."""
    logits = scale * torch.einsum("kpc,kc->kp", images, texts) + bias
    return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


def corrupt(ids: Tensor, special: tuple[int, int], share: float) -> tuple[Tensor, Tensor]:
    """Replace `share` of the words of ids [K, L] by padding (0): (corrupted ids, real [K, L] bool)."""
    real = ids != 0
    words = real & (ids != special[0]) & (ids != special[1])
    hidden = words & (torch.rand(ids.shape, device=ids.device) < share)
    return ids.masked_fill(hidden, 0), real


def word_loss(logits: Tensor, ids: Tensor, real: Tensor) -> Tensor:
    """Cross-entropy of the true token at every real position, hidden or not: logits [K, L, V], ids [K, L]."""
    return F.cross_entropy(logits[real], ids[real])
