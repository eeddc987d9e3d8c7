"""Two caches of one video, track by track: which tracks are the same, and how much masks and tokens differ.

Each track of A is paired with at most one of B so that the sum of their mask IoUs is the largest (Hungarian method).
IoU is the mean over frames, 1 where both are empty. Knows caches and the metric. Does not know command lines.
N, M tracks of A and B, T frames, D token width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmarks.metrics.track_labels import track_labels
from cache import CacheFile, find_caches, open_cache
from core.errors import InputError


@dataclass(frozen=True)
class PairedTrack:
    """Track `a` of A and its pair `b` in B, None where nothing is left for it.

    iou: mean mask IoU.   cosine: mean over frames of the tokens' cosine, None where their widths differ.
    """

    a: int
    b: int | None
    iou: float
    cosine: float | None


@dataclass(frozen=True)
class Comparison:
    """Two files. equal: their content hashes are.  left_over: tracks of B without a pair.  changed: provenance keys."""

    video_id: str
    equal: bool
    pairs: tuple[PairedTrack, ...]
    left_over: tuple[int, ...]
    changed: tuple[str, ...]

    @property
    def mean_iou(self) -> float | None:
        """Over all tracks of A, 0 for those without a pair; None for none."""
        return float(np.mean([pair.iou for pair in self.pairs])) if self.pairs else None

    @property
    def least_cosine(self) -> float | None:
        """The least of the pairs, None where there is none."""
        return min((pair.cosine for pair in self.pairs if pair.cosine is not None), default=None)


def compare_caches(a: Path, b: Path) -> Comparison:
    """Compare two cache files of one video.

    Raises:
        InputError: for videos of other sizes or numbers of frames.
        CacheError: for a file that cannot be used.
    """
    first, second = open_cache(a), open_cache(b)
    for name, one, two in (
        ("frames", first.video.frames, second.video.frames),
        ("size (height, width)", first.video.size, second.video.size),
    ):
        if one != two:
            raise InputError(f"{b}: expected {name} {one} as in {a}, got {two}")
    keys = sorted(set(first.provenance) | set(second.provenance))
    changed = tuple(key for key in keys if first.provenance.get(key) != second.provenance.get(key))
    pairs = _pairs(first, second)
    left_over = sorted(set(range(len(second))) - {pair.b for pair in pairs})
    return Comparison(
        first.video.id, first.content_sha256 == second.content_sha256, pairs, tuple(left_over), changed
    )  # fmt: skip


def matched_files(a: Path, b: Path) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """The pairs of cache files of two roots (or two files) by their place below them, and the files of one alone."""
    if a.is_file() and b.is_file():
        return [(a, b)], []
    places = [{path.relative_to(root): path for path in find_caches(root)} for root in (a, b)]
    pairs = [(places[0][place], places[1][place]) for place in places[0] if place in places[1]]
    alone = [path for place in set(places[0]) ^ set(places[1]) for path in [(places[0] | places[1])[place]]]
    if not pairs:
        raise InputError(f"{b}: expected a cache file where {a} has one, got none")
    return pairs, sorted(alone)


def _pairs(a: CacheFile, b: CacheFile) -> tuple[PairedTrack, ...]:
    if not len(a):
        return ()
    iou = _overlap(a, b)
    best: dict[int, int] = dict(zip(*(axis.tolist() for axis in linear_sum_assignment(-iou)), strict=True))
    tokens = (a.tokens(), b.tokens())
    comparable = tokens[0].shape[2] == tokens[1].shape[2]
    pairs = []
    for n in range(len(a)):
        m = best.get(n)
        cosine = _cosine(tokens[0][n], tokens[1][m]) if m is not None and comparable else None
        pairs.append(PairedTrack(n, m, 0.0 if m is None else float(iou[n, m]), cosine))
    return tuple(pairs)


def _overlap(a: CacheFile, b: CacheFile) -> NDArray[np.float32]:
    """Mean mask IoU [N, M]."""
    objects = {str(m): masks for m, masks in enumerate(b.masks())}
    return track_labels(a.masks(), objects, a.video.size).iou


def _cosine(a: NDArray[np.float16], b: NDArray[np.float16]) -> float:
    """Mean over frames of the cosine of tokens [T, D]; two tokens of length 0 are equal."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    length = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    same = (x == y).all(axis=1)
    return float(np.where(same, 1.0, (x * y).sum(axis=1) / np.where(length == 0, 1.0, length)).mean())
