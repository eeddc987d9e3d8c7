"""EdgeTAM's image side under the names by which grids, boxes and points ask SAM2's: one frame, many prompts.

The package's automatic mask generator and `proposals.clicks` call a SAM2 by a handful of names; this gives them the
same from transformers' modules, so that no source of prompts needs to know which tracker it prompts. Knows both sets of
names. Does not know frames in time. Axis letters: K objects, P points of an object, C model width, S the image's side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import EdgeTamVideoModel

from core.errors import CheckpointError
from proposals.edgetam_heads import feature_maps
from proposals.tracker import Maps

STRIDE = 16  # of the coarsest map; the two finer ones have a half and a quarter of it


class EdgeTamImage(nn.Module):
    """One EdgeTAM as the sources of prompts see it; `video_model` is the whole."""

    directly_add_no_mem_embed = True  # an image without memories is marked as such, as in every released model
    backbone_stride = STRIDE

    def __init__(self, model: EdgeTamVideoModel) -> None:
        """Raise CheckpointError for maps of other sizes than SAM2's strides of 4, 8 and 16 give."""
        super().__init__()
        self.image_size = int(model.image_size)
        sizes = [tuple(size) for size in model.backbone_feature_sizes]
        wanted = [(self.image_size // stride,) * 2 for stride in (STRIDE // 4, STRIDE // 2, STRIDE)]
        if sizes != wanted or tuple(model.prompt_encoder.image_embedding_size) != wanted[-1]:
            raise CheckpointError(f"tracker: expected an EdgeTAM with maps of sizes {wanted}, got {sizes}")
        self.video_model = model
        self.hidden_dim = int(model.hidden_dim)
        self.no_mem_embed = model.no_memory_embedding
        self.sam_prompt_encoder = _PromptEncoder(model)
        self.sam_mask_decoder = _MaskDecoder(model)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        device: torch.device = self.video_model.device
        return device

    def forward_image(self, images: Tensor) -> Maps:
        """Normalised images [B, 3, S, S] -> maps, fine to coarse."""
        return feature_maps(self.video_model, images)

    def _prepare_backbone_features(self, maps: Maps) -> tuple[None, list[Tensor], None, None]:
        """Maps as the package's image predictor wants them, [pixels, B, channels], in its second place."""
        return None, [level.flatten(2).permute(2, 0, 1) for level in maps], None, None


class _PromptEncoder(nn.Module):
    """Points and boxes, a box being two points of labels 2 and 3."""

    def __init__(self, model: EdgeTamVideoModel) -> None:
        super().__init__()
        self._model = [model]  # in a list: a part of the model must not have it as a part

    def get_dense_pe(self) -> Tensor:
        """Positions of the coarsest map, [1, C, height, width]."""
        places: Tensor = self._model[0].get_image_wide_positional_embeddings()
        return places

    def forward(self, points: tuple[Tensor, Tensor], boxes: None, masks: None) -> tuple[Tensor, Tensor]:
        """Points [K, P, 2] in pixels of the model's image, labels [K, P] -> [K, P + 1, C], and "no mask" for each."""
        assert boxes is None, "boxes come as points"
        assert masks is None, "masks are told to the tracker"
        places, labels = points
        sparse, dense = self._model[0].prompt_encoder(
            input_points=places[None], input_labels=labels[None], input_boxes=None, input_masks=None
        )
        return sparse[0], dense.expand(len(places), -1, -1, -1)


class _MaskDecoder(nn.Module):
    """Masks of all prompts on one image."""

    def __init__(self, model: EdgeTamVideoModel) -> None:
        super().__init__()
        self._model = [model]

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
        repeat_image: bool,
        high_res_features: Sequence[Tensor],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits [K, masks, h, w], predicted IoU [K, masks], mask tokens [K, masks, C], object score logits [K, 1]."""
        assert len(image_embeddings) == 1, "one image"
        masks, quality, tokens, score = self._model[0].mask_decoder(
            image_embeddings=image_embeddings,
            image_positional_embeddings=image_pe,
            sparse_prompt_embeddings=sparse_prompt_embeddings[None],
            dense_prompt_embeddings=dense_prompt_embeddings[:1],
            multimask_output=multimask_output,
            high_resolution_features=list(high_res_features),
        )
        return masks[0], quality[0], tokens[0], score[0]
