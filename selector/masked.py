"""Layers that give a padded batch the very numbers of its unpadded members.

Knows masks over sequence positions. Does not know tracks, frames or words. A mask is bool, True where a position is
real; padding comes last. Without a mask every layer is torch's own rule.
Axis letters here: S sequences, C channels, P positions, K key positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def full(x: Tensor) -> Tensor:
    """x in float32, or in float64 if it is: sums of half precision lose bits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class MaskedGroupNorm(nn.GroupNorm):
    """Group normalisation of [S, C, P] whose statistics cover real positions only; padding becomes 0."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalise x under mask [S, P]; in float32 at least."""
        x = full(x)
        if mask is None:
            return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        sequences, channels, positions = x.shape
        grouped = x.view(sequences, self.num_groups, channels // self.num_groups, positions)
        real = mask[:, None, None, :].to(grouped.dtype)
        count = (real.sum((2, 3), keepdim=True) * grouped.shape[2]).clamp(min=1)
        mean = (grouped * real).sum((2, 3), keepdim=True) / count
        centred = (grouped - mean) * real
        variance = centred.square().sum((2, 3), keepdim=True) / count  # biased, as torch's
        normed = (centred * torch.rsqrt(variance + self.eps)).view(sequences, channels, positions)
        return (normed * self.weight[:, None] + self.bias[:, None]) * mask[:, None, :].to(normed.dtype)


class StandardisedConv1d(nn.Conv1d):
    """Convolution whose weight is standardised per output channel: (w - mean) / (std + 1e-5), std unbiased.

    (Qiao et al. 2019, arXiv 1903.10520; the constant lies outside the root, as in SOLA.)
    """

    def forward(self, x: Tensor) -> Tensor:
        """[S, C, P] to [S, C', P / stride, rounded up]."""
        weight = full(self.weight)
        flat = weight.flatten(1)
        mean, deviation = flat.mean(1)[:, None, None], flat.std(1)[:, None, None]
        return F.conv1d(x, (weight - mean) / (deviation + 1e-5), self.bias, self.stride, self.padding)


class Attention(nn.Module):
    """Multi-head attention with biased projections; keys under a mask [S, K]."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        """`dropout`: of attention weights, in training."""
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """query [S, P, C], key and value [S, K, C] -> [S, P, C]. Every sequence needs a real key."""
        q, k, v = (
            torch.unflatten(layer(x), -1, (self.heads, -1)).transpose(1, 2)  # [S, heads, P, C / heads]
            for layer, x in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
        )
        dropout = self.dropout if self.training else 0.0
        bias = None if mask is None else mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)
        projected: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return projected
