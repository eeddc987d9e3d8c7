"""Which prompts become tracks, in which order: by time (one sweep forward, one backward) or by area (SOLA's).

Knows sources of prompts, sweeps and overlaps. Does not know what finds the prompts, settings files or caches.
A pool holds the tracks that compete: those of one source and, where detected for one, one expression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core import rle
from core.types import Track
from proposals.features import FeatureStore
from proposals.overlap import distinct, iou_matrix
from proposals.prompts import KeyFrame, MaskPrompt, Prompter, by_area
from proposals.propagation import Sweep, propagate
from proposals.tracker import Tracker

Pool = tuple[int, str | None]  # the number of the source, and the expression


@dataclass
class Work:
    """One video's work: what it runs on, the rules, and what it took so far.

    explained_iou, duplicate_iou, together: as in `ProposalSettings`.   on_progress: called with (done, total).
    """

    tracker: Tracker[Any]
    features: FeatureStore
    explained_iou: float
    duplicate_iou: float
    together: int
    on_progress: Callable[[int, int], None] | None = None
    steps: int = 0
    extra_passes: int = 0
    expected: int = 0  # steps, where the order does not report by frames: each prompt tracked alone, the most there are
    _done: int = field(default=0, repr=False)

    def find(self, source: Prompter, frame: int) -> list[MaskPrompt]:
        """A source's prompts of one of its key frames."""
        self.extra_passes += source.extra_passes
        return source.find(KeyFrame(frame, self.features.image(frame), self.features[frame]))

    def step(self) -> None:
        """Count a tracking step."""
        self.steps += 1
        if self.expected:
            self.report(self.steps, self.expected)

    def track(self, prompts: Sequence[MaskPrompt]) -> list[Track]:
        """Tracks of some prompts, both ways."""
        return propagate(self.tracker, self.features, prompts, self.step)

    def report(self, done: int, total: int) -> None:
        """Tell how far the work is; what was told never falls."""
        self._done = max(self._done, min(done, total))
        if self.on_progress is not None:
            self.on_progress(self._done, total)


def in_time_order(sources: Sequence[Prompter], work: Work) -> list[Track]:
    """One sweep forward in which a key frame's unexplained prompts become new tracks, then one backward.

    Tracks by source, then by pool, then by birth.
    """
    frames = work.features.frames
    pools: dict[int, Pool] = {}  # by the identity of a tracked prompt
    born: dict[Pool, int] = {}

    def births(t: int) -> list[MaskPrompt]:
        work.report(t, 2 * frames)
        chosen: list[MaskPrompt] = []
        for number, source in enumerate(sources):
            if t not in source.key_frames:
                continue
            prompts = work.find(source, t)
            masks = [(pools[id(p)], mask) for p, mask in sweep.masks(t)] if source.competing and prompts else []
            for expression in dict.fromkeys(prompt.expression_id for prompt in prompts):
                pool = (number, expression)
                opened = [prompt for prompt in prompts if prompt.expression_id == expression]
                known = [mask for owner, mask in masks if owner == pool]
                opened = unexplained(opened, known, work.features.size, work.explained_iou)
                if source.limit is not None:
                    opened = opened[: source.limit - born.get(pool, 0)]
                born[pool] = born.get(pool, 0) + len(opened)
                pools.update((id(prompt), pool) for prompt in opened)
                chosen += opened
        return chosen

    def on_frame() -> None:
        work.step()
        if sweep.reversed_at is not None:
            work.report(2 * frames - sweep.reversed_at, 2 * frames)

    sweep = Sweep(work.tracker, work.features, on_frame)
    sweep.forward(births, last=max((max(source.key_frames, default=0) for source in sources), default=0))
    sweep.backward()
    by_pool: dict[Pool, list[Track]] = {}
    for prompt, track in zip(sweep.prompts, sweep.tracks(), strict=True):
        by_pool.setdefault(pools[id(prompt)], []).append(track)
    work.report(2 * frames, 2 * frames)
    return _kept(sources, by_pool, work)


def in_area_order(sources: Sequence[Prompter], work: Work) -> list[Track]:
    """SOLA's order in each competing pool: the largest open prompt of all key frames first, with the next ones of its
    frame, tracked both ways; then every prompt that the new tracks explain is dropped.

    Objects do not see each other in a tracking step, so that all open prompts of a frame can be tracked at once and
    still be accepted a few at a time: the tracks are those that tracking a few at a time would give.
    """
    by_pool: dict[Pool, list[Track]] = {}
    found = [[prompt for frame in source.key_frames for prompt in work.find(source, frame)] for source in sources]
    work.expected = work.features.frames * max(1, sum(len(prompts) for prompts in found))
    for number, (source, prompts) in enumerate(zip(sources, found, strict=True)):
        for expression in dict.fromkeys(prompt.expression_id for prompt in prompts):
            mine = [prompt for prompt in prompts if prompt.expression_id == expression]
            if source.competing:
                by_pool[number, expression] = _largest_first(by_area(mine), source.limit, work)
            else:
                by_pool[number, expression] = work.track(mine)
    work.report(work.expected, work.expected)
    return _kept(sources, by_pool, work)


def _largest_first(prompts: Sequence[MaskPrompt], limit: int | None, work: Work) -> list[Track]:
    """The tracks of one pool; prompts by falling area."""
    waiting, tracks = list(prompts), list[Track]()
    ready: dict[int, Track] = {}  # tracked already, by the prompt's identity; not yet accepted
    most = len(prompts) if limit is None else limit
    while waiting and len(tracks) < most:
        same = [prompt for prompt in waiting if prompt.frame == waiting[0].frame]
        batch = same[: min(work.together, most - len(tracks))]
        if any(id(prompt) not in ready for prompt in batch):
            ahead = [prompt for prompt in same if id(prompt) not in ready]
            found = work.track(ahead)
            ready.update((id(prompt), track) for prompt, track in zip(ahead, found, strict=True))
        accepted = [ready.pop(id(prompt)) for prompt in batch]
        tracks += accepted
        chosen = {id(prompt) for prompt in batch}
        waiting = _still_open([p for p in waiting if id(p) not in chosen], accepted, work)
    return tracks


def _still_open(prompts: Sequence[MaskPrompt], tracks: Sequence[Track], work: Work) -> list[MaskPrompt]:
    """Prompts that none of some tracks explains at their frame, in order."""
    left: set[int] = set()
    for frame in {prompt.frame for prompt in prompts}:
        here = [prompt for prompt in prompts if prompt.frame == frame]
        known = [track.masks[frame] for track in tracks]
        left |= {id(prompt) for prompt in unexplained(here, known, work.features.size, work.explained_iou)}
    return [prompt for prompt in prompts if id(prompt) in left]


def _kept(sources: Sequence[Prompter], by_pool: dict[Pool, list[Track]], work: Work) -> list[Track]:
    """Tracks by source and pool, without duplicates where they compete."""
    kept: list[Track] = []
    for pool in sorted(by_pool, key=lambda pool: pool[0]):
        tracks = by_pool[pool]
        kept += distinct(tracks, work.duplicate_iou) if sources[pool[0]].competing else tracks
    return kept


def unexplained(
    prompts: Sequence[MaskPrompt], known: Sequence[bytes], size: rle.Size, limit: float
) -> list[MaskPrompt]:
    """Prompts that overlap none of the masks `known` at their frame by more than `limit` IoU, in order."""
    if not prompts or not known:
        return list(prompts)
    masks = rle.encode(np.stack([prompt.mask for prompt in prompts]))
    best = iou_matrix(masks, known, size).max(axis=1)
    return [prompt for prompt, value in zip(prompts, best, strict=True) if value <= limit]
