"""SAM2's memory attention for many objects of one frame: the package's weights, the same algebra, less work.

Exactly the package's result, rounding apart: (1) until the first memory is read, the frame's features are the same for
all objects and go through layer 0's self-attention once; (2) softmax weights sum to 1, so memory values can stay as
narrow as they are stored (64) and be projected after the attention, bias included; (3) memory plus position is the
same in every layer, and added once, rounded where the package rounds it; (4) where asked for,
rotary pairs are stored as halves, by the same permutation of query and key weights, and rotated in real numbers; (5) on
a CPU an object's scores are one product that its cache holds, whose values may be narrow.
Knows tensors and weights. Does not know frames or videos.
Axis letters: N objects, P pixels of the coarsest map, F memory frames, R pointer tokens, C model width, M memory width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
from sam2.modeling.sam.transformer import RoPEAttention
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from core.errors import CheckpointError
from proposals import rotary_keys
from proposals.compilation import compilable
from proposals.rotary_keys import Turn, rotate

# cuDNN's attention reaches 705 TFLOP/s here and takes narrow values, but prepares itself for every new shape and is
# slower than FlashAttention for one object (185 and 317 TFLOP/s); it is for many objects with many keys alone.
FEW = 2
MANY_KEYS = 4096
SCORES = 2**20  # of one object, up to which a CPU makes them at once: a quarter less time than with torch's tiles
QUICK_TO_START = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]
QUICK_AT_LENGTH = [SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]


class Linear(NamedTuple):
    """Weight [out, in] and bias [out]."""

    weight: Tensor
    bias: Tensor


class Norm(NamedTuple):
    """Scale and shift of a layer norm, float32."""

    weight: Tensor
    bias: Tensor
    eps: float


class SelfWeights(NamedTuple):
    """Norm, and query, key and value projections stacked to [3 C, C]."""

    norm: Norm
    qkv: Linear


class CrossWeights(NamedTuple):
    """What lies between self-attention and cross-attention: output projection, norm, query projection."""

    out: Linear
    norm: Norm
    query: Linear


class MixWeights(NamedTuple):
    """What follows cross-attention: values to model width, norm, and the two layers of the MLP."""

    values: Linear
    norm: Norm
    widen: Linear
    narrow: Linear


class LayerWeights(NamedTuple):
    """One layer. key: [C, M]; wide: values [C, M] before the attention."""

    own: SelfWeights
    cross: CrossWeights
    key: Linear
    mix: MixWeights
    wide: Linear
    wide_mix: MixWeights


class Frame(NamedTuple):
    """What a frame asks of every object's memory: features [1, P, C] after layer 0's self-attention, queries of it."""

    features: Tensor
    queries: Tensor


class Memory(NamedTuple):
    """What objects remember: tokens [N, F P + R, M] (memories, then pointers), and where in time.

    ages: [F] rows of the positions.   pointers: [N, R, M], with their positions.
    mask: [N, F P + R] bool, where objects of one batch remember differently much; what is not there is not read.
    """

    tokens: Tensor
    ages: Tensor
    pointers: Tensor
    mask: Tensor | None = None


class SharedAttention:
    """The memory attention of one model, its weights in `dtype`."""

    def __init__(
        self,
        module: MemoryAttention,
        positions: Tensor,
        side: int,
        dtype: torch.dtype,
        *,
        narrow: bool | None,
        compiled: bool,
        plain: bool = False,
        backends: Sequence[SDPBackend] | None = None,
    ) -> None:
        """positions: [memories, P, M], of memory tokens by age.   side: P is side squared.

        plain: products of the package's shapes, and rotary pairs as it stores and turns them, so that queries and keys
        are summed in its order; else pairs are halves, which compile and have a kernel for keys, but for a CPU, which
        turns complex numbers in place.
        narrow: whether memory values stay narrow in the attention; None for wherever that is quicker.
        backends: of attention on a GPU, in order of preference; None for what is quickest at each size, or for torch's
        own choice where `plain`.

        Raises:
            CheckpointError: for attention built otherwise than in every released SAM2.
        """
        for layer in module.layers:
            _check(layer)
        if not module.batch_first:
            raise CheckpointError("memory attention: expected layers that take the batch first, got another order")
        device = positions.device
        angles = module.layers[0].self_attn.compute_cis(end_x=side, end_y=side)  # [P, C / 2], complex
        self._dense = device.type == "cpu" and dtype == torch.float32 and not plain
        pairs = plain or (self._dense and not compiled)
        self._turn: Turn = angles.to(device) if pairs else (angles.real.to(device), angles.imag.to(device))
        self._narrow, self._places, self._backends, self._plain = narrow, positions, backends, plain
        self._at_input = module.pos_enc_at_input
        self._layers = [_weights(layer, dtype, pairs) for layer in module.layers]
        self._last = _norm(module.norm)
        self._begin = compilable(_begin, compiled)
        self._query = compilable(_query, compiled)
        self._mix = compilable(_mix, compiled)
        self._own = compilable(_own, compiled)
        self._finish = compilable(_finish, compiled)

    def frame(self, features: Tensor, position: Tensor) -> Frame:
        """What depends on the frame alone; features and position code [1, P, C]."""
        first = self._layers[0]
        x, q, k, v = self._begin(features, position if self._at_input else None, first.own, self._turn, self._plain)
        return Frame(*self._query(x, self._attend(q, k, v), first.cross, self._turn))

    def __call__(self, frame: Frame, memory: Memory) -> Tensor:
        """Features of the frame conditioned on each object's memory, [N, P, C]."""
        objects, length = memory.tokens.shape[:2]
        # Autocast, which a CPU may be under in tests of a GPU's precision, halves queries and not what is given room.
        dense = self._dense and frame.queries.dtype == torch.float32 and length * frame.queries.shape[1] <= SCORES
        narrow = self._narrow
        if narrow is None:
            narrow = dense if frame.queries.device.type == "cpu" else _large(objects, length)
        x = frame.features.expand(objects, -1, -1)
        q = frame.queries.expand(objects, -1, -1).contiguous()
        places = self._places[memory.ages].flatten(0, 1)  # [F P, M]
        placed = _placed(memory.tokens, places, memory.pointers)
        for number, layer in enumerate(self._layers):
            if number:
                own_q, own_k, own_v = self._own(x, layer.own, self._turn, self._plain)
                x, q = self._query(x, self._attend(own_q, own_k, own_v), layer.cross, self._turn)
            keys = rotary_keys.make_keys(placed, *layer.key, self._turn, len(places))
            values = memory.tokens if narrow else functional.linear(memory.tokens, *layer.wide)
            found = (_densely if dense else self._attend)(q, keys, values, memory.mask)
            x = self._mix(x, found, layer.mix if narrow else layer.wide_mix, self._plain)
        return self._finish(x, self._last)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention of one head, [N, P, C] x [N, L, C] x [N, L, V] -> [N, P, V]; values may be narrower than keys.

        mask: [N, L] bool, the keys that are read.
        """
        q, k, v = q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1)
        if mask is not None:
            return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None]).squeeze(1)
        if q.device.type == "cpu" or (self._plain and self._backends is None):  # torch chooses, as in the package
            return functional.scaled_dot_product_attention(q, k, v).squeeze(1)
        order = self._backends or (QUICK_AT_LENGTH if _large(len(q), k.shape[2]) else QUICK_TO_START)
        with sdpa_kernel([*order, SDPBackend.MATH], set_priority=True):
            return functional.scaled_dot_product_attention(q, k, v).squeeze(1)


def _densely(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """As `SharedAttention._attend`: object by object in two products, with the same room for the scores of each."""
    found, scores = q.new_empty(*q.shape[:2], v.shape[-1]), q.new_empty(q.shape[1], k.shape[1])
    q = q * q.shape[-1] ** -0.5
    for i in range(len(q)):
        torch.mm(q[i], k[i].t(), out=scores)
        if mask is not None:
            scores.masked_fill_(~mask[i], -torch.inf)
        torch.mm(torch.softmax(scores, dim=-1, out=scores), v[i], out=found[i])
    return found


def _placed(tokens: Tensor, places: Tensor, pointers: Tensor) -> Tensor:
    """Memories of [N, F P + R, M] with positions [F P, M], rounded once as under autocast, and pointers with theirs."""
    spatial, placed = len(places), torch.empty_like(tokens)
    torch.add(tokens[:, :spatial], places, out=placed[:, :spatial])
    placed[:, spatial:] = pointers
    return placed


def _begin(
    features: Tensor, position: Tensor | None, own: SelfWeights, turn: Turn, plain: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The residual stream's start and layer 0's queries, keys and values."""
    # The stream stays in float32, as under autocast: what is added up in it decides between masks that score alike.
    x = features.float() if position is None else features.float() + 0.1 * position
    return x, *_own(x, own, turn, plain)


def _own(x: Tensor, weights: SelfWeights, turn: Turn, plain: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of self-attention."""
    normed = _normed(x, weights.norm, weights.qkv.weight.dtype)
    if plain:
        q, k, v = (
            functional.linear(normed, *each) for each in zip(*(part.chunk(3) for part in weights.qkv), strict=True)
        )
    else:
        q, k, v = functional.linear(normed, *weights.qkv).chunk(3, dim=-1)
    return rotate(q, turn), rotate(k, turn), v


def _query(x: Tensor, found: Tensor, weights: CrossWeights, turn: Turn) -> tuple[Tensor, Tensor]:
    """The stream after self-attention, and the queries of cross-attention."""
    x = x + functional.linear(found, *weights.out)
    return x, rotate(functional.linear(_normed(x, weights.norm, weights.query.weight.dtype), *weights.query), turn)


def _mix(x: Tensor, found: Tensor, weights: MixWeights, plain: bool) -> Tensor:
    """The stream after cross-attention and the MLP."""
    x = x + functional.linear(found, *weights.values)
    rows = _normed(x, weights.norm, weights.widen.weight.dtype).flatten(0, 1)
    if plain:
        hidden = functional.linear(rows, *weights.widen).relu_()
    else:
        # Rectified in the matrix product's epilogue: the hidden layer is eight times as wide as the stream.
        hidden = torch._addmm_activation(weights.widen.bias, rows, weights.widen.weight.t())
    return x + functional.linear(hidden, *weights.narrow).view_as(x)


def _finish(x: Tensor, norm: Norm) -> Tensor:
    return _normed(x, norm, torch.float32)


def _normed(x: Tensor, norm: Norm, dtype: torch.dtype) -> Tensor:
    """Layer norm of the stream in float32, for matrix products in `dtype`."""
    return functional.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps).to(dtype)


def _large(objects: int, keys: int) -> bool:
    """Whether cuDNN's attention pays."""
    return objects > FEW and keys >= MANY_KEYS


def _check(layer: MemoryAttentionLayer) -> None:
    """Refuse layers that the algebra above does not describe; every released SAM2 passes."""
    wanted = {"pos_enc_at_attn": False, "pos_enc_at_cross_attn_queries": False, "pos_enc_at_cross_attn_keys": True}
    for name, value in wanted.items():
        if getattr(layer, name) is not value:
            raise CheckpointError(f"memory attention: expected {name} to be {value}, got {not value}")
    for name in ("self_attn", "cross_attn_image"):
        attention = getattr(layer, name)
        if not isinstance(attention, RoPEAttention) or attention.num_heads != 1:
            raise CheckpointError(f"memory attention: expected {name} of one rotary head, got {attention}")
    if layer.activation_str != "relu":
        raise CheckpointError(f"memory attention: expected the activation relu, got {layer.activation_str}")


def _weights(layer: MemoryAttentionLayer, dtype: torch.dtype, pairs: bool) -> LayerWeights:
    """A layer's weights, rearranged; rotary `pairs` as neighbours, or as halves."""
    order = torch.arange if pairs else _halves
    own, cross = layer.self_attn, layer.cross_attn_image
    turned = order(own.internal_dim)
    stacked = [own.q_proj.weight[turned], own.k_proj.weight[turned], own.v_proj.weight]
    biases = [own.q_proj.bias[turned], own.k_proj.bias[turned], own.v_proj.bias]
    turned = order(cross.internal_dim)
    # out(v(memory)) is one linear map, and attention commutes with it.
    out, value = cross.out_proj, cross.v_proj
    weight = out.weight.float() @ value.weight.float()
    bias = out.weight.float() @ value.bias.float() + out.bias.float()
    mlp = (_norm(layer.norm3), _linear(layer.linear1, dtype), _linear(layer.linear2, dtype))
    return LayerWeights(
        own=SelfWeights(_norm(layer.norm1), Linear(torch.cat(stacked).to(dtype), torch.cat(biases).to(dtype))),
        cross=CrossWeights(
            _linear(own.out_proj, dtype),
            _norm(layer.norm2),
            Linear(cross.q_proj.weight[turned].to(dtype), cross.q_proj.bias[turned].to(dtype)),
        ),
        key=Linear(cross.k_proj.weight[turned].to(dtype), cross.k_proj.bias[turned].to(dtype)),
        mix=MixWeights(Linear(weight.to(dtype), bias.to(dtype)), *mlp),
        wide=_linear(value, dtype),
        wide_mix=MixWeights(_linear(out, dtype), *mlp),
    )


def _halves(width: int) -> Tensor:
    """The order that brings neighbours (2 i, 2 i + 1) to (i, width / 2 + i)."""
    return torch.arange(width).view(-1, 2).t().flatten()


def _linear(module: torch.nn.Linear, dtype: torch.dtype) -> Linear:
    return Linear(module.weight.to(dtype), module.bias.to(dtype))


def _norm(module: torch.nn.LayerNorm) -> Norm:
    return Norm(module.weight.float(), module.bias.float(), module.eps)
