"""Masks of key frames -> masklets: one sweep forward in which objects may be born on any frame, one backward.

Knows a tracker's four verbs. Does not know where masks come from or which tracks are kept.
N objects, T frames, D token width, S the side of the model's square image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core import rle
from core.types import Track
from proposals.features import FeatureStore
from proposals.mask_writer import MaskWriter
from proposals.prompts import MaskPrompt
from proposals.tracker import Cohort, Moment, Step, Tracker

HELD = 64  # read-outs of frames that wait on the device before they cross to the host together

Births = Callable[[int], Sequence[MaskPrompt]]


@dataclass
class _Draft:
    """Tracks in progress: their number among the drafts, the prompts of one frame, their cohort, and the read-outs."""

    number: int
    prompts: Sequence[MaskPrompt]
    cohort: Cohort
    tokens: NDArray[np.float16]  # [N, T, D]
    figures: NDArray[np.float32]  # [2, N, T]: object score logits, predicted IoU
    waiting: list[tuple[int, Tensor, Tensor]] = field(default_factory=list)  # frame, pointers, figures [2, N]

    def add(self, step: Step) -> None:
        """Take a read-out but for its logits."""
        self.waiting.append((step.frame, step.pointer, torch.stack([step.object_score, step.predicted_iou])))
        if len(self.waiting) == HELD:
            self.settle()

    def settle(self) -> None:
        """Bring what waits to the host."""
        if self.waiting:
            frames, pointers, figures = zip(*self.waiting, strict=True)
            self.tokens[:, frames] = torch.stack(pointers, dim=1).float().cpu().numpy()
            self.figures[:, :, frames] = torch.stack(figures, dim=2).cpu().numpy()
            self.waiting.clear()


class Sweep:
    """Objects that are born and tracked over one video; every frame is visited at most twice."""

    def __init__(
        self, tracker: Tracker[Any], features: FeatureStore, on_frame: Callable[[], None] | None = None
    ) -> None:
        self._tracker, self._features, self._on_frame = tracker, features, on_frame
        self._drafts: list[_Draft] = []
        self._writer = MaskWriter(features.size, tracker.device)
        self.reversed_at: int | None = None  # the frame that the sweep backward is at

    @property
    def prompts(self) -> list[MaskPrompt]:
        """Of every object born so far, by birth; `tracks` follow them."""
        return [prompt for draft in self._drafts for prompt in draft.prompts]

    def forward(self, births: Births, last: int | None = None) -> None:
        """Visit the frames in order: find the objects that live, then let `births` say which begin on this frame.

        last: the last frame on which objects may begin, where that is known and nobody reads the features after these
        sweeps: those of later frames are not kept.
        """
        if last is not None:
            self._features.keep_until(last)
        for t in range(self._features.frames):
            self._visit(t, self._drafts, reverse=False)
            born = births(t)
            if born:
                self._prompt(t, born)
            for draft in self._drafts:
                draft.cohort.forget([t + 1, draft.cohort.frame - 1] if draft.cohort.frame else [t + 1])
        for draft in self._drafts:
            draft.cohort.forget([draft.cohort.frame - 1] if draft.cohort.frame else [])

    def backward(self) -> None:
        """Visit the frames before the last birth in reverse: each object goes on from its first frame."""
        # As in the package, an object's first frames backward still read the forward ones next to its prompt.
        for t in range(max((draft.cohort.frame for draft in self._drafts), default=0) - 1, -1, -1):
            self.reversed_at = t
            live = [draft for draft in self._drafts if draft.cohort.frame > t]
            self._visit(t, live, reverse=True)
            for draft in live:
                draft.cohort.forget([t - 1])

    def masks(self, frame: int) -> list[tuple[MaskPrompt, bytes]]:
        """Every object born so far with its mask at a frame that was visited since."""
        written = self._writer.finish()
        return [
            (prompt, mask)
            for draft in self._drafts
            for prompt, mask in zip(draft.prompts, written[draft.number, frame], strict=True)
        ]

    def tracks(self) -> list[Track]:
        """A track for each prompt, by birth.

        Masks are logits > 0 at the video's size, tokens the object pointers of every frame, the prompt's included.
        There the predicted IoU is the prompt's own score, since the model is told the mask and predicts none.
        """
        written = self._writer.finish()
        self._writer.close()
        tracks = []
        for draft in self._drafts:
            draft.settle()
            counts = [written[draft.number, t] for t in range(self._features.frames)]
            tracks += _tracks(draft, self._features.size, counts)
        return tracks

    def _visit(self, t: int, drafts: Sequence[_Draft], *, reverse: bool) -> None:
        """One frame of some objects."""
        if not drafts:
            return
        moment = Moment(t, self._features.frames, reverse)
        steps = self._tracker.step(self._features[t], [draft.cohort for draft in drafts], moment)
        for draft, step in zip(drafts, steps, strict=True):
            self._take(draft, step)
        self._report()

    def _prompt(self, t: int, prompts: Sequence[MaskPrompt]) -> None:
        """Objects that begin on a frame."""
        assert all(prompt.frame == t for prompt in prompts), "prompts belong to their frame"
        masks = model_masks(prompts, self._tracker.image_size, self._tracker.device)
        cohort, step = self._tracker.prompt(self._features[t], masks, Moment(t, self._features.frames))
        shape = (len(prompts), self._features.frames)
        tokens = np.zeros((*shape, step.pointer.shape[1]), dtype=np.float16)
        figures = np.zeros((2, *shape), dtype=np.float32)
        self._drafts.append(_Draft(len(self._drafts), prompts, cohort, tokens, figures))
        self._take(self._drafts[-1], step)
        self._report()

    def _take(self, draft: _Draft, step: Step) -> None:
        self._writer.add((draft.number, step.frame), step.logits)
        draft.add(step)

    def _report(self) -> None:
        if self._on_frame is not None:
            self._on_frame()


def propagate(
    tracker: Tracker[Any],
    features: FeatureStore,
    prompts: Sequence[MaskPrompt],
    on_frame: Callable[[], None] | None = None,
) -> list[Track]:
    """One track a prompt, in the order of the prompts, whatever frames they are of."""
    sweep = Sweep(tracker, features, on_frame)
    sweep.forward(lambda t: [prompt for prompt in prompts if prompt.frame == t])
    sweep.backward()
    order = sorted(range(len(prompts)), key=lambda i: prompts[i].frame)
    found = dict(zip(order, sweep.tracks(), strict=True))
    return [found[i] for i in range(len(prompts))]


def model_masks(prompts: Sequence[MaskPrompt], size: int, device: torch.device) -> Tensor:
    """Prompt masks as float [N, 1, size, size] of 0 and 1, resized as the package does it."""
    masks = torch.from_numpy(np.stack([prompt.mask for prompt in prompts])).to(device)[:, None].float()
    if masks.shape[-2:] == (size, size):
        return masks
    resized = functional.interpolate(masks, (size, size), mode="bilinear", align_corners=False, antialias=True)
    return (resized >= 0.5).float()


def _tracks(draft: _Draft, size: rle.Size, counts: Sequence[tuple[bytes, ...]]) -> list[Track]:
    """A draft that has seen every frame -> tracks; counts: N masks of every frame."""
    tracks = []
    scores, ious = draft.figures[0], draft.figures[1].clip(0, 1)
    for i, prompt in enumerate(draft.prompts):
        masks = tuple(frame[i] for frame in counts)
        ious[i, prompt.frame] = prompt.score
        boxes = rle.boxes(masks, size)
        tracks.append(Track(prompt.source, prompt.record(), size, masks, boxes, draft.tokens[i], scores[i], ious[i]))
    return tracks
