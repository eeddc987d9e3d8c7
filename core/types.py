"""The shared types: frozen dataclasses of arrays, checked when made.

Knows shapes, units and ranges (`core` has the axis letters). Does not know who makes or stores them.
Times are seconds; spans are half-open [start of the first frame, start of the frame after the last); frames count
from 0; boxes are x1, y1, x2, y2 in pixels with x2, y2 exclusive and NaN where absent; present = object score > 0
and area > 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import rle
from core.errors import InputError
from core.validators import (
    check_array,
    check_boxes,
    check_finite,
    check_probability,
    check_rising,
    check_text,
    check_unit_or_zero,
)


class Source(StrEnum):
    """Where a track's prompt came from."""

    GRID = "grid"
    GROUNDING_DINO = "grounding_dino"
    GROUND_TRUTH = "ground_truth"
    USER = "user"
    IMPORTED = "imported"


@dataclass(frozen=True)
class TimeSpan:
    """A half-open time [start, end) in seconds with an optional score in 0..1."""

    start: float
    end: float
    score: float | None = None

    def __post_init__(self) -> None:
        """Refuse inverted, negative or non-finite spans."""
        if not (np.isfinite(self.start) and np.isfinite(self.end) and 0 <= self.start < self.end):
            raise InputError(f"span: expected 0 <= start < end in seconds, got {self.start}..{self.end}")
        if self.score is not None:
            check_probability("span score", self.score)


@dataclass(frozen=True)
class Expression:
    """A phrase about one video, with ground truth where known.

    `target_ids` is None where unknown and () for a no-target expression; `spans` is None where unknown or where the
    words name no moment. `kind` is a benchmark's own category ("attribute", "motion", ...), or "".
    """

    id: str
    text: str
    target_ids: tuple[str, ...] | None = None
    spans: tuple[TimeSpan, ...] | None = None
    kind: str = ""

    def __post_init__(self) -> None:
        """Refuse blank texts and ids."""
        check_text("expression id", self.id)
        check_text(f"expression {self.id!r}", self.text)


@dataclass(frozen=True)
class VideoMeta:
    """A video's identity: size (H, W), start time of each frame [T] float64 seconds, fingerprint of the source bytes.

    `end` is the time at which the last frame stops being shown.
    """

    id: str
    source: str
    size: tuple[int, int]
    timestamps: NDArray[np.float64]
    end: float
    fingerprint: str

    def __post_init__(self) -> None:
        """Refuse empty videos and times that do not rise."""
        check_text("video id", self.id)
        check_array(f"video {self.id!r}: timestamps", self.timestamps, [None], "f")
        if len(self.timestamps) == 0 or min(self.size) < 1:
            raise InputError(f"video {self.id!r}: expected at least one frame of at least one pixel, got none")
        edges = np.append(self.timestamps, self.end)
        check_finite(f"video {self.id!r}: timestamps", edges)
        check_rising(f"video {self.id!r}: timestamps", edges)

    @property
    def frames(self) -> int:
        """T."""
        return len(self.timestamps)

    def spans(self, present: NDArray[np.bool_]) -> tuple[TimeSpan, ...]:
        """The time spans of the runs of True in `present` [T]."""
        check_array("present", present, [self.frames], "b")
        edges = np.append(self.timestamps, self.end)
        steps = np.flatnonzero(np.diff(np.concatenate([[False], present, [False]]).astype(np.int8)))
        return tuple(TimeSpan(float(edges[a]), float(edges[b])) for a, b in steps.reshape(-1, 2))


@dataclass(frozen=True)
class Prompt:
    """What a track started from: key frame, expression it was detected for (or None), scores in 0..1."""

    frame: int
    expression_id: str | None = None
    score: float = 1.0
    stability: float = 1.0

    def __post_init__(self) -> None:
        """Refuse negative frames and scores outside 0..1."""
        if self.frame < 0:
            raise InputError(f"prompt: expected a frame index from 0, got {self.frame}")
        check_probability("prompt score", self.score)
        check_probability("prompt stability", self.stability)


@dataclass(frozen=True)
class Track:
    """One masklet with its object tokens.

    masks: T COCO run-length masks of the video's size; an empty mask where absent.
    boxes: [T, 4] float32, NaN where absent.   tokens: [T, D] float16, the tracker's object pointers.
    object_score: [T] float32 logits, > 0 present.   predicted_iou: [T] float32 in 0..1, the tracker's own estimate.
    look: [C] float16 of unit length, an image encoder's mean over crops of the track; zeros where it is never present,
    None where no encoder looked.
    """

    source: Source
    prompt: Prompt
    size: tuple[int, int]
    masks: tuple[bytes, ...]
    boxes: NDArray[np.float32]
    tokens: NDArray[np.float16]
    object_score: NDArray[np.float32]
    predicted_iou: NDArray[np.float32]
    look: NDArray[np.float16] | None = None

    def __post_init__(self) -> None:
        """Refuse arrays of other lengths, kinds or ranges."""
        frames = len(self.masks)
        check_array("track boxes", self.boxes, [frames, 4], "f")
        check_array("track tokens", self.tokens, [frames, None], "f")
        check_array("track object score", self.object_score, [frames], "f")
        check_array("track predicted IoU", self.predicted_iou, [frames], "f")
        check_boxes("track boxes", self.boxes)
        check_finite("track tokens", self.tokens)
        check_finite("track object score", self.object_score)
        check_probability("track predicted IoU", self.predicted_iou)
        if self.prompt.frame >= frames:
            raise InputError(f"track: expected a prompt frame below {frames}, got {self.prompt.frame}")
        if self.look is not None:
            check_array("track look", self.look, [None], "f")
            check_unit_or_zero("track look", self.look)

    @property
    def present(self) -> NDArray[np.bool_]:
        """[T] bool: object score > 0 and a mask that is not empty."""
        return (self.object_score > 0) & ~np.isnan(self.boxes[:, 0])

    def decode(self) -> NDArray[np.bool_]:
        """Masks [T, H, W] bool."""
        return rle.decode(self.masks, self.size)


@dataclass(frozen=True)
class TrackSet:
    """A video's tracks and where they came from; all tracks have a look of one width, or none has.

    provenance: JSON-able facts (models, checkpoint hashes, settings, code version); `tracker_sha256` names the weights,
    and `look_sha256` the image encoder of the looks.
    """

    video: VideoMeta
    tracks: tuple[Track, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse tracks of another length or size than the video, and looks of some tracks only."""
        widths = {None if track.look is None else len(track.look) for track in self.tracks}
        if len(widths) > 1:
            raise InputError(
                f"video {self.video.id!r}: expected looks of one width for all tracks or none, got widths {widths}"
            )
        for i, track in enumerate(self.tracks):
            if len(track.masks) != self.video.frames or track.size != self.video.size:
                raise InputError(
                    f"video {self.video.id!r}, track {i}: expected {self.video.frames} frames of {self.video.size}, "
                    f"got {len(track.masks)} of {track.size}"
                )

    def tokens(self) -> NDArray[np.float16]:
        """Object tokens of all tracks, [N, T, D]; [0, T, 0] for none."""
        if not self.tracks:
            return np.zeros((0, self.video.frames, 0), dtype=np.float16)
        return np.stack([t.tokens for t in self.tracks])

    def looks(self) -> NDArray[np.float16] | None:
        """Looks of all tracks, [N, C]; None where there are none."""
        looks = [t.look for t in self.tracks if t.look is not None]
        return np.stack(looks) if looks else None


@dataclass(frozen=True)
class TrackScores:
    """A scorer's word on one expression: probability of each track [N], and that any target is there at all.

    `scorer` and `cache` are content hashes, so that a score is never fused with tracks it was not made for.
    """

    video_id: str
    expression_id: str
    probability: NDArray[np.float64]
    presence: float
    scorer: str
    cache: str

    def __post_init__(self) -> None:
        """Refuse values outside 0..1."""
        check_array("track scores", self.probability, [None], "f")
        check_probability("track scores", self.probability)
        check_probability("presence probability", self.presence)


@dataclass(frozen=True)
class MomentScores:
    """A grounder's word on one expression: relevance of each sampled frame [T'], spans with scores, generated text.

    `scorer` and `cache` are content hashes as in TrackScores, "" where there is none.
    """

    video_id: str
    expression_id: str
    times: NDArray[np.float64]
    relevance: NDArray[np.float64]
    spans: tuple[TimeSpan, ...]
    text: str = ""
    scorer: str = ""
    cache: str = ""

    def __post_init__(self) -> None:
        """Refuse values outside 0..1 and times that do not match."""
        check_array("moment times", self.times, [None], "f")
        check_array("moment relevance", self.relevance, [len(self.times)], "f")
        check_probability("moment relevance", self.relevance)


@dataclass(frozen=True)
class BoxScores:
    """A grounder's boxes for one expression on some frames: indices [K] rising, boxes [K, 4] (NaN where it saw none),
    and a probability of each [K].

    `scorer` and `cache` are content hashes as in TrackScores, "" where there is none.
    """

    video_id: str
    expression_id: str
    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    probability: NDArray[np.float64]
    scorer: str = ""
    cache: str = ""

    def __post_init__(self) -> None:
        """Refuse arrays of other lengths, values outside 0..1, boxes that are none, and frames that do not rise."""
        check_array("box frames", self.frames, [None], "i")
        check_array("boxes", self.boxes, [len(self.frames), 4], "f")
        check_array("box scores", self.probability, [len(self.frames)], "f")
        check_boxes("boxes", self.boxes)
        check_probability("box scores", self.probability)
        check_rising("box frames", self.frames.astype(np.float64))
        if len(self.frames) and self.frames[0] < 0:
            raise InputError(f"box frames: expected indices from 0, got {self.frames[0]}")


@dataclass(frozen=True)
class SelectedTrack:
    """One selected track of an answer: its index in the cache, score, masks, boxes [T, 4] and presence spans."""

    index: int
    score: float
    masks: tuple[bytes, ...]
    boxes: NDArray[np.float32]
    presence: tuple[TimeSpan, ...]


@dataclass(frozen=True)
class Answer:
    """Which tracks, where in every frame, and when; or that there is no target.

    masks: the union of the selected tracks, T COCO masks.   moments: spans that the words name, apart from presence.
    no_target_probability: that nothing in the video is meant.   why: the ranking of all tracks, for people.
    """

    video: VideoMeta
    expression: Expression
    tracks: tuple[SelectedTrack, ...]
    masks: tuple[bytes, ...]
    moments: tuple[TimeSpan, ...]
    no_target: bool
    no_target_probability: float
    why: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Refuse a no-target answer that selects tracks, and masks of another length."""
        check_probability("no-target probability", self.no_target_probability)
        if self.no_target == bool(self.tracks):
            raise InputError(
                f"answer: expected no_target to mean no tracks, got {self.no_target} and {len(self.tracks)}"
            )
        if len(self.masks) != self.video.frames:
            raise InputError(f"answer: expected {self.video.frames} masks, got {len(self.masks)}")


@dataclass(frozen=True)
class Labels:
    """How well each track covers each ground-truth object: means over all frames, [N, O] float32 in 0..1."""

    object_ids: tuple[str, ...]
    iou: NDArray[np.float32]
    precision: NDArray[np.float32]
    recall: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Refuse other shapes, values outside 0..1 and repeated ids."""
        if len(set(self.object_ids)) != len(self.object_ids):
            raise InputError(f"labels: expected distinct object ids, got {list(self.object_ids)}")
        for name in ("iou", "precision", "recall"):
            values = getattr(self, name)
            check_array(f"labels {name}", values, [len(self.iou), len(self.object_ids)], "f")
            check_probability(f"labels {name}", values)
