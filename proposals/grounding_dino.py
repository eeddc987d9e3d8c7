"""Detector prompts: GroundingDINO's boxes for every expression on key frames, each box made a mask by SAM2.

An object that several expressions find is tracked once, and each of them gets its own copy of the track. Knows boxes,
masks and which expression they are for. Does not know how boxes are found (`detector`) nor how objects are tracked.
What is left out on the way is counted, and the count is the caller's to report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base
from torchvision.ops import nms  # type: ignore[import-untyped]

from core import rle
from core.errors import InputError
from core.types import Expression, Prompt, Source, Track, VideoMeta
from core.validators import check_least, check_probability
from proposals.clicks import Clicks, masks_of
from proposals.overlap import iou_matrix
from proposals.prompts import KeyFrame, MaskPrompt, Prompter
from proposals.settings import key_frames

if TYPE_CHECKING:  # transformers' detectors take seconds to import, and most runs need none
    from proposals.detector import Detection, Detector

SHOWN_IOU = 0.5
"""Overlap from which a track shows an object that was found at the frame."""


@dataclass(frozen=True)
class DetectorSettings:
    """Boxes on key frames: every `bin_size` frames, or the first and the middle one for 0.

    box_threshold: of a box's best word.   text_threshold: of the words that a box is said to stand for; it changes no
    track.   nms: a box that overlaps a better one of its expression by more than this IoU is dropped (1: none).
    stability: masks below are dropped.   same_iou: masks of one frame that overlap by more are one object, whichever
    expressions found it.   max_tracks: of one expression, those of the best scores.
    The defaults are SOLA's, which has no nms and tracks every expression by itself.
    """

    bin_size: int = 4
    box_threshold: float = 0.2
    text_threshold: float = 0.25
    nms: float = 0.8
    stability: float = 0.85
    same_iou: float = 0.7
    max_tracks: int = 16

    def __post_init__(self) -> None:
        """Refuse negative counts and shares outside 0..1."""
        check_least("detector bin_size", self.bin_size, 0, "frames")
        check_least("detector max_tracks", self.max_tracks, 1)
        for name in ("box_threshold", "text_threshold", "nms", "stability", "same_iou"):
            check_probability(f"detector {name}", getattr(self, name))


@dataclass
class DetectionCounts:
    """What became of a run's boxes.

    expressions: asked.   texts_cut: of them over the detector's limit of tokens, which lost their last words.
    boxes: above the threshold, on all key frames.   empty: of them without area.   doubled: dropped by nms.
    vague: whose mask was empty or unstable.   masks: left.   lost: of those, whose object no kept track shows.
    over_limit: tracks beyond an expression's most.   without_track: expressions that got none.
    """

    expressions: int = 0
    texts_cut: int = 0
    boxes: int = 0
    empty: int = 0
    doubled: int = 0
    vague: int = 0
    masks: int = 0
    lost: int = 0
    over_limit: int = 0
    without_track: int = 0


class Detections:
    """A detector's work on one video: a prompter of its objects, then the tracks of each expression."""

    def __init__(
        self,
        model: SAM2Base,
        detector: Detector,
        video: VideoMeta,
        expressions: Sequence[Expression],
        settings: DetectorSettings,
    ) -> None:
        """Raises InputError for no expressions, or two with the same id."""
        check_expressions(video, expressions)
        self.counts = DetectionCounts(expressions=len(expressions))
        self._model, self._detector, self._video = model, detector, video
        self._expressions, self._settings = tuple(expressions), settings
        self._texts = detector.read([expression.text for expression in expressions])
        self.counts.texts_cut = sum(self._texts.cut)
        self._found: list[_Found] = []

    def prompter(self) -> Prompter:
        """One prompt an object of a key frame, of whichever expression has the best score for it; best first."""
        keys = key_frames(self._settings.bin_size, self._video.frames)
        most = self._settings.max_tracks * len(self._expressions)
        return Prompter(Source.GROUNDING_DINO, keys, self._find, limit=most)

    def tracks(self, tracked: Sequence[Track]) -> list[Track]:
        """The prompter's tracks -> each expression's own, in the order of expressions and then of scores.

        An expression gets every track that shows an object found for it (the best overlap at that frame, above
        SHOWN_IOU), under the frame and scores of the best such finding.
        """
        best: dict[tuple[str, int], _Found] = {}
        for frame in sorted({found.frame for found in self._found}):
            here = [found for found in self._found if found.frame == frame]
            overlap = iou_matrix(
                [found.mask for found in here], [track.masks[frame] for track in tracked], self._video.size
            )
            for found, row in zip(here, overlap, strict=True):
                index = int(row.argmax()) if len(row) else 0
                if not len(row) or row[index] <= SHOWN_IOU:
                    self.counts.lost += 1
                    continue
                place = (found.expression_id, index)
                if place not in best or found.score > best[place].score:
                    best[place] = found
        out: list[Track] = []
        for expression in self._expressions:
            mine = [(found, index) for (name, index), found in best.items() if name == expression.id]
            mine.sort(key=lambda pair: -pair[0].score)
            self.counts.over_limit += max(0, len(mine) - self._settings.max_tracks)
            self.counts.without_track += not mine
            for found, index in mine[: self._settings.max_tracks]:
                record = Prompt(found.frame, expression.id, found.score, found.stability)
                out.append(replace(tracked[index], prompt=record))
        return out

    def _find(self, key: KeyFrame) -> list[MaskPrompt]:
        settings = self._settings
        answers = self._detector.detect(key.image, self._texts, settings.box_threshold, settings.text_threshold)
        prompts: list[MaskPrompt] = []
        for expression, detections in zip(self._expressions, answers, strict=True):
            prompts += _prompts(self._model, key, expression.id, detections, settings, self.counts)
        if not prompts:
            return []
        masks = rle.encode(np.stack([prompt.mask for prompt in prompts]))
        self._found += [
            _Found(key.index, prompt.expression_id or "", mask, prompt.score, prompt.stability)
            for prompt, mask in zip(prompts, masks, strict=True)
        ]
        overlap = iou_matrix(masks, masks, self._video.size)
        kept: list[int] = []
        for i in sorted(range(len(prompts)), key=lambda i: -prompts[i].score):
            if not (overlap[i, kept] > settings.same_iou).any():
                kept.append(i)
        return [replace(prompts[i], expression_id=None) for i in kept]


@dataclass(frozen=True)
class _Found:
    """An object found for an expression: its mask as COCO run lengths, and its scores."""

    frame: int
    expression_id: str
    mask: bytes
    score: float
    stability: float


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
    counts.masks += len(prompts)
    return prompts


def _apart(detections: Sequence[Detection], limit: float) -> list[Detection]:
    """Detections, best first, without those that overlap a better one by more than `limit`."""
    if not detections:
        return []
    boxes = torch.tensor([detection.box for detection in detections], dtype=torch.float32)
    scores = torch.tensor([detection.score for detection in detections])
    return [detections[i] for i in nms(boxes, scores, limit).tolist()]
