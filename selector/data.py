"""Tracks, labels and word states of a split on one device, and batches gathered from them in a few calls.

Knows expressions and text encoders. Does not know caches, models or losses, nor where the tracks' numbers lie (`rows`).
Nothing is padded in memory; a batch is padded to its own largest member, and expressions of videos of like size share
a batch.
Axis letters: B expressions, V videos, G cells of a row, N tracks, T frames, D width of a track's numbers, L text
tokens, C text width, U distinct texts, R rows (one per track and frame), X all expressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.candidates import candidates
from core.errors import InputError, ScorerMismatchError
from core.text import TextEncoder
from core.types import Source
from selector.grid import FRAMES, POOL, TRACKS, alike, arrange, put
from selector.labelled import LabelledVideo
from selector.labels import best_overlap, positives
from selector.mirror import mirrored_text
from selector.moments import UNKNOWN, frame_labels
from selector.rows import Rows, StreamedRows, hold

TEXT_BATCH = 256


@dataclass(frozen=True)
class Batch:
    """B expressions about V videos in a grid of V rows of G: values [V, N, T, D] float32; masks and labels bool.

    there [V, N], frame_mask [V, T]: the videos' tracks and frames.   cells [B]: where in V * G each expression lies.
    For every cell, those that only fill a row included: words [V, G, L, C], text_mask [V, G, L], and who takes part,
    grid_mask [V, G, N]. For each expression: track_mask [B, N], the same; labels [B, N];
    overlap [B, N] float32: each track's best mean IoU over the expression's objects, 0 without any.
    held [B, T] int8: whether the expression holds at a frame, -1 where unknown.
    mirrored [V]: of which videos the words are those of a mirror image, whose values are still to be mirrored.
    """

    values: Tensor
    there: Tensor
    frame_mask: Tensor
    cells: Tensor
    words: Tensor
    text_mask: Tensor
    grid_mask: Tensor
    track_mask: Tensor
    labels: Tensor
    overlap: Tensor
    held: Tensor
    mirrored: Tensor


@dataclass(frozen=True)
class SelectorData:
    """A split. rows: the videos' numbers. Per video [V]: tracks, frames. Per expression [X]: text, mirrored text, first
    track flag.

    flags: uint8 [sum of N over expressions], the bits COMPETES, TRUTH (a ground-truth track) and POSITIVE.
    overlap: float16, one beside each flag, as in `Batch`.   held: [X, T] as in `Batch`, T of the longest video.
    `numbers` and `shape` hold each expression's video, and that one's tracks and frames, on the CPU, so that batching
    never waits for a device.   widths: D, G and C of `TrackValues`.   caches: content hashes [V].   items: [X], what
    scoring needs beside; training does not.
    """

    rows: Rows
    tracks: Tensor
    frames: Tensor
    text: Tensor
    mirrored_text: Tensor
    first_flag: Tensor
    flags: Tensor
    overlap: Tensor
    held: Tensor
    words: Tensor
    word_mask: Tensor
    numbers: NDArray[np.int64]
    shape: NDArray[np.int64]
    word_count: NDArray[np.int64]
    widths: tuple[int, int, int]
    tracker: str
    look: str
    caches: tuple[str, ...]
    items: tuple[tuple[LabelledVideo, int], ...]

    COMPETES, TRUTH, POSITIVE = 1, 2, 4

    def __len__(self) -> int:
        """X."""
        return len(self.shape)

    def values(self, index: NDArray[np.int64], length: int = 0) -> Tensor:
        """The numbers [V, N, T, D] float32 of the rows of expressions `index` [B]: what `batch` reads most of."""
        return self.rows.gather(arrange(self.numbers[index], length).videos, *self._sizes(index, length)[:2])

    def _sizes(self, index: NDArray[np.int64], length: int) -> tuple[int, int, int]:
        """N, T and L of a batch of expressions `index`: of its largest; of few shapes, rounded up, and L of all."""
        tracks, frames = (int(n) for n in self.shape[index].max(0))
        if not length:
            return tracks, frames, int(self.word_count[index].max())
        return tracks + -tracks % TRACKS, frames + -frames % FRAMES, int(self.word_count.max())

    def batch(
        self, index: NDArray[np.int64], values: Tensor | None = None, *, truth_share: float = 0.0,
        drop_share: float = 0.0, word_drop: float = 0.0, mirror_share: float = 0.0, length: int = 0,
    ) -> Batch:  # fmt: skip
        """Gather expressions `index` [B]; only tracks that may compete take part.

        values: those of `index`, where they were gathered ahead.
        For training, `truth_share` of the expressions also see the ground-truth tracks, and each other track is left
        out with the chance `drop_share`; an expression that would be left without tracks sees all of them. Each word
        is left out with the chance `word_drop`, but for one that every expression keeps. Each video is to be mirrored,
        and its words are, with the chance `mirror_share`.
        length: cells of a row, for batches of few shapes, which are padded more.
        """
        device, grid = self.rows.device, arrange(self.numbers[index], length)
        ends = np.cumsum([grid.videos.size, grid.members.size])
        numbers = put(np.concatenate([grid.videos, index[grid.members.ravel()], grid.cells]), device)  # one copy
        videos, rows, cells = torch.tensor_split(numbers, ends.tolist())
        most_tracks, most_frames, longest = self._sizes(index, length)
        n, t = (torch.arange(size, device=device) for size in (most_tracks, most_frames))
        there, frame_mask = n < self.tracks[videos][:, None], t < self.frames[videos][:, None]
        mine = there.repeat_interleave(grid.members.shape[1], 0, output_size=grid.members.size)  # [V*G, N]
        place_of = torch.where(mine, self.first_flag[rows][:, None] + n, 0)
        flag = self.flags[place_of]
        taking = mine & (flag & self.COMPETES > 0)
        if drop_share:
            taking &= torch.rand(taking.shape, device=device) >= drop_share
        if truth_share:
            truth = mine & (flag & self.TRUTH > 0)
            taking |= truth & (torch.rand(len(rows), 1, device=device) < truth_share)
        taking = torch.where(taking.any(1, keepdim=True), taking, mine)
        mirrored = torch.rand(len(videos), device=device) < mirror_share
        flipped = mirrored.repeat_interleave(grid.members.shape[1], 0, output_size=grid.members.size)
        text = torch.where(flipped, self.mirrored_text[rows], self.text[rows])
        text_mask = self.word_mask[text, :longest]
        if word_drop:
            text_mask = _with_fewer(text_mask, word_drop)
        words, text_mask, grid_mask = (
            torch.unflatten(x, 0, grid.members.shape) for x in (self.words[text, :longest], text_mask, taking)
        )
        return Batch(
            values=self.values(index, length) if values is None else values,
            there=there,
            frame_mask=frame_mask,
            cells=cells,
            words=words,
            text_mask=text_mask,
            grid_mask=grid_mask,
            track_mask=taking[cells],
            labels=(mine & (flag & self.POSITIVE > 0))[cells],
            overlap=(self.overlap[place_of].float() * mine)[cells],
            held=_wide(self.held[rows[cells], :most_frames], most_frames),
            mirrored=mirrored,
        )

    def epoch(self, size: int, generator: np.random.Generator | None, together: int = 1) -> list[NDArray[np.int64]]:
        """All expressions once, in batches of like-sized videos; shuffled by the generator, in fixed order without.

        Up to `together` expressions of a batch are about one video, so that the batch reads few videos.
        """
        order = np.arange(len(self)) if generator is None else generator.permutation(len(self))
        groups = self._groups(order, together)
        sizes = np.array([self.shape[group[0]] for group in groups])  # [G, 2]
        places = np.arange(len(groups)) if generator is None else generator.permutation(len(groups))
        a_batch = max(1, size // together)
        pools = [places[i : i + POOL * a_batch] for i in range(0, len(places), POOL * a_batch)]
        ordered = np.concatenate([groups[p] for part in pools for p in part[alike(sizes[part], a_batch)]])
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


def build_data(
    videos: Sequence[LabelledVideo],
    encoder: TextEncoder,
    device: torch.device,
    positive_iou: float = 0.7,
    least_iou: float = 1.0,
    *,
    stream: bool = False,
) -> SelectorData:
    """Put videos on the device; those without tracks or expressions are left out, since nothing is learnt from them.

    positive_iou, least_iou: which tracks an expression means, as `selector.labels.positives` has it.
    stream: leave the tracks' numbers where they are, and put those of a batch on the device.

    Raises:
        InputError: when nothing is left.
        ScorerMismatchError: when the caches come from different trackers, or their looks from different encoders.
    """
    videos = [v for v in videos if v.tracks.parts.shape[0] and v.expressions]
    if not videos:
        raise InputError("selector data: expected at least one cache with tracks and expressions, got none")
    widths = {v.tracks.parts.widths for v in videos}
    if len(widths) > 1:
        raise InputError(
            "selector data: expected caches with as many numbers of tokens, boxes and looks, "
            f"got {', '.join(map(str, sorted(widths)))}"
        )
    trackers = {v.tracks.tracker for v in videos} - {""}  # what was drawn, no tracker has made
    if len(trackers) > 1:
        raise ScorerMismatchError(f"selector data: expected caches of one tracker, got {len(trackers)}: {trackers}")
    lookers = {v.tracks.look for v in videos}
    if len(lookers) > 1:
        raise ScorerMismatchError(f"selector data: expected looks of one encoder, got {len(lookers)}: {lookers}")
    items = [(video, i) for video in videos for i in range(len(video.expressions))]
    numbers = [v for v, video in enumerate(videos) for _ in video.expressions]
    parts = [v.tracks.parts for v in videos]
    sizes = np.array([part.shape[:2] for part in parts], dtype=np.int64)  # [V, 2]
    flags = [track_flags(video, i, positive_iou, least_iou) for video, i in items]
    overlap = [best_overlap(video.labels, video.expressions[i]).astype(np.float16) for video, i in items]
    said = [video.expressions[i].text for video, i in items]
    other = [mirrored_text(text) for text in said]
    texts = {text: u for u, text in enumerate(dict.fromkeys((*said, *other)))}
    words, word_mask = encode_texts(list(texts), encoder)
    text, mirrored = (np.array([texts[text] for text in some]) for some in (said, other))
    length = word_mask.sum(1).cpu().numpy()

    def put(array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(device)

    return SelectorData(
        rows=StreamedRows(tuple(parts), device) if stream else hold(parts, device),
        tracks=put(sizes[:, 0].copy()),
        frames=put(sizes[:, 1].copy()),
        text=put(text),
        mirrored_text=put(mirrored),
        first_flag=put(np.cumsum([0, *(len(f) for f in flags)])[:-1]),
        flags=put(np.concatenate(flags)),
        overlap=put(np.concatenate(overlap)),
        held=put(_held(items, int(sizes[:, 1].max()))),
        words=words.to(device),
        word_mask=word_mask.to(device),
        numbers=np.array(numbers, dtype=np.int64),
        shape=sizes[numbers],
        word_count=np.maximum(length[text], length[mirrored]),
        widths=widths.pop(),
        tracker=trackers.pop() if trackers else "",
        look=lookers.pop(),
        caches=tuple(v.tracks.cache for v in videos),
        items=tuple(items),
    )


def track_flags(video: LabelledVideo, index: int, positive_iou: float, least_iou: float = 1.0) -> NDArray[np.uint8]:
    """The bits of each track for expression `index` of the video, [N]."""
    expression, tracks = video.expressions[index], video.tracks
    flags = np.zeros(len(tracks.sources), dtype=np.uint8)
    flags[candidates(tracks.sources, tracks.prompted_for, expression.id, tracks.detected)] |= SelectorData.COMPETES
    flags[[source is Source.GROUND_TRUTH for source in tracks.sources]] |= SelectorData.TRUTH
    flags[positives(video.labels, expression, positive_iou, least_iou)] |= SelectorData.POSITIVE
    return flags


def _held(items: Sequence[tuple[LabelledVideo, int]], frames: int) -> NDArray[np.int8]:
    """Whether each expression holds at a frame of its video, [X, frames]; UNKNOWN past the video's end."""
    held = np.full((len(items), frames), UNKNOWN, dtype=np.int8)
    for row, (video, number) in zip(held, items, strict=True):
        meta = video.tracks.video
        row[: meta.frames] = frame_labels(meta, video.expressions[number].spans)
    return held


def encode_texts(texts: Sequence[str], encoder: TextEncoder) -> tuple[Tensor, Tensor]:
    """Token states [U, L, C] and mask [U, L] of all texts, padded to the longest."""
    parts = [encoder.encode(texts[i : i + TEXT_BATCH]) for i in range(0, len(texts), TEXT_BATCH)]
    longest = max(part.mask.shape[1] for part in parts)
    words = [torch.nn.functional.pad(p.tokens, (0, 0, 0, longest - p.mask.shape[1])) for p in parts]
    masks = [torch.nn.functional.pad(p.mask, (0, longest - p.mask.shape[1])) for p in parts]
    return torch.cat(words), torch.cat(masks)


def _wide(held: Tensor, frames: int) -> Tensor:
    """held [B, any] as [B, frames], UNKNOWN past its end."""
    return torch.nn.functional.pad(held, (0, frames - held.shape[1]), value=UNKNOWN)


def _with_fewer(mask: Tensor, share: float) -> Tensor:
    """mask [B, L] with True left out by the chance `share`; each row keeps the one that chance spares longest."""
    chance = torch.rand(mask.shape, device=mask.device).masked_fill(~mask, -1.0)
    return mask & ((chance >= share) | (chance == chance.amax(1, keepdim=True)))
