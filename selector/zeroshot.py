"""Which tracks an expression means without any training: looks beside words, and motion words beside boxes.

Knows looks (an image encoder's mean over crops of a track, in the space of its own text encoder), prompt templates, and
a small list of English words about motion, place and size. Does not know caches' insides, or answers. What it cannot
know stays plain: every expression is taken to have a target, and the tracks' probabilities add up to 1.
Axis letters: N tracks, T frames, C look width, K kinds of numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from cache import CacheFile
from core.candidates import candidates
from core.errors import ScorerMismatchError
from core.hashing import json_sha256
from core.text import TextEncoder
from core.types import Expression, TrackScores, TrackSet
from selector.inputs import VideoTracks, read_tracks
from selector.recipes import UNTRAINED
from selector.relations import sightings, speeds
from selector.scoring import Memory
from selector.settings import BOX_WIDTH

# A pattern, the number that it speaks of, and which way. The first of a group that is found speaks alone.
Rule = tuple[str, str, float]
_GOING = r"\b(mov|go|walk|run|drift|slid|travel|head|turn|fly|swim|driv)\w*\b[^,]*"
RULES: tuple[tuple[Rule, ...], ...] = (
    (
        (_GOING + r"\bleft", "way_x", -1), (_GOING + r"\bright", "way_x", 1),
        (r"\bleft", "place_x", -1), (r"\bright", "place_x", 1),
    ),
    (
        (_GOING + r"\b(up|upwards?)\b|\bris(es|ing)\b", "way_y", -1),
        (_GOING + r"\b(down|downwards?)\b|\bfall(s|ing)\b", "way_y", 1),
        (r"\b(top|upper)", "place_y", -1), (r"\b(bottom|lower)", "place_y", 1),
    ),
    (
        (r"\b(still|static|stationary|motionless|parked)\b|\b(not|never)\s+mov|\bstay", "speed", -1),
        (r"\bslow", "speed", -0.5), (r"\b(fast|quick)", "speed", 1), (r"\bmov(es|ing)\b", "speed", 1),
    ),
    ((r"\b(large|big|huge)", "area", 1), (r"\b(small|tiny|little)", "area", -1)),
    ((r"\b(grow|approach|com\w+ (closer|nearer))", "growth", 1), (r"\b(shrink|move\w* away|recede)", "growth", -1)),
    ((r"\b(enter|appear|com\w+ in)\w*", "first", 1), (r"\b(leav|disappear|vanish|exit)\w*", "last", -1)),
)  # fmt: skip


@dataclass(frozen=True)
class ZeroShotSettings:
    """templates: "{}" is the expression; their features are averaged.   scale: of a cosine, CLIP's own 100.

    motion: of one deviation among the competing tracks in a number that a word speaks of.
    """

    templates: tuple[str, ...] = ("{}", "a photo of {}", "a video of {}")
    scale: float = 100.0
    motion: float = 2.0


@dataclass(frozen=True)
class ZeroShotSelector:
    """Scores as `selector.scoring.Selector` does, of tracks with looks and the text encoder of the same model."""

    settings: ZeroShotSettings = field(default_factory=ZeroShotSettings)
    threshold: float = 0.5
    no_target_threshold: float = 1.0
    gate: float = 1.0

    @property
    def sha256(self) -> str:
        """The hash of what decides a score."""
        return json_sha256([UNTRAINED, asdict(self.settings), RULES])

    def limit(self, scores: TrackScores) -> float:
        """The threshold, whatever the scores."""
        return self.threshold

    def read(self, source: CacheFile | TrackSet) -> VideoTracks:
        """Looks and boxes of a video's tracks; ScorerMismatchError where they have no looks."""
        return read_tracks(source, geometry=BOX_WIDTH, looks=True)

    def check(self, tracks: VideoTracks, encoder: TextEncoder) -> None:
        """Refuse looks of another model than the text encoder's."""
        if tracks.look != encoder.sha256 and len(tracks.sources):
            raise ScorerMismatchError(
                f"video {tracks.video_id!r}: expected looks by the image tower of {encoder.name!r} "
                f"({encoder.sha256[:12]}), got looks of {tracks.look[:12] or 'nobody'}"
            )

    def score(
        self, source: CacheFile | TrackSet, expressions: Sequence[Expression], encoder: TextEncoder,
        competing: Sequence[NDArray[np.intp]] | None = None,
    ) -> list[TrackScores]:  # fmt: skip
        """As `Selector.score`."""
        return self.score_tracks(self.read(source), expressions, encoder, competing)

    def score_tracks(
        self, tracks: VideoTracks, expressions: Sequence[Expression], encoder: TextEncoder,
        competing: Sequence[NDArray[np.intp]] | None = None, memory: Memory | None = None,
    ) -> list[TrackScores]:  # fmt: skip
        """As `Selector.score_tracks`; nothing is read that would be worth keeping in `memory`."""
        self.check(tracks, encoder)
        if competing is None:
            competing = [candidates(tracks.sources, tracks.prompted_for, e.id, tracks.detected) for e in expressions]
        if not expressions or not tracks.sources:
            return [self._scores(tracks, e, np.zeros(0, dtype=np.intp), np.zeros(0)) for e in expressions]
        words = self.embed([e.text for e in expressions], encoder)
        values = tracks.values.astype(np.float32)
        start = values.shape[-1] - words.shape[1]
        looks, geometry = values[:, 0, start:], values[..., start - BOX_WIDTH : start]
        numbers = motion_numbers(geometry)
        scores = []
        for expression, able, word in zip(expressions, competing, words, strict=True):
            logits = self.settings.scale * looks[able].astype(np.float64) @ word
            logits += self.settings.motion * motion_evidence(expression.text, {k: v[able] for k, v in numbers.items()})
            scores.append(self._scores(tracks, expression, able, logits))
        return scores

    def embed(self, texts: Sequence[str], encoder: TextEncoder) -> NDArray[np.float64]:
        """Mean over the templates of each text's unit feature, itself of unit length, [B, C]."""
        total: torch.Tensor | float = 0.0
        for template in self.settings.templates:
            pooled = encoder.encode([template.format(text) for text in texts]).pooled.double()
            total = total + torch.nn.functional.normalize(pooled, dim=-1)
        unit = torch.nn.functional.normalize(torch.as_tensor(total), dim=-1)
        return np.asarray(unit.cpu().numpy())

    def _scores(
        self, tracks: VideoTracks, expression: Expression, able: NDArray[np.intp], logits: NDArray[np.float64]
    ) -> TrackScores:
        probability = np.zeros(len(tracks.sources))
        if len(able):
            share = np.exp(logits - logits.max())
            probability[able] = share / share.sum()
        return TrackScores(tracks.video_id, expression.id, probability, float(len(able) > 0), self.sha256, tracks.cache)


def motion_numbers(geometry: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Numbers of each track [N] from geometry [N, T, 8]: mean place, way, speed, area, growth, first and last sighting.

    Places and ways are in widths and heights of the frame, areas and growths logarithms, sightings frames.
    """
    there = geometry[..., 7]
    seen = np.maximum(there.sum(1), 1)
    first, last = (x[0].numpy().astype(np.int64) for x in sightings(torch.from_numpy(there)[None]))
    rows = np.arange(len(geometry))
    start, end = geometry[rows, first], geometry[rows, last]
    mean = (geometry * there[..., None]).sum(1) / seen[:, None]
    area = np.log(np.maximum(np.stack([mean[:, 4], start[:, 4], end[:, 4]]), 1e-6))
    numbers = {
        "place_x": mean[:, 0], "place_y": mean[:, 1],
        "way_x": end[:, 0] - start[:, 0], "way_y": end[:, 1] - start[:, 1],
        "speed": speeds(torch.from_numpy(geometry)[None])[0].numpy(), "area": area[0], "growth": area[2] - area[1],
        "first": first, "last": last,
    }  # fmt: skip
    return {name: np.asarray(values, dtype=np.float64) for name, values in numbers.items()}


def motion_evidence(text: str, numbers: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """What the words of motion, place and size in a text say of each track, [N], in deviations among the tracks."""
    total = np.zeros(len(next(iter(numbers.values()))))
    for group in RULES:
        spoken = next(((name, sign) for pattern, name, sign in group if re.search(pattern, text.lower())), None)
        if spoken is not None and len(total):
            values = numbers[spoken[0]]
            deviation = values.std()
            total += spoken[1] * (values - values.mean()) / (deviation if deviation > 1e-6 else 1.0)
    return total
