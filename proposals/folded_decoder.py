"""SAM2's two-way transformer and the enlarging of its masks as few large products, for a CPU: the same algebra.

Exactly the package's result, rounding apart: (1) a handful of tokens attends to a whole map, so each head's four
projections are folded into two on the tokens' side, and every product with the map is of all heads and as wide as the
model; biases that all keys share fall out of the softmax, those of values come out of it whole; (2) what is the same
for the batch, of the map or of the tokens, is there once, until the other side makes it different; (3) transposed
convolutions whose stride is their size are products, whose pixels are put in order when they are logits.
A GPU has kernels for the narrow heads. Knows the package's modules. Does not know prompts, memories or frames.
Axis letters: N prompts or objects, T tokens, P pixels of the coarsest map, H heads, C width, M masks, h w logits.
"""

from __future__ import annotations

import torch
from sam2.modeling.sam.mask_decoder import MaskDecoder
from sam2.modeling.sam.transformer import Attention, TwoWayTransformer
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn
from torch.nn import functional

from proposals.clicks import promising
from proposals.memory_attention import Linear
from proposals.tracker import Maps

AT_ONCE = 16  # prompts whose masks are made together: their finest maps stay in a cache


class FoldedDecoder:
    """A model's mask decoder for the prompts of one frame, of which only the promising ones get masks."""

    @torch.no_grad()
    def __init__(self, model: SAM2Base) -> None:
        decoder, self._prompts = model.sam_mask_decoder, model.sam_prompt_encoder
        self._decoder = decoder
        self._transformer = FoldedTransformer(decoder.transformer, self._prompts.get_dense_pe())
        self._enlarger = Enlarger(decoder)
        own = [decoder.iou_token.weight, decoder.mask_tokens.weight]
        self._first = int(decoder.pred_obj_scores)
        self._tokens = torch.cat([decoder.obj_score_token.weight, *own] if self._first else own)

    def __call__(
        self, coarse: Tensor, fine: Maps, points: Tensor, labels: Tensor, limit: float
    ) -> tuple[Tensor, Tensor]:
        """Of the three masks of each prompt, those whose predicted IoU is above `limit` (0: all), prompt by prompt:
        low-resolution logits [K, h, w] and predicted IoU [K].

        coarse, fine: features of one frame, [1, C, ., .], the coarse ones with what stands for no memory.
        points: [N, T, 2] in pixels of the model's image.   labels: [N, T].
        """
        decoder = self._decoder
        sparse, _ = self._prompts(points=(points, labels), boxes=None, masks=None)
        tokens = torch.cat([self._tokens.expand(len(points), -1, -1), sparse], dim=1)
        image = coarse + self._prompts.no_mask_embed.weight.view(1, -1, 1, 1)
        hidden, image = self._transformer(image.flatten(2).transpose(1, 2), tokens)
        scores = decoder.iou_prediction_head(hidden[:, self._first])[:, 1:]
        wanted = promising(scores, limit)
        levels, side = self._enlarger.fine(fine), (coarse.shape[-2], coarse.shape[-1])
        made = [scores.new_zeros(0, *fine[0].shape[-2:])]
        for some in torch.split(wanted.any(dim=1).nonzero()[:, 0], AT_ONCE):
            mlps = enumerate(decoder.output_hypernetworks_mlps)
            weights = torch.stack([mlp(hidden[some, self._first + 1 + i]) for i, mlp in mlps if i], dim=1)
            made.append(self._enlarger.logits(image[some], weights, levels, side)[wanted[some]])
        return torch.cat(made), scores[wanted]


class FoldedTransformer:
    """A `TwoWayTransformer`; tokens of one batch and a map of another meet where one of them is of one."""

    def __init__(self, module: TwoWayTransformer, places: Tensor) -> None:
        """places: position codes of the map, [1, C, height, width]."""
        self._module = module
        self._places = places.flatten(2).transpose(1, 2).contiguous()  # [1, P, C]
        self._layers = [
            (layer, _Reading(layer.cross_attn_token_to_image), _Writing(layer.cross_attn_image_to_token))
            for layer in module.layers
        ]
        self._last = _Reading(module.final_attn_token_to_image)

    def __call__(self, image: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """A map [N or 1, P, C] and tokens [N or 1, T, C] -> tokens [N, T, C], map [N, P, C]."""
        tokens = given
        for number, (layer, read, write) in enumerate(self._layers):
            if number:
                q = tokens + given
                tokens = tokens + layer.self_attn(q=q, k=q, v=tokens)
            else:  # has no positions yet, and nothing to add to
                tokens = layer.self_attn(q=tokens, k=tokens, v=tokens)
            tokens = layer.norm1(tokens)
            placed = image + self._places
            tokens = layer.norm2(tokens + read(tokens + given, placed, image))
            tokens = layer.norm3(tokens + layer.mlp(tokens))
            image = layer.norm4(write(image, placed, tokens + given, tokens))
        found = self._last(tokens + given, image + self._places, image)
        return self._module.norm_final_attn(tokens + found), image


class _Reading:
    """Tokens attend to the map."""

    def __init__(self, module: Attention) -> None:
        query, key, value, out = _by_head(module)
        scale = query.shape[1] ** -0.5
        bias = module.q_proj.bias.view(len(query), -1)
        self._ask = Linear(  # [H C, C]; the keys' bias is the same for every pixel
            _folded(key.transpose(1, 2), query) * scale, torch.einsum("hdc,hd->hc", key, bias).flatten() * scale
        )
        weight = _folded(out, value).view(len(out), out.shape[1], -1)  # [H, C, C], (head, out, in)
        self._give = Linear(weight.transpose(0, 1).flatten(1), _shared_bias(module))  # [C, H C]
        self._heads = len(query)

    def __call__(self, tokens: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Tokens [N, T, C] with positions, the map [N or 1, P, C] with and without: what they find, [N, T, C]."""
        asked = functional.linear(tokens, *self._ask).view(len(tokens), -1, tokens.shape[-1])  # [N, T H, C]
        weights = _product(asked, keys.transpose(1, 2)).softmax(dim=-1)
        found = _product(weights, values)
        return functional.linear(found.view(len(found), tokens.shape[1], -1), *self._give)


class _Writing:
    """The map attends to tokens."""

    def __init__(self, module: Attention) -> None:
        query, key, value, out = _by_head(module)
        scale, heads = query.shape[1] ** -0.5, len(query)
        bias = module.q_proj.bias.view(heads, -1)
        self._offer = _folded(query.transpose(1, 2), key) * scale  # [H C, C]
        self._offset = torch.einsum("hdc,hd->hc", key, bias) * scale  # [H, C]
        # A head's weights sum to 1 over the tokens, so that each of its tokens brings a head's share of the bias.
        self._bring = Linear(_folded(out, value), (_shared_bias(module) / heads).repeat(heads))  # [H C, C]

    def __call__(self, image: Tensor, placed: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The map [N or 1, P, C] without and with positions, tokens [N, T, C] with and without: the map [N, P, C] and
        what it finds."""
        count, tokens, width = keys.shape
        offered = functional.linear(keys, self._offer).view(count, -1, width)  # [N, T H, C]
        scores = _product(offered, placed.transpose(1, 2))
        scores += functional.linear(keys, self._offset).view(count, -1, 1)
        weights = scores.view(len(scores), tokens, -1).softmax(dim=1).view_as(scores)  # a head's pixels lie together
        brought = functional.linear(values, *self._bring).view(count, -1, width)
        image, brought = (each.expand(len(weights), -1, -1) for each in (image, brought))
        return torch.baddbmm(image, weights.transpose(1, 2), brought)


class Enlarger:
    """The decoder's enlarging of the map, and masks as its products with weights that tokens give."""

    def __init__(self, decoder: MaskDecoder) -> None:
        first, self._norm, self._activate, second, self._activate_again = decoder.output_upscaling
        self._first, self._second = _blocks(first), _blocks(second)

    def fine(self, maps: Maps) -> tuple[Tensor, Tensor]:
        """A frame's fine maps as `logits` adds them: pixels by blocks of the coarsest map's, [P, 4, .] [P, 4, 4, .]."""
        height, width = (side // 4 for side in maps[0].shape[-2:])
        middle = maps[1][0].view(-1, height, 2, width, 2).permute(1, 3, 2, 4, 0).flatten(0, 1).flatten(1, 2)
        finest = maps[0][0].view(-1, height, 2, 2, width, 2, 2).permute(1, 4, 2, 5, 3, 6, 0)
        return middle + self._first.bias, finest.flatten(0, 1).flatten(1, 2).flatten(2, 3) + self._second.bias

    def logits(self, image: Tensor, weights: Tensor, fine: tuple[Tensor, Tensor], side: tuple[int, int]) -> Tensor:
        """Logits [N, M, h, w] of masks with `weights` [N, M, C / 8]; image: [N, P, C], `side` its height and width."""
        x = functional.linear(image, self._first.weight).view(len(image), *fine[0].shape).add_(fine[0])
        x = self._activate(functional.layer_norm(x, x.shape[-1:], self._norm.weight, self._norm.bias, self._norm.eps))
        x = functional.linear(x, self._second.weight).view(len(image), *fine[1].shape).add_(fine[1])
        x = self._activate_again(x).flatten(1, 3)  # [N, P 16, C / 8]
        logits: Tensor = (weights @ x.transpose(1, 2)).view(*weights.shape[:2], *side, 2, 2, 2, 2)
        return logits.permute(0, 1, 2, 4, 6, 3, 5, 7).reshape(*weights.shape[:2], 4 * side[0], 4 * side[1])


def _by_head(module: Attention) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Projections to queries, keys and values [H, d, C] and back [H, C, d]."""
    heads = module.num_heads
    ways = [each.weight.view(heads, -1, each.in_features) for each in (module.q_proj, module.k_proj, module.v_proj)]
    back = module.out_proj.weight
    return ways[0], ways[1], ways[2], back.view(len(back), heads, -1).transpose(0, 1)


def _folded(after: Tensor, before: Tensor) -> Tensor:
    """One projection after another, head by head: [H, out, d] and [H, d, in] -> [H out, in]."""
    return (after @ before).flatten(0, 1).contiguous()


def _shared_bias(module: Attention) -> Tensor:
    """What the biases of values and of the output add to every result."""
    bias: Tensor = module.out_proj(module.v_proj.bias)
    return bias


def _product(first: Tensor, second: Tensor) -> Tensor:
    """[N or 1, A, B] @ [N or 1, B, D]; one of them for all is no batch."""
    return first @ (second[0] if len(second) == 1 else second)


def _blocks(module: nn.ConvTranspose2d) -> Linear:
    """A transposed convolution of 2 x 2 pixels at a stride of 2 as a product: [4 out, in], blocks row by row."""
    assert module.bias is not None
    return Linear(module.weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous(), module.bias)
