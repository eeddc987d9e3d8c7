"""SAM2's mask decoder and memory encoder for many objects of one frame, without what tracking throws away.

The package's modules and weights. Of the masks that the decoder could give only the chosen one is made and enlarged,
and what depends on the frame alone (fine feature maps, the memory encoder's view of the frame) is not repeated for
every object. Knows SAM2's heads. Does not know memories, frames in time or prompts.
Axis letters: N objects, P pixels of the coarsest map, C model width, M memory width, D token width, h w logits.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from sam2.modeling.sam2_base import NO_OBJ_SCORE, SAM2Base
from torch import Tensor
from torch.nn import functional

from core.errors import CheckpointError
from proposals.mask_shrinking import shrinker
from proposals.tracker import Maps


class Readout(NamedTuple):
    """Logits [N, 1, h, w] float32, pointers [N, D], object score logits [N], predicted IoU [N], memory [N, P, M]."""

    logits: Tensor
    pointer: Tensor
    object_score: Tensor
    predicted_iou: Tensor
    memory: Tensor


class Heads(torch.nn.Module):
    """Decoder and memory encoder of one model."""

    def __init__(self, model: SAM2Base, *, half: bool = False, plain: bool = False) -> None:
        """half: to run under autocast to bfloat16.   plain: products and convolutions of the package's shapes and
        layout, which choose the kernels and so the order of sums.

        Raises:
            CheckpointError: for a decoder that chooses its mask by stability, as tracking needs one rule, or that does
                without fine maps.
        """
        super().__init__()
        decoder = model.sam_mask_decoder
        self._several = bool(model._use_multimask(False, None))
        if decoder.dynamic_multimask_via_stability and not self._several:
            raise CheckpointError("tracker: expected dynamic_multimask_via_stability to be off, got a model with it on")
        if not model.use_high_res_features_in_sam:
            raise CheckpointError("tracker: expected use_high_res_features_in_sam to be on, got a model with it off")
        self._model, self._plain = model, plain
        self._side = int(model.image_size)
        downsampler = model.memory_encoder.mask_downsampler
        self._shrink = downsampler if plain else shrinker(downsampler)
        prompts = model.sam_prompt_encoder
        with torch.no_grad(), torch.autocast(model.device.type, enabled=False):
            # Tracking prompts nothing: two empty points and an empty mask, the same for every object.
            point = prompts.not_a_point_embed.weight
            tokens = [decoder.iou_token.weight, decoder.mask_tokens.weight, point, point]
            if model.pred_obj_scores:
                tokens.insert(0, decoder.obj_score_token.weight)
            self._tokens = torch.cat(tokens)[None]  # [1, tokens, C]
            self._no_mask = prompts.no_mask_embed.weight.reshape(1, -1, 1, 1)
        # The package makes them at every call, so that autocast rounds the angles too: by up to .1 of a position.
        with torch.no_grad(), torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=half):
            self._places = prompts.get_dense_pe()  # [1, C, height, width]

    def forward(self, x: Tensor, *maps: Tensor) -> Readout:
        """Features conditioned on memory [N, P, C] and the frame's maps -> what the frame shows and leaves behind."""
        model = self._model
        source = _as_map(x, maps) + self._no_mask
        hidden, source = model.sam_mask_decoder.transformer(source, self._places, self._tokens.expand(len(x), -1, -1))
        first = int(model.pred_obj_scores)
        quality = model.sam_mask_decoder.iou_prediction_head(hidden[:, first])
        masks = hidden[:, first + 1 : first + 1 + model.sam_mask_decoder.num_mask_tokens]
        score = self._score(hidden)
        rows = torch.arange(len(x), device=x.device)
        chosen = quality[:, 1:].argmax(dim=1) + 1 if self._several else torch.zeros_like(rows)
        logits = self._mask(_as_map(source, maps), maps, masks, rows, chosen)
        if model.pred_obj_scores:
            logits = torch.where(score[:, None, None] > 0, logits, NO_OBJ_SCORE)
        logits = logits.float()
        own_token = self._several and model.sam_mask_decoder.use_multimask_token_for_obj_ptr
        pointer = self._pointer(masks[rows, chosen] if own_token else masks[:, 0], score)
        memory = self._memory(logits, score, maps)
        return Readout(logits, pointer.float(), score[:, 0].float(), quality[rows, chosen].float(), memory)

    def _score(self, hidden: Tensor) -> Tensor:
        """Object score logits [N, 1]; 10 for models without."""
        if not self._model.pred_obj_scores:
            return hidden.new_full((len(hidden), 1), 10.0)
        score: Tensor = self._model.sam_mask_decoder.pred_obj_score_head(hidden[:, 0])
        return score

    def _mask(self, source: Tensor, maps: Maps, tokens: Tensor, rows: Tensor, chosen: Tensor) -> Tensor:
        """Logits [N, 1, h, w] of the chosen masks."""
        decoder = self._model.sam_mask_decoder
        enlarge, norm, activate, enlarge_again, activate_again = decoder.output_upscaling
        fine = activate(norm(enlarge(source) + maps[1]))
        fine = activate_again(enlarge_again(fine) + maps[0])  # [N, C / 8, h, w]
        weights = torch.stack([mlp(tokens[:, i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)], dim=1)
        if self._plain:
            logits: Tensor = (weights @ fine.flatten(2))[rows, chosen]
        else:
            logits = weights[rows, chosen][:, None] @ fine.flatten(2)
        return logits.view(-1, 1, *fine.shape[-2:])

    def _pointer(self, token: Tensor, score: Tensor) -> Tensor:
        """Object pointers [N, D]; what stands for an absent object where it is absent."""
        model = self._model
        pointer: Tensor = model.obj_ptr_proj(token)
        if not model.pred_obj_scores:
            return pointer
        appearing = score.sigmoid() if model.soft_no_obj_ptr else (score > 0).float()
        if model.fixed_no_obj_ptr:
            pointer = appearing * pointer
        pointer = pointer + (1 - appearing) * model.no_obj_ptr
        return pointer

    def _memory(self, logits: Tensor, score: Tensor, maps: Maps) -> Tensor:
        """What the frame leaves in memory, [N, P, M] bfloat16 as the package keeps it."""
        model = self._model
        encoder = model.memory_encoder
        side = (self._side, self._side)
        fine = functional.interpolate(logits, side, mode="bilinear", align_corners=False)
        fine = fine.sigmoid() * model.sigmoid_scale_for_mem_enc + model.sigmoid_bias_for_mem_enc
        coarse = maps[-1].contiguous() if self._plain else maps[-1]
        memory: Tensor = encoder.pix_feat_proj(coarse) + self._shrink(fine)
        memory = encoder.out_proj(encoder.fuser(memory))
        if model.no_obj_embed_spatial is not None:
            appearing = (score > 0).float()[..., None, None]
            memory = memory + (1 - appearing) * model.no_obj_embed_spatial[..., None, None]
        return memory.to(torch.bfloat16).flatten(2).transpose(1, 2).contiguous()


def _as_map(x: Tensor, maps: Maps) -> Tensor:
    """Rows [N, P, C] as a map [N, C, height, width]."""
    return x.transpose(1, 2).view(len(x), x.shape[2], *maps[-1].shape[-2:])
