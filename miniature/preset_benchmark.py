"""What orders and presets give and take on rendered clips: oracle J&F, tracks, duplicates, seconds.

Knows clips, settings and the oracle. Does not know command lines. Clips are those of the split `valid`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.metrics.oracle import Oracle
from core import rle
from core.frames import ArrayReader
from core.reporting import Progress
from core.types import TrackSet
from miniature.splits import find_split
from miniature.world import Clip, make_clip
from proposals.generate import propose_with_effort
from proposals.overlap import distinct
from proposals.presets import with_preset
from proposals.settings import ProposalSettings
from tracksift.ask import Pipeline

LEAST_VISIBLE = 40  # pixels: objects that never show more are not looked for
SAME = 0.7  # mean IoU over which of two tracks one is a duplicate
Figures = dict[str, float | int]


@dataclass
class Tally:
    """Sums over clips."""

    j_and_f: list[float] = field(default_factory=list)
    tracks: list[int] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    def figures(self, name: str) -> Figures:
        """Means: J&F over objects, the rest over clips."""
        return {f"{name}_{key}": float(np.mean(values)) for key, values in vars(self).items()}


def choices(settings: ProposalSettings) -> Mapping[str, ProposalSettings]:
    """What is compared, by name: both orders with prompts every eighth frame, and the presets."""
    often = replace(settings, grid=replace(settings.grid, bin_size=8))
    orders = {"time_every_8": often, "area_every_8": replace(often, order="area")}
    return orders | {name: with_preset(settings, name) for name in ("fast", "balanced", "faithful")}


def time_presets(pipeline: Pipeline, frames: int, repeats: int, progress: Progress) -> Figures:
    """Each choice on the first `repeats` clips of `valid`; seconds without loading models."""
    named = choices(pipeline.proposals)
    tallies = {name: Tally() for name in named}
    for number in range(repeats):
        clip = make_clip(find_split("valid").first_seed + number, frames=frames)
        reader = ArrayReader(clip.frames, video_id=str(clip.seed), fps=clip.fps)
        for name, settings in named.items():
            start = time.perf_counter()
            made, effort = propose_with_effort(reader, pipeline.tracker, settings)
            tallies[name].seconds.append(time.perf_counter() - start)
            tallies[name].steps.append(effort.track_steps)
            _count(tallies[name], made, clip)
        progress(number + 1, repeats)
    return {key: value for name, tally in tallies.items() for key, value in tally.figures(name).items()}


def _count(tally: Tally, made: TrackSet, clip: Clip) -> None:
    """What one clip's tracks are worth to whoever selects best."""
    oracle = Oracle([track.masks for track in made.tracks], made.video.size)
    for masks in clip.masks:
        if masks.sum(axis=(1, 2)).max() >= LEAST_VISIBLE:
            score = oracle.score(rle.encode(masks), no_target=False)
            tally.j_and_f.append((score.j + score.f) / 2)
    tally.tracks.append(len(made.tracks))
    tally.duplicates.append(len(made.tracks) - len(distinct(made.tracks, SAME)))
