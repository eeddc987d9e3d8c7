"""Grid prompts: the package's own automatic mask generator on a key frame, then SOLA's part suppression.

Knows SAM2's image side. Does not know other frames or tracks.
The generator is the package's class; only the features of its image come from elsewhere where they are the same, and
masks that it would enlarge and throw away are not enlarged.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_image_predictor import SAM2ImagePredictor
from sam2.utils.amg import MaskData
from torch import Tensor

from core.types import Source, VideoMeta
from proposals.clicks import CLAMP, ON, decode
from proposals.features import precision
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
        self._settings = settings
        with _SCRIPTING, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=FutureWarning)  # the package's
            self._predictor = _Predictor(model)
            self._generator = _Generator(
                model,
                points_per_side=settings.points_per_side,
                points_per_batch=resources.points,
                pred_iou_thresh=settings.pred_iou_thresh,
                stability_score_thresh=settings.stability_score_thresh,
                stability_score_offset=settings.stability_score_offset,
                box_nms_thresh=settings.box_nms_thresh,
            )
        self._generator.predictor = self._predictor

    def prompts(self, image: NDArray[np.uint8], frame: int, features: Maps | None = None) -> list[MaskPrompt]:
        """Prompts of one key frame, largest first, parts and scenery left out.

        image: uint8 [H, W, 3] RGB.   features: those of this very image, used where the model takes it unresized;
        elsewhere the package's own resizing differs from its video loader's, and the image is encoded once more.
        """
        side = int(self._predictor.model.image_size)
        self._predictor.lent = features if image.shape[:2] == (side, side) else None
        with torch.inference_mode(), precision(self._predictor.model.device):
            found = self._generator.generate(image)
        limit = self._settings.max_area * image.shape[0] * image.shape[1]
        prompts = [
            MaskPrompt(
                frame,
                np.asarray(mask["segmentation"], dtype=bool),
                Source.GRID,
                score=float(np.clip(mask["predicted_iou"], 0, 1)),
                stability=float(np.clip(mask["stability_score"], 0, 1)),
            )
            for mask in found
            if 0 < mask["area"] <= limit
        ]
        return without_parts(by_area(prompts), self._settings.part_overlap)


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


class _Generator(SAM2AutomaticMaskGenerator):  # type: ignore[misc]
    """The package's generator, which here drops masks of low predicted IoU before they are enlarged, not after."""

    predictor: _Predictor

    def _process_batch(
        self, points: NDArray[np.float64], im_size: tuple[int, int], crop_box: list[int], orig_size: tuple[int, int],
        normalize: bool = False,
    ) -> MaskData:  # fmt: skip
        """The masks of some points that pass the thresholds; a point stands in `points` once for each of its masks."""
        rows = self.predictor.look(points, im_size, normalize, max(self.pred_iou_thresh, 0.0))
        return super()._process_batch(points[rows], im_size, crop_box, orig_size, normalize)


class _Predictor(SAM2ImagePredictor):  # type: ignore[misc]
    """The package's image predictor for any input size (it knows 1024 alone), which can take features as a loan."""

    def __init__(self, model: SAM2Base) -> None:
        super().__init__(model)
        side = int(model.image_size) // int(model.backbone_stride)
        self._bb_feat_sizes = [(side * 4, side * 4), (side * 2, side * 2), (side, side)]
        self.lent: Maps | None = None
        self._seen: tuple[Tensor, Tensor] | None = None

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

    def look(
        self, points: NDArray[np.float64], size: tuple[int, int], normalize: bool, limit: float
    ) -> NDArray[np.int64]:
        """Which of the points each mask is of whose predicted IoU is above `limit` (0: of all three masks a point).

        points: [K, 2], pixels of an image of `size` where they are to be normalised.
        """
        features: dict[str, Any] = self._features
        given = torch.as_tensor(points, dtype=torch.float32, device=self.device)
        placed = self._transforms.transform_coords(given, normalize=normalize, orig_hw=size)[:, None]
        labels = torch.full(placed.shape[:2], ON, dtype=torch.int32, device=self.device)
        logits, scores = decode(
            self.model, features["image_embed"], features["high_res_feats"], placed, labels, several=True
        )
        rows, masks = (scores > limit if limit > 0 else torch.ones_like(scores, dtype=torch.bool)).nonzero().unbind(1)
        self._seen = logits[rows, masks][:, None], scores[rows, masks][:, None]
        return rows.cpu().numpy()

    def _predict(self, *_: object, **__: object) -> tuple[Tensor, Tensor, Tensor]:
        """The masks that `look` found, one a row: logits at the image's size, predicted IoU, low-resolution logits."""
        assert self._seen is not None, "points are looked at first"
        (logits, scores), self._seen = self._seen, None
        return self._transforms.postprocess_masks(logits, self._orig_hw[-1]), scores, logits.clamp(-CLAMP, CLAMP)
