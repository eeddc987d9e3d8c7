"""Events as runs of frames in which a track fits the question: who, from when until when.

Span queries know no tracks, and mistake the start of one for that of another where several things happen at once;
tracks are told apart already. Knows probabilities and boxes. Does not know words. Axis letters: N tracks, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llm_grounder.matching import box_iou
from llm_grounder.types import Clip, Reply, Sample

# Chosen on the miniature's films of valid, where .2 to .3 and .6 to .7 were as good.
SURE, LIKELY = 0.65, 0.25  # a run has a frame as sure as the one, and goes on while frames are as likely as the other
PAUSE: Final = 4.0  # seconds, up to which a run is one that pauses
LEAST: Final = 2.0  # seconds of a run
SAME: Final = 0.5  # IoU of boxes of two tracks that follow one object
INSIDE: Final = 0.5  # of the shorter run's frames that lie in the longer one


@dataclass(frozen=True)
class Run:
    """A track from frame `first` to before frame `stop`, how well it fits on average, and its seconds."""

    track: int
    first: int
    stop: int
    score: float
    start: float
    end: float


def runs_of(clip: Clip, fits: NDArray[np.float64]) -> list[Run]:
    """The runs of a clip's tracks by time, of each object once.

    fits: [N, T] in 0..1, 0 where a track is absent.
    """
    edges = np.append(clip.times, clip.end)
    found = []
    for n, chances in enumerate(fits):
        for first, stop in _joined(chances >= LIKELY, edges):
            sure, long = chances[first:stop].max() >= SURE, edges[stop] - edges[first] >= LEAST
            if sure and long:
                score = float(chances[first:stop].mean())
                found.append(Run(n, first, stop, score, float(edges[first]), float(edges[stop])))
    return sorted(_once(found, clip), key=lambda run: (run.start, run.end, run.track))


def found_in(sample: Sample, reply: Reply) -> list[Run]:
    """The runs of a sample's tracks that the heads' reply tells of; [] where it knows no tracks."""
    return [] if reply.fits is None else runs_of(sample.clip, reply.fits)


def _joined(on: NDArray[np.bool_], edges: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Runs of true frames, joined over short pauses."""
    steps = np.diff(np.concatenate([[0], on, [0]]).astype(np.int64))
    out: list[tuple[int, int]] = []
    for first, stop in zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True):
        if out and edges[first] - edges[out[-1][1]] <= PAUSE:
            out[-1] = (out[-1][0], stop)
        else:
            out.append((first, stop))
    return out


def _once(runs: Sequence[Run], clip: Clip) -> list[Run]:
    """Without those of a second track of an object, whose times the first takes over."""
    kept: list[Run] = []
    boxes = clip.track_boxes.float().cpu()
    for run in sorted(runs, key=lambda run: run.first - run.stop):
        for k, other in enumerate(kept):
            first, stop = max(run.first, other.first), min(run.stop, other.stop)
            if run.track == other.track or stop - first < INSIDE * (run.stop - run.first):
                continue
            overlap = box_iou(boxes[run.track, first:stop], boxes[other.track, first:stop])
            if float(overlap.mean()) >= SAME:
                kept[k] = replace(
                    other, first=min(run.first, other.first), stop=max(run.stop, other.stop),
                    start=min(run.start, other.start), end=max(run.end, other.end),
                )  # fmt: skip
                break
        else:
            kept.append(run)
    return kept
