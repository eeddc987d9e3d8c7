"""EdgeTAM's image encoder, mask decoder and memory encoder for many objects of one frame, on transformers' modules.

transformers' own pass over a frame takes one object alone; its modules take many. Knows EdgeTAM's modules. Does not
know memories in time, sources of prompts or cohorts. Axis letters: B frames, N objects, P pixels of the coarsest map,
R latents of one memory, C model width, M memory width, D token width (D = C), S the side of the image, h w the logits.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from transformers import EdgeTamVideoModel

from proposals.tracker import Maps

ABSENT = -1024.0  # the logit of every pixel where the object is absent


class Heads:
    """Decoder and memory encoder of one model; `sizes` of its maps, fine to coarse."""

    def __init__(self, model: EdgeTamVideoModel) -> None:
        self._model, self._settings = model, model.config
        self.sizes = [(int(height), int(width)) for height, width in model.backbone_feature_sizes]
        chosen = self._settings
        self.several = bool(  # whether a tracked frame, which has no points, has the best of several masks
            chosen.multimask_output_in_sam
            and chosen.multimask_output_for_tracking
            and chosen.multimask_min_pt_num <= 0 <= chosen.multimask_max_pt_num
        )
        with torch.no_grad():
            # A frame without a prompt: two points that are none [1, 1, 2, C], and no mask [1, C, height, width].
            self._nothing, self.no_mask = model.prompt_encoder(
                input_points=torch.zeros(1, 1, 1, 2, device=model.device),
                input_labels=torch.full((1, 1, 1), -1, device=model.device),
                input_boxes=None,
                input_masks=None,
            )
            self._everywhere = model.get_image_wide_positional_embeddings()  # [1, C, height, width]

    def decode(
        self, source: Tensor, maps: Maps, hint: Tensor, *, several: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits [N, 1, h, w], pointers [N, D], object score logits [N, 1] and predicted IoU [N] of the best mask.

        source: the coarsest map [N, C, height, width], conditioned on memory.   hint: an embedded mask, of all or each.
        """
        model, objects = self._model, len(source)
        masks, quality, tokens, score = model.mask_decoder(
            image_embeddings=source,
            image_positional_embeddings=self._everywhere.expand(objects, -1, -1, -1),
            sparse_prompt_embeddings=self._nothing.expand(objects, -1, -1, -1),
            dense_prompt_embeddings=hint,
            multimask_output=several,
            high_resolution_features=[level.expand(objects, -1, -1, -1) for level in maps[:-1]],
        )
        rows = torch.arange(objects, device=source.device)
        best = quality[:, 0].argmax(dim=1)
        score = score[:, 0]  # [N, 1]
        appearing = (score > 0).to(tokens.dtype)
        logits = torch.where(appearing[..., None] > 0, masks[rows, 0, best], ABSENT)[:, None]
        pointer = model.object_pointer_proj(tokens[rows, 0, best])
        pointer = appearing * pointer + (1 - appearing) * model.no_object_pointer
        return logits, pointer, score, quality[rows, 0, best]

    def remember(self, maps: Maps, shown: Tensor, score: Tensor) -> Tensor:
        """What a frame leaves in memory [N, R, M]; shown: probabilities [N, 1, S, S], score: [N, 1]."""
        model, settings = self._model, self._settings
        shown = shown * settings.sigmoid_scale_for_mem_enc + settings.sigmoid_bias_for_mem_enc
        memory, code = model.memory_encoder(maps[-1], shown)
        if model.occlusion_spatial_embedding_parameter is not None:
            hidden = (score <= 0).to(memory.dtype)[..., None, None]
            memory = memory + hidden * model.occlusion_spatial_embedding_parameter[..., None, None]
        return latents_of(model.spatial_perceiver, memory, code)


def feature_maps(model: EdgeTamVideoModel, images: Tensor) -> Maps:
    """Normalised images [B, 3, S, S] -> the decoder's maps [B, channels, height, width], fine to coarse."""
    levels = model.get_image_features(images, return_dict=True).fpn_hidden_states  # each [P, B, channels]
    sizes = model.backbone_feature_sizes
    return tuple(
        level.permute(1, 2, 0).reshape(len(images), -1, *size) for level, size in zip(levels, sizes, strict=True)
    )


def latents_of(perceiver: Any, memory: Tensor, code: Tensor) -> Tensor:
    """Memory maps [N, M, height, width] and the codes of their places -> latents [N, R, M].

    The package's own pass takes one object alone (a view of what it has expanded). Latents of the first kind look at
    the whole map; each of the second kind looks at its own window, windows row by row.
    """
    parts = []
    if perceiver.num_latents_1d:
        latents = perceiver.latents_1d.expand(len(memory), -1, -1)
        seen, places = (each.flatten(2).transpose(1, 2) for each in (memory, code))
        for layer in perceiver.layers:
            latents = layer(latents, seen, places)
        parts.append(perceiver.layer_norm(latents))
    if perceiver.num_latents_2d:
        side = math.isqrt(perceiver.num_latents_2d)
        count, width, height, breadth = memory.shape
        windows = memory.view(count, width, side, height // side, side, breadth // side)
        windows = windows.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(0, 2)  # [N windows, pixels of one, M]
        latents = perceiver.latents_2d.repeat(count, 1)[:, None]
        for layer in perceiver.layers:
            latents = layer(latents, windows)
        parts.append(perceiver.layer_norm(latents.view(count, -1, width)))
    return torch.cat(parts, dim=1)
