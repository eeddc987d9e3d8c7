"""Detector prompts: GroundingDINO's boxes for every expression on key frames, each box made a mask by SAM2.

Knows boxes, masks and which expression they are for. Does not know how boxes are found (`detector`) nor tracks. What
is left out on the way is counted, and the count is the caller's to report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import torch
from sam2.modeling.sam2_base import SAM2Base
from torchvision.ops import nms  # type: ignore[import-untyped]

from core.errors import InputError
from core.types import Expression, Source, VideoMeta
from core.validators import check_probability
from proposals.clicks import Clicks, masks_of
from proposals.prompts import KeyFrame, MaskPrompt, Prompter

if TYPE_CHECKING:  # transformers' detectors take seconds to import, and most runs need none
    from proposals.detector import Detection, Detector


@dataclass(frozen=True)
class DetectorSettings:
    """Boxes on key frames: every `bin_size` frames, or the first and the middle one for 0.

    box_threshold: of a box's best word.   text_threshold: of the words that a box is said to stand for; it changes no
    track.   nms: a box that overlaps a better one of its expression by more than this IoU is dropped (1: none).
    stability: masks below are dropped.   max_tracks: of one expression.   The defaults are SOLA's, which has no nms.
    """

    bin_size: int = 4
    box_threshold: float = 0.2
    text_threshold: float = 0.25
    nms: float = 0.8
    stability: float = 0.85
    max_tracks: int = 16

    def __post_init__(self) -> None:
        """Refuse negative counts and shares outside 0..1."""
        if self.bin_size < 0:
            raise InputError(f"detector bin_size: expected 0 or more frames, got {self.bin_size}")
        if self.max_tracks < 1:
            raise InputError(f"detector max_tracks: expected 1 or more, got {self.max_tracks}")
        for name in ("box_threshold", "text_threshold", "nms", "stability"):
            check_probability(f"detector {name}", getattr(self, name))

    def key_frames(self, frames: int) -> tuple[int, ...]:
        """Rising frame indices of the key frames of a video of `frames` frames."""
        return tuple(range(0, frames, self.bin_size)) if self.bin_size else tuple(sorted({0, frames // 2}))


@dataclass
class DetectionCounts:
    """What became of a run's boxes.

    expressions: asked.   texts_cut: of them over the detector's limit of tokens, which lost their last words.
    boxes: above the threshold, on all key frames.   empty: of them without area.   doubled: dropped by nms.
    vague: whose mask was empty or unstable.   prompts: left to be tracked.   found: ids with at least one prompt.
    """

    expressions: int = 0
    texts_cut: int = 0
    boxes: int = 0
    empty: int = 0
    doubled: int = 0
    vague: int = 0
    prompts: int = 0
    found: set[str] = field(default_factory=set)

    def figures(self) -> dict[str, int]:
        """The counts by name, with `without_box`, the expressions that no prompt was found for."""
        counts = {name: value for name, value in vars(self).items() if isinstance(value, int)}
        return counts | {"without_box": self.expressions - len(self.found)}


def grounding_dino_prompter(
    model: SAM2Base,
    detector: Detector,
    video: VideoMeta,
    expressions: Sequence[Expression],
    settings: DetectorSettings,
) -> tuple[Prompter, DetectionCounts]:
    """Masks of the detector's boxes for `expressions`, at most `max_tracks` of each; best scores first.

    The counts fill while the prompter works.

    Raises:
        InputError: for no expressions, or two with the same id.
    """
    check_expressions(video, expressions)
    texts = detector.read([expression.text for expression in expressions])
    counts = DetectionCounts(expressions=len(expressions), texts_cut=sum(texts.cut))

    def find(key: KeyFrame) -> list[MaskPrompt]:
        found = detector.detect(key.image, texts, settings.box_threshold, settings.text_threshold)
        return [
            prompt
            for expression, detections in zip(expressions, found, strict=True)
            for prompt in _prompts(model, key, expression.id, detections, settings, counts)
        ]

    keys = settings.key_frames(video.frames)
    return Prompter(Source.GROUNDING_DINO, keys, find, limit=settings.max_tracks), counts


def detector_facts(
    detector: Detector, expressions: Sequence[Expression], settings: DetectorSettings
) -> Mapping[str, object]:
    """What decides the detector's tracks, for provenance: weights, thresholds, and the text of each expression id."""
    return {
        "name": detector.name,
        "sha256": detector.sha256,
        "settings": asdict(settings),
        "expressions": {expression.id: expression.text for expression in expressions},
    }


def check_expressions(video: VideoMeta, expressions: Sequence[Expression]) -> None:
    """Refuse what a detector cannot be asked; InputError for no expressions, or two with the same id."""
    ids = [expression.id for expression in expressions]
    if not ids:
        raise InputError(f"video {video.id!r}, detector: expected at least one expression to look for, got none")
    if len(set(ids)) != len(ids):
        raise InputError(f"video {video.id!r}, detector: expected expressions with distinct ids, got {ids}")


def _prompts(
    model: SAM2Base,
    key: KeyFrame,
    expression_id: str,
    detections: Sequence[Detection],
    settings: DetectorSettings,
    counts: DetectionCounts,
) -> list[MaskPrompt]:
    """The prompts of one expression on one key frame."""
    solid = [detection for detection in detections if not detection.is_empty]
    single = _apart(solid, settings.nms)
    size = (key.image.shape[0], key.image.shape[1])
    meant = masks_of(model, key.features, size, [Clicks.of_box(detection.box) for detection in single])
    prompts = [
        MaskPrompt(key.index, one.mask, Source.GROUNDING_DINO, detection.score, one.stability, expression_id)
        for detection, one in zip(single, meant, strict=True)
        if one.mask.any() and one.stability >= settings.stability
    ]
    counts.boxes += len(detections)
    counts.empty += len(detections) - len(solid)
    counts.doubled += len(solid) - len(single)
    counts.vague += len(single) - len(prompts)
    counts.prompts += len(prompts)
    if prompts:
        counts.found.add(expression_id)
    return prompts


def _apart(detections: Sequence[Detection], limit: float) -> list[Detection]:
    """Detections, best first, without those that overlap a better one by more than `limit`."""
    if not detections:
        return []
    boxes = torch.tensor([detection.box for detection in detections])
    scores = torch.tensor([detection.score for detection in detections])
    return [detections[i] for i in nms(boxes, scores, limit).tolist()]
