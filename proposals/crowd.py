"""SAM2 for several videos at once: threads that track a video each share their steps as one batch.

A small tracker's step on a few objects keeps a GPU waiting for the next launch; the steps of many videos cost hardly
more than those of one. Whoever has the turn steps for all who wait. Unlike `Sam2Tracker`, which batches objects that
remember equally much, objects here are filled up to the most that can be remembered, and attention is masked; the
answers are the same, rounding apart. Knows what objects remember. Does not know threads' videos or where they come
from. Axis letters: V videos, N objects, P pixels of the coarsest map, F memory frames, R pointers, M memory width.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any

import torch
from sam2.modeling.sam2_utils import get_1d_sine_pe
from torch import Tensor

from proposals.features import precision
from proposals.memories import MemoryCohort
from proposals.memory_attention import Frame, Memory
from proposals.recollection import Recall, rows_of
from proposals.sam2_heads import Readout
from proposals.sam2_tracker import Sam2Tracker, joined
from proposals.tracker import Maps, Moment, Step


@dataclass(frozen=True, eq=False)
class _Asked:
    """One video's step, and where its answer goes."""

    maps: Maps
    cohorts: Sequence[MemoryCohort]
    moment: Moment
    answer: Future[list[Step]] = field(default_factory=Future)


class CrowdTracker(Sam2Tracker):
    """A `Sam2Tracker` whose `step` may be called by many threads, of any videos, and works for all of them at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As `Sam2Tracker`."""
        super().__init__(*args, **kwargs)
        self._waiting: deque[_Asked] = deque()
        self._turn = Lock()

    def step(self, maps: Maps, cohorts: Sequence[MemoryCohort], moment: Moment) -> list[Step]:
        """See `Sam2Tracker.step`; an error of one batch reaches every video of it."""
        if not cohorts:
            return []
        mine = _Asked(maps, cohorts, moment)
        self._waiting.append(mine)
        with self._turn:  # whoever has it works for all that came meanwhile
            if not mine.answer.done():
                self._answer([self._waiting.popleft() for _ in range(len(self._waiting))])
        return mine.answer.result()

    def _answer(self, asked: Sequence[_Asked]) -> None:
        try:
            found = self._step_all(asked)
        except BaseException as error:
            for each in asked:
                each.answer.set_exception(error)
            raise
        for each, steps in zip(asked, found, strict=True):
            each.answer.set_result(steps)

    @torch.inference_mode()
    def _step_all(self, asked: Sequence[_Asked]) -> list[list[Step]]:
        """The steps of several videos, in order."""
        maps = tuple(torch.cat(levels) for levels in zip(*(each.maps for each in asked), strict=True))
        frame = self._frame(maps)
        members = [
            (number, self._recollection.recall(cohort, each.moment))
            for number, each in enumerate(asked)
            for cohort in each.cohorts
        ]
        total = sum(recall.cohort.objects for _, recall in members)
        outcome = joined(self._batches.run(total, partial(self._follow_all, frame, maps, members)))
        found: list[list[Step]] = [[] for _ in asked]
        at = 0
        for number, recall in members:
            mine = Readout(*(each[at : at + recall.cohort.objects] for each in outcome))
            # Views keep the batch alive, but memories are let go a few frames later.
            found[number].append(recall.cohort.keep(asked[number].moment.frame, mine, copied=False))
            at += recall.cohort.objects
        return found

    def _follow_all(
        self, frame: Frame, maps: Maps, members: Sequence[tuple[int, Recall]], start: int, stop: int
    ) -> Readout:
        """Objects start to stop of all cohorts, whatever they remember."""
        rows = rows_of([recall.cohort.objects for _, recall in members], start, stop)
        sizes = torch.tensor([last - first for _, first, last in rows])
        videos = torch.tensor([members[number][0] for number, _, _ in rows])
        owner = videos.repeat_interleave(sizes).to(self.device, non_blocking=True)
        parts = [(members[number][1], first, last) for number, first, last in rows]
        with precision(self.device):
            own = Frame(frame.features[owner], frame.queries[owner])
            levels = tuple(level[owner] for level in maps)
            return Readout(*self._heads(self._attention(own, self._filled(parts, sizes)), *levels))

    def _filled(self, parts: Sequence[tuple[Recall, int, int]], sizes: Tensor) -> Memory:
        """What objects remember, filled up to F memories and R pointers, with the mask of what is there."""
        model, device = self._model, self.device
        memories, most = int(model.num_maskmem), int(model.max_obj_ptrs_in_encoder)
        split = int(model.hidden_dim) // self._recollection.width
        there = torch.zeros(len(parts), memories + most, dtype=torch.bool)
        far = torch.zeros(len(parts), most)
        for row, (recall, _, _) in enumerate(parts):
            there[row, list(recall.ages)] = True
            count = len(recall.pointers)
            there[row, memories : memories + count] = True
            far[row, :count] = torch.tensor(recall.pointers.distances) / recall.pointers.longest
        one = parts[0][0]
        spatial = [self._slot(parts, [_memory(recall, age) for recall, _, _ in parts], one.cohort.told.kept)
                   for age in range(memories)]  # fmt: skip
        pointers = [
            self._slot(parts, [_pointer(recall, at) for recall, _, _ in parts], one.cohort.told.pointer)
            for at in range(most)
        ]
        told = torch.stack(pointers, dim=1).reshape(int(sizes.sum()), -1, self._recollection.width)
        tokens = torch.cat([*(each.to(self._dtype) for each in spatial), told.to(self._dtype)], dim=1)
        repeats = torch.tensor([one.cohort.told.kept.shape[1]] * memories + [split] * most)
        mask = there.repeat_interleave(repeats, dim=1).repeat_interleave(sizes, dim=0).to(device, non_blocking=True)
        far_codes = get_1d_sine_pe(far.to(device, non_blocking=True), dim=self._recollection.sine_width)
        places = self._recollection.codes(far_codes).repeat_interleave(split, dim=1)
        owner = torch.arange(len(parts)).repeat_interleave(sizes).to(device, non_blocking=True)
        ages = torch.arange(memories, device=device)
        return Memory(tokens, ages, (told + places[owner]).to(self._dtype), mask)

    def _slot(self, parts: Sequence[tuple[Recall, int, int]], held: Sequence[Tensor | None], like: Tensor) -> Tensor:
        """One memory or pointer of all objects, zeros where a cohort has none."""
        blank = like.new_zeros(1, *like.shape[1:])
        return torch.cat([
            blank.expand(last - first, *like.shape[1:]) if each is None else each[first:last]
            for each, (_, first, last) in zip(held, parts, strict=True)
        ])  # fmt: skip


def _memory(recall: Recall, age: int) -> Tensor | None:
    return recall.memories[recall.ages.index(age)].kept if age in recall.ages else None


def _pointer(recall: Recall, at: int) -> Tensor | None:
    return recall.pointers.held[at].pointer if at < len(recall.pointers) else None
