"""Grid prompts: what the package's automatic mask generator finds on a key frame, then SOLA's part suppression.

Knows SAM2's image side. Does not know other frames or tracks.
The masks are those of the package's generator without crops; but the features of its image come from elsewhere where
they are the same, masks that it would make or enlarge and throw away are not, and runs are not counted.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.modeling.sam.mask_decoder import MaskDecoder
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_image_predictor import SAM2ImagePredictor
from sam2.utils.amg import batched_mask_to_box, build_point_grid, calculate_stability_score
from torch import Tensor
from torchvision.ops import nms  # type: ignore[import-untyped]

from core.types import Source, VideoMeta
from proposals.clicks import ON, decode, promising
from proposals.features import precision
from proposals.folded_decoder import FoldedDecoder
from proposals.prompts import MaskPrompt, Prompter, by_area
from proposals.settings import GridSettings, Resources, key_frames
from proposals.tracker import Maps

_SCRIPTING = Lock()
"""torch.jit.script, which the package calls for every predictor, is not for several threads at once."""


def grid_prompter(
    model: SAM2Base, video: VideoMeta, settings: GridSettings, limit: int, resources: Resources
) -> Prompter:
    """Automatic masks on the settings' key frames, at most `limit` tracks of them."""
    grid = GridPrompter(model, settings, resources)
    fits = video.size == (int(model.image_size), int(model.image_size))
    return Prompter(
        Source.GRID,
        key_frames(settings.bin_size, video.frames),
        lambda key: grid.prompts(key.image, key.index, key.features if fits else None),
        limit=limit,
        extra_passes=0 if fits else 1,
    )


class GridPrompter:
    """Prompts of key frames, made with one set of settings."""

    def __init__(self, model: SAM2Base, settings: GridSettings, resources: Resources) -> None:
        self._settings, self._batch = settings, resources.points
        self._grid = build_point_grid(settings.points_per_side)  # [points, 2], shares of the image
        with _SCRIPTING, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=FutureWarning)  # the package's
            self._predictor = _Predictor(model)

    def prompts(self, image: NDArray[np.uint8], frame: int, features: Maps | None = None) -> list[MaskPrompt]:
        """Prompts of one key frame, largest first, parts and scenery left out.

        image: uint8 [H, W, 3] RGB.   features: those of this very image, used where the model takes it unresized;
        elsewhere the package's own resizing differs from its video loader's, and the image is encoded once more.
        """
        side = int(self._predictor.model.image_size)
        self._predictor.lent = features if image.shape[:2] == (side, side) else None
        with torch.inference_mode(), precision(self._predictor.model.device):
            masks, figures = self._found(image)
        limit = self._settings.max_area * image.shape[0] * image.shape[1]
        prompts = [
            MaskPrompt(frame, mask, Source.GRID, score=score, stability=stability)
            for mask, (score, stability) in zip(masks, figures.clip(0, 1).tolist(), strict=True)
            if 0 < mask.sum() <= limit
        ]
        return without_parts(by_area(prompts), self._settings.part_overlap)

    def _found(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """The masks [K, H, W] that pass the thresholds and overlap no better one, best first; predicted IoU and
        stability [K, 2]."""
        self._predictor.set_image(image)
        points = self._grid * np.array(image.shape[1::-1])
        parts = [self._passing(points[i : i + self._batch]) for i in range(0, len(points), self._batch)]
        logits, boxes, figures = (torch.cat(each) for each in zip(*parts, strict=True))
        kept = nms(boxes.float(), figures[:, 0], self._settings.box_nms_thresh)
        # What is left is enlarged again, which costs less than to keep every mask at the image's size, or its runs.
        masks = self._predictor.enlarged(logits[kept]) > self._predictor.mask_threshold
        self._predictor.reset_predictor()
        return masks.cpu().numpy(), figures[kept].cpu().numpy()

    def _passing(self, points: NDArray[np.float64]) -> tuple[Tensor, Tensor, Tensor]:
        """The masks of some points that pass the thresholds: logits [K, h, w], boxes [K, 4], and predicted IoU and
        stability [K, 2]."""
        settings, threshold = self._settings, self._predictor.mask_threshold
        logits, scores = self._predictor.look(points, settings.pred_iou_thresh)
        fine = self._predictor.enlarged(logits)
        stability = calculate_stability_score(fine, threshold, settings.stability_score_offset)
        if settings.stability_score_thresh > 0:
            kept = stability >= settings.stability_score_thresh
            logits, scores, stability, fine = logits[kept], scores[kept], stability[kept], fine[kept]
        return logits, batched_mask_to_box(fine > threshold), torch.stack([scores, stability], dim=1)


def without_parts(prompts: Sequence[MaskPrompt], share: float) -> list[MaskPrompt]:
    """Prompts (one frame, largest first) without those that lie inside a larger one by more than `share` of themselves.

    A dropped part marks no further parts (SOLA, section 3).
    """
    if not prompts:
        return []
    flat = np.stack([prompt.mask.ravel() for prompt in prompts]).astype(np.float32)  # [N, H*W]
    inside = (flat @ flat.T) / flat.sum(axis=1)[None, :]  # [whole, part]
    part = np.zeros(len(prompts), dtype=bool)
    for whole in range(len(prompts)):
        if not part[whole]:
            others = inside[whole] > share
            others[whole] = False
            part |= others
    return [prompt for prompt, is_part in zip(prompts, part, strict=True) if not is_part]


class _Predictor(SAM2ImagePredictor):  # type: ignore[misc]
    """The package's image predictor for any input size (it knows 1024 alone), which can take features as a loan."""

    def __init__(self, model: SAM2Base) -> None:
        super().__init__(model)
        side = int(model.image_size) // int(model.backbone_stride)
        self._bb_feat_sizes = [(side * 4, side * 4), (side * 2, side * 2), (side, side)]
        self.lent: Maps | None = None
        own = isinstance(model.sam_mask_decoder, MaskDecoder)  # EdgeTAM's is transformers'
        self.folded = FoldedDecoder(model) if own and model.device.type == "cpu" else None

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Take the loan for the image's features where there is one, else encode the image."""
        if self.lent is None:
            super().set_image(image)
            return
        self.reset_predictor()
        coarse = self.lent[-1]
        if self.model.directly_add_no_mem_embed:
            coarse = coarse + self.model.no_mem_embed.view(1, -1, 1, 1)
        self._orig_hw = [image.shape[:2]]
        self._features = {"image_embed": coarse, "high_res_feats": list(self.lent[:-1])}
        self._is_image_set = True

    def look(self, points: NDArray[np.float64], limit: float) -> tuple[Tensor, Tensor]:
        """The masks whose predicted IoU is above `limit` (0: all three of a point), point by point: low-resolution
        logits [K, h, w] and predicted IoU [K].

        points: [N, 2] in pixels of the image.
        """
        features: dict[str, Any] = self._features
        given = torch.as_tensor(points, dtype=torch.float32, device=self.device)
        placed = self._transforms.transform_coords(given, normalize=True, orig_hw=self._orig_hw[-1])[:, None]
        labels = torch.full(placed.shape[:2], ON, dtype=torch.int32, device=self.device)
        maps = features["image_embed"], features["high_res_feats"]
        if self.folded is not None:
            return self.folded(*maps, placed, labels, limit)
        logits, scores = decode(self.model, *maps, placed, labels, several=True)
        wanted = promising(scores, limit)
        return logits[wanted], scores[wanted]

    def enlarged(self, logits: Tensor) -> Tensor:
        """Logits [K, h, w] at the image's size, [K, H, W]."""
        fine: Tensor = self._transforms.postprocess_masks(logits[:, None], self._orig_hw[-1])[:, 0]
        return fine
