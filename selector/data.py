"""Tracks, labels and word states of a split, held flat on one device, and batches gathered from them in a few calls.

Knows caches, expressions and text encoders. Does not know models or losses. Nothing is padded in memory; a batch is
padded to its own largest member, and expressions of videos of like size share a batch.
Axis letters: B expressions, V videos, N tracks, T frames, D width of a track's numbers, L text tokens, C text width,
U distinct texts, R rows (one per track and frame), X all expressions.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cache import open_cache
from core.candidates import candidates
from core.errors import InputError, ScorerMismatchError
from core.reporting import Progress
from core.text import TextEncoder
from core.types import Expression, Labels, Source
from selector.inputs import VideoTracks, read_tracks
from selector.labels import best_overlap, positives

Example = tuple[Path, Sequence[Expression]]
"""A cache file with labels, and expressions about its video with annotated targets."""

TEXT_BATCH = 256


@dataclass(frozen=True)
class LabelledVideo:
    """What is learnt from one cache."""

    tracks: VideoTracks
    labels: Labels
    expressions: tuple[Expression, ...]


@dataclass(frozen=True)
class Batch:
    """B expressions about V videos: values [V, N, T, D] float32, words [B, L, C]; masks and labels bool.

    there [V, N], frame_mask [V, T]: the videos' tracks and frames.   video [B]: which of the V.
    track_mask [B, N]: who takes part.   labels [B, N].   text_mask [B, L].
    overlap [B, N] float32: each track's best mean IoU over the expression's objects, 0 without any.
    """

    values: Tensor
    there: Tensor
    frame_mask: Tensor
    video: Tensor
    words: Tensor
    track_mask: Tensor
    text_mask: Tensor
    labels: Tensor
    overlap: Tensor


@dataclass(frozen=True)
class SelectorData:
    """A split. Per video [V]: first row, tracks, frames. Per expression [X]: text, first track flag.

    flags: uint8 [sum of N over expressions], the bits COMPETES, TRUTH (a ground-truth track) and POSITIVE.
    overlap: float16, one beside each flag, as in `Batch`.
    `numbers` and `shape` hold each expression's video, and that one's tracks and frames, on the CPU, so that batching
    never waits for a device.
    """

    values: Tensor
    first_row: Tensor
    tracks: Tensor
    frames: Tensor
    text: Tensor
    first_flag: Tensor
    flags: Tensor
    overlap: Tensor
    words: Tensor
    word_mask: Tensor
    numbers: NDArray[np.int64]
    shape: NDArray[np.int64]
    word_count: NDArray[np.int64]
    tracker: str
    look: str
    items: tuple[tuple[LabelledVideo, int], ...]

    COMPETES, TRUTH, POSITIVE = 1, 2, 4

    def __len__(self) -> int:
        """X."""
        return len(self.shape)

    def batch(
        self, index: NDArray[np.int64], *, truth_share: float = 0.0, drop_share: float = 0.0, word_drop: float = 0.0
    ) -> Batch:
        """Gather expressions `index` [B]; only tracks that may compete take part.

        For training, `truth_share` of the expressions also see the ground-truth tracks, and each other track is left
        out with the chance `drop_share`; an expression that would be left without tracks sees all of them. Each word
        is left out with the chance `word_drop`, but for one that every expression keeps.
        """
        device = self.values.device
        which, place = np.unique(self.numbers[index], return_inverse=True)
        rows, videos, video = (torch.from_numpy(x).to(device) for x in (index, which, place))
        most_tracks, most_frames = (int(n) for n in self.shape[index].max(0))
        n, t = (torch.arange(size, device=device) for size in (most_tracks, most_frames))
        count, length = self.tracks[videos], self.frames[videos]
        there, frame_mask = n < count[:, None], t < length[:, None]
        row = self.first_row[videos][:, None, None] + n[:, None] * length[:, None, None] + t
        inside = there[:, :, None] & frame_mask[:, None]
        values = self.values[torch.where(inside, row, 0)].float() * inside[..., None]
        mine = there[video]
        place_of = torch.where(mine, self.first_flag[rows][:, None] + n, 0)
        flag = self.flags[place_of]
        truth = mine & (flag & self.TRUTH > 0)
        taking = mine & (flag & self.COMPETES > 0)
        if drop_share:
            taking &= torch.rand(taking.shape, device=device) >= drop_share
        if truth_share:
            taking |= truth & (torch.rand(len(rows), 1, device=device) < truth_share)
        taking = torch.where(taking.any(1, keepdim=True), taking, mine)
        longest = int(self.word_count[index].max())
        text = self.text[rows]
        text_mask = self.word_mask[text, :longest]
        if word_drop:
            text_mask = _with_fewer(text_mask, word_drop)
        return Batch(
            values=values,
            there=there,
            frame_mask=frame_mask,
            video=video,
            words=self.words[text, :longest],
            track_mask=taking,
            text_mask=text_mask,
            labels=mine & (flag & self.POSITIVE > 0),
            overlap=self.overlap[place_of].float() * mine,
        )

    def epoch(self, size: int, generator: np.random.Generator | None, together: int = 1) -> list[NDArray[np.int64]]:
        """All expressions once, in batches of like-sized videos; shuffled by the generator, in fixed order without.

        Up to `together` expressions of a batch are about one video, so that the batch reads few videos.
        """
        order = np.arange(len(self)) if generator is None else generator.permutation(len(self))
        groups = self._groups(order, together)
        work = np.array([self.shape[group[0]].prod() for group in groups])
        places = np.arange(len(groups)) if generator is None else generator.permutation(len(groups))
        pool = 32 * max(1, size // together)  # sizes are sorted within pools, so that batches stay random
        pools = [places[i : i + pool] for i in range(0, len(places), pool)]
        ordered = np.concatenate([groups[p] for part in pools for p in part[np.argsort(work[part], kind="stable")]])
        batches = [ordered[i : i + size] for i in range(0, len(ordered), size)]
        if generator is not None:
            generator.shuffle(batches)
        return batches

    def _groups(self, order: NDArray[np.int64], together: int) -> list[NDArray[np.int64]]:
        """The expressions `order` in groups of one video, at most `together` each; in order where that is 1."""
        if together == 1:
            return list(order[:, None])
        of_video = order[np.argsort(self.numbers[order], kind="stable")]
        starts = np.flatnonzero(np.diff(self.numbers[of_video], prepend=-1))
        parts = np.split(of_video, starts[1:])
        return [part[i : i + together] for part in parts for i in range(0, len(part), together)]

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation [D] of the values over all rows."""
        total = torch.zeros(self.values.shape[1], dtype=torch.float64, device=self.values.device)
        square = torch.zeros_like(total)
        for part in torch.split(self.values, 1 << 18):  # float64 of all rows at once would not fit
            total += part.double().sum(0)
            square += part.double().square().sum(0)
        mean = total / len(self.values)
        return mean.float(), (square / len(self.values) - mean.square()).clamp(min=0).sqrt().float()


def read_example(example: Example, *, geometry: bool, looks: bool = False) -> LabelledVideo:
    """Tracks and labels of one example; InputError where the cache has no labels."""
    path, expressions = example
    cache = open_cache(path)
    labels = cache.labels()
    if labels is None:
        raise InputError(f"{path}: expected a cache with labels to learn from, got one without")
    return LabelledVideo(read_tracks(cache, geometry=geometry, looks=looks), labels, tuple(expressions))


def read_examples(
    examples: Sequence[Example],
    *,
    geometry: bool,
    looks: bool = False,
    workers: int = 0,
    progress: Progress | None = None,
) -> list[LabelledVideo]:
    """Read many examples in order, by `workers` processes (0: in this one)."""
    job = partial(read_example, geometry=geometry, looks=looks)
    if workers == 0:
        return list(_counted(map(job, examples), len(examples), progress))
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        return list(_counted(pool.imap(job, examples, chunksize=16), len(examples), progress))


def build_data(
    videos: Sequence[LabelledVideo], encoder: TextEncoder, device: torch.device, positive_iou: float = 0.7
) -> SelectorData:
    """Put videos on the device; those without tracks or expressions are left out, since nothing is learnt from them.

    Raises:
        InputError: when nothing is left.
        ScorerMismatchError: when the caches come from different trackers, or their looks from different encoders.
    """
    videos = [v for v in videos if len(v.tracks.values) and v.expressions]
    if not videos:
        raise InputError("selector data: expected at least one cache with tracks and expressions, got none")
    trackers = {v.tracks.tracker for v in videos}
    if len(trackers) > 1:
        raise ScorerMismatchError(f"selector data: expected caches of one tracker, got {len(trackers)}: {trackers}")
    lookers = {v.tracks.look for v in videos}
    if len(lookers) > 1:
        raise ScorerMismatchError(f"selector data: expected looks of one encoder, got {len(lookers)}: {lookers}")
    items = [(video, i) for video in videos for i in range(len(video.expressions))]
    numbers = [v for v, video in enumerate(videos) for _ in video.expressions]
    sizes = np.array([v.tracks.values.shape[:2] for v in videos], dtype=np.int64)  # [V, 2]
    flags = [track_flags(video, i, positive_iou) for video, i in items]
    overlap = [best_overlap(video.labels, video.expressions[i]).astype(np.float16) for video, i in items]
    texts = {text: u for u, text in enumerate(dict.fromkeys(video.expressions[i].text for video, i in items))}
    words, word_mask = encode_texts(list(texts), encoder)
    text = np.array([texts[video.expressions[i].text] for video, i in items])
    starts = np.cumsum([0, *sizes.prod(1)])[:-1]
    flat = [v.tracks.values.reshape(-1, v.tracks.values.shape[-1]) for v in videos]

    def put(array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(device)

    return SelectorData(
        values=put(np.concatenate(flat)),
        first_row=put(starts),
        tracks=put(sizes[:, 0].copy()),
        frames=put(sizes[:, 1].copy()),
        text=put(text),
        first_flag=put(np.cumsum([0, *(len(f) for f in flags)])[:-1]),
        flags=put(np.concatenate(flags)),
        overlap=put(np.concatenate(overlap)),
        words=words.to(device),
        word_mask=word_mask.to(device),
        numbers=np.array(numbers, dtype=np.int64),
        shape=sizes[numbers],
        word_count=word_mask.sum(1).cpu().numpy()[text],
        tracker=trackers.pop(),
        look=lookers.pop(),
        items=tuple(items),
    )


def track_flags(video: LabelledVideo, index: int, positive_iou: float) -> NDArray[np.uint8]:
    """The bits of each track for expression `index` of the video, [N]."""
    expression, tracks = video.expressions[index], video.tracks
    flags = np.zeros(len(tracks.sources), dtype=np.uint8)
    flags[candidates(tracks.sources, tracks.prompted_for, expression.id, tracks.detected)] |= SelectorData.COMPETES
    flags[[source is Source.GROUND_TRUTH for source in tracks.sources]] |= SelectorData.TRUTH
    flags[positives(video.labels, expression, positive_iou)] |= SelectorData.POSITIVE
    return flags


def encode_texts(texts: Sequence[str], encoder: TextEncoder) -> tuple[Tensor, Tensor]:
    """Token states [U, L, C] and mask [U, L] of all texts, padded to the longest."""
    parts = [encoder.encode(texts[i : i + TEXT_BATCH]) for i in range(0, len(texts), TEXT_BATCH)]
    longest = max(part.mask.shape[1] for part in parts)
    words = [torch.nn.functional.pad(p.tokens, (0, 0, 0, longest - p.mask.shape[1])) for p in parts]
    masks = [torch.nn.functional.pad(p.mask, (0, longest - p.mask.shape[1])) for p in parts]
    return torch.cat(words), torch.cat(masks)


def without_ground_truth(video: LabelledVideo) -> LabelledVideo:
    """The video as evaluation sees it: ground-truth tracks removed from tracks and labels."""
    keep = np.array([source is not Source.GROUND_TRUTH for source in video.tracks.sources], dtype=bool)
    chosen = np.flatnonzero(keep)
    tracks = replace(
        video.tracks,
        values=video.tracks.values[keep],
        sources=tuple(video.tracks.sources[i] for i in chosen),
        prompted_for=tuple(video.tracks.prompted_for[i] for i in chosen),
    )
    return replace(video, tracks=tracks, labels=select_rows(video.labels, keep))


def select_rows(labels: Labels, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Labels:
    """The labels of some of the tracks."""
    return Labels(labels.object_ids, labels.iou[rows], labels.precision[rows], labels.recall[rows])


def _with_fewer(mask: Tensor, share: float) -> Tensor:
    """mask [B, L] with True left out by the chance `share`; each row keeps the one that chance spares longest."""
    chance = torch.rand(mask.shape, device=mask.device).masked_fill(~mask, -1.0)
    return mask & ((chance >= share) | (chance == chance.amax(1, keepdim=True)))


def _counted(items: Iterator[LabelledVideo], total: int, progress: Progress | None) -> Iterator[LabelledVideo]:
    for done, item in enumerate(items, start=1):
        if progress is not None:
            progress(done, total)
        yield item
