"""`ask`: a video and expressions in, answers out. The whole system behind one function.

Knows the pipelines. Does not know files of answers, overlays or pages.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cache import open_cache
from core.devices import pick_device
from core.errors import InputError, TrackSiftError
from core.images import ImageEncoder, load_image_encoder
from core.text import TextEncoder, load_text_encoder
from core.types import Answer, Expression, MomentScores, Source, TrackScores
from fusion.fuse import FusionSettings, describe, fuse
from proposals.any_tracker import load_tracker
from proposals.checkpoints import LoadedTracker
from proposals.generate import Progress
from proposals.grounding_dino import DetectorSettings
from proposals.settings import EXACT, GridSettings, ProposalSettings, Resources
from selector.checkpoints import load_selector
from selector.recipes import UNTRAINED
from selector.relational import RelationalSelector
from selector.scoring import Selector
from selector.zeroshot import ZeroShotSelector
from tracksift.generate import generate
from tracksift.jobs import video_job
from tracksift.models import MINIATURE, Models
from tracksift.sources import Extra, text_expressions

if TYPE_CHECKING:  # slow to import, and most runs need none
    from proposals.detector import Detector

MINIATURE_GRID = GridSettings(bin_size=12, points_per_side=16, pred_iou_thresh=0.5, stability_score_thresh=0.6)
"""A frame of the rendered world has a few objects of 28 pixels and more: a quarter of SAM2's points finds them, on
every twelfth, since what appears after the middle would be missed (selector/ABLATIONS.md). The
miniature's logits are softer than SAM2's, so that its masks are less stable under the same offset."""

MINIATURE_DETECTOR = DetectorSettings(bin_size=8, box_threshold=0.375, stability=0.6)
"""The miniature's detector is sure of more than the real one is (its record, where there is one, says of how much); its
tracker's masks are less stable, as above."""


_SHARED = ("tracker", "image_encoder", "text_encoder", "detector")
"""Models that do not depend on the selector."""


def default_cache() -> Path:
    """Where caches go when nobody says: `$XDG_CACHE_HOME/tracksift`, or `~/.cache/tracksift`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tracksift"


@dataclass(frozen=True)
class Pipeline:
    """Models by name, loaded when first needed and kept.

    compiled: for a tracker whose parts are compiled.   replayed: for one whose small batches are CUDA graphs on a GPU,
    as those of a compiled one are.   exact: for one that computes in the order of SAM2's own predictor, object by
    object and frame by frame, uncompiled.
    """

    models: Models = field(default_factory=Models)
    device: str = "auto"
    compiled: bool = False
    replayed: bool = False
    exact: bool = False

    @cached_property
    def tracker(self) -> LoadedTracker:
        """The tracker; CheckpointError when its weights cannot be used."""
        tracker = load_tracker(self.models.tracker_spec, self.device)
        chosen = EXACT if self.exact else Resources(compiled=self.compiled, replayed=self.compiled or self.replayed)
        return replace(tracker, resources=chosen)

    @cached_property
    def image_encoder(self) -> ImageEncoder | None:
        """The encoder of tracks' looks, None for trackers without; CheckpointError when its weights cannot be used."""
        spec = self.models.image_spec
        return None if spec is None else load_image_encoder(spec, pick_device(self.device))

    @cached_property
    def text_encoder(self) -> TextEncoder:
        """The text encoder; CheckpointError when its weights cannot be used."""
        return load_text_encoder(self.models.text_spec, pick_device(self.device))

    @cached_property
    def selector(self) -> Selector | ZeroShotSelector:
        """The selector; CheckpointError when its weights cannot be used."""
        if self.models.selector == UNTRAINED:
            return ZeroShotSelector()
        return load_selector(self.models.selector_path, pick_device(self.device))

    def with_selector(self, name: str) -> Pipeline:
        """The same pipeline with another selector; the other models are those that are loaded here already."""
        other = replace(self, models=replace(self.models, selector=name))
        vars(other).update({part: vars(self)[part] for part in _SHARED if part in vars(self)})
        return other

    @cached_property
    def detector(self) -> Detector:
        """The detector; CheckpointError when its weights cannot be used."""
        from proposals.detector import load_detector

        return load_detector(self.models.detector_spec, self.device)

    @property
    def detector_settings(self) -> DetectorSettings:
        """Default settings for the detector and the tracker, whose masks its stability judges."""
        settings = MINIATURE_DETECTOR if self.models.detector == MINIATURE else DetectorSettings()
        stable = MINIATURE_DETECTOR if self.models.has_small_tracker else DetectorSettings()
        threshold = self.models.detector_threshold
        return replace(
            settings,
            stability=stable.stability,
            box_threshold=settings.box_threshold if threshold is None else threshold,
        )

    def detecting(self, expressions: Sequence[Expression] | None = None) -> tuple[ProposalSettings, Extra]:
        """Default settings with the detector's prompts beside the grid's, and the detector that looks for
        `expressions` (None: for those of each job's annotations).
        """
        asked = None if expressions is None else tuple(expressions)
        settings = replace(self.proposals, sources=(*self.proposals.sources, Source.GROUNDING_DINO))
        return settings, Extra(self.detector, self.detector_settings, asked)

    @property
    def proposals(self) -> ProposalSettings:
        """Default proposal settings for the tracker."""
        return ProposalSettings(grid=MINIATURE_GRID if self.models.has_small_tracker else GridSettings())

    def fusion(self, scores: TrackScores) -> FusionSettings:
        """The thresholds that the selector was calibrated for, for the expression that the scores are of."""
        selector = self.selector
        return FusionSettings(selector.limit(scores), selector.no_target_threshold, gate=selector.gate)

    def answer(self, cache: Path, expressions: Sequence[Expression]) -> list[Answer]:
        """Answers from a cache file, one an expression, in order.

        Raises:
            CacheError: when the file cannot be used.
            ScorerMismatchError: when the selector was trained on another tracker, text encoder or encoder of looks.
        """
        file = open_cache(cache)
        track_set = file.track_set()
        facts = [describe(track) for track in track_set.tracks]
        scores = self.selector.score(file, expressions, self.text_encoder)
        return [
            fuse(track_set, score, expression, self.fusion(score), cache_sha256=file.content_sha256, facts=facts)
            for score, expression in zip(scores, expressions, strict=True)
        ]

    @property
    def tells_moments(self) -> bool:
        """Whether the selector has a head that says when an expression holds."""
        chosen = self.selector
        return (
            isinstance(chosen, Selector)
            and isinstance(chosen.model, RelationalSelector)
            and chosen.model.settings.moment_width > 0
        )

    def moments(self, cache: Path, expressions: Sequence[Expression]) -> list[MomentScores]:
        """What the selector's moment head says of a cache file, one an expression, in order; raises as `answer`.

        Raises:
            InputError: for a selector without that head.
        """
        if not isinstance(self.selector, Selector):
            raise InputError(f"selector {self.models.selector!r}: expected one with a moment head, got one without")
        return self.selector.moments(open_cache(cache), expressions, self.text_encoder)


def ask(
    video: str | Path,
    expressions: str | Sequence[str],
    *,
    models: Models | None = None,
    device: str = "auto",
    cache: Path | None = None,
    fps: float | None = None,
    detect: bool = False,
    on_progress: Progress | None = None,
) -> list[Answer]:
    """Which tracks, where in every frame, and when, for each expression about a video.

    The video is tracked once into `cache` (default: the user's cache folder); later questions are answered from it.

    Args:
        video: a video file, or a folder of JPEG or PNG frames (then `fps` is needed).
        expressions: one phrase or several.
        models: names of tracker, text encoder and selector; the miniature's by default.
        device: auto, cpu, cuda or cuda:N.
        cache: root of the cache files.
        fps: frames a second of a folder.
        detect: also look for the expressions with the detector, whose tracks then compete with those of the grid.
        on_progress: called with (done, total) frames while the video is tracked.

    Raises:
        TrackSiftError: one sentence about what was expected, what was found and where.
    """
    pipeline = Pipeline(models or Models(), device)
    texts = [expressions] if isinstance(expressions, str) else expressions
    phrases = text_expressions(texts) if detect else as_expressions(texts)
    settings, extra = pipeline.detecting(phrases) if detect else (pipeline.proposals, None)
    job = video_job(Path(video), cache or default_cache(), fps)
    (result,) = generate(
        [job],
        pipeline.tracker,
        settings,
        image_encoder=pipeline.image_encoder,
        extra=extra,
        keep_more=True,
        keep_settings=True,
        on_frames=on_progress,
    )
    if result.state == "failed":
        raise TrackSiftError(result.cause)
    return pipeline.answer(job.cache, phrases)


def as_expressions(texts: Sequence[str]) -> list[Expression]:
    """Phrases as expressions with ids "0", "1", ...; InputError for none or a blank one."""
    if not texts:
        raise InputError("expressions: expected at least one, got none")
    return [Expression(str(i), text) for i, text in enumerate(texts)]
