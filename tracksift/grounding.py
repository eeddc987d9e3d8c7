"""What is asked of a clip and what is true of it -> the grounder's samples, for training and for inference.

One place makes them, so that a model is asked in the words it learnt. Knows tasks' wordings and the targets of each
read-out. Does not know where clips and truths come from. Axis letters: T frames, M spans, B clips of two seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import InputError
from core.types import TimeSpan
from core.validators import check_least
from llm_grounder.matching import box_iou
from llm_grounder.readouts.runs import found_in
from llm_grounder.tasks.catalog import conversation
from llm_grounder.tasks.spec import Terms, TimedAnswer, Told
from llm_grounder.tasks.timed_answers import HALF, due
from llm_grounder.times import TimeStyle
from llm_grounder.types import Clip, Read, Reply, Request, Role, Sample, Targets, Task, Turn

WindowsFrom = Literal["spans", "words", "relevance"]
EVENTFUL: Final = (Task.CAPTIONS, Task.TIMED_QA, Task.REG)
TOLD: Final = (Task.CAPTIONS, Task.TIMED_QA)
"""Whose replies tell of one window after another."""
FOLLOWING: Final = (Task.GROUNDING, Task.RSOT, Task.SOT)
SAME: Final = 0.5  # IoU of boxes from which a track is the object that is followed
POINTED: Final = 0.25  # IoU from which the nearest track is what a box points at, which may be hidden in part
CLIP = 2.0  # seconds, for which saliency is annotated
LATEST = 0.75  # of an answer's span: when it is said at the latest
FOUND = 0.5  # score from which a span is told of


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known to be true; None, () and "" where it is not.

    spans: [M, 2] seconds, M = 0 where nothing fits.   worth: [B] in 0..1, how much each two seconds are worth.
    told: sentences with their seconds, captions or timed answers.   text: an answer or a description.
    boxes: [T', 4] as shares of the picture, NaN where absent, at the seconds `box_times` [T'].
    acting: [M, T', 4], boxes at the same seconds of all of whom the words hold, NaN where they do not.
    """

    spans: NDArray[np.float64] | None = None
    worth: NDArray[np.float64] | None = None
    told: tuple[Told, ...] = ()
    text: str = ""
    boxes: NDArray[np.float64] | None = None
    box_times: NDArray[np.float64] | None = None
    acting: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class Example:
    """A request about a video, with its truth."""

    video_id: str
    request: Request
    truth: Truth


@dataclass(frozen=True)
class Manner:
    """How a grounder is asked and answers.

    style: of times in words.   windows: from span queries, said in words, or of each frame's relevance alone.   live:
    timed answers are said when they become due; else all at the end, with their times.   wording: which of the tasks'
    wordings, -1 for one that follows from the request.   events: span queries find events before EVENTFUL replies are
    written, too, and replies that TOLD windows take them from there; a summary keeps their middles first.   step: to
    whose multiples these are rounded, in seconds, since annotators did so; 0 for none.   smooth: seconds
    over which relevance is smoothed to saliency (a normal curve's deviation): what happens is worth most in its middle.
    weigh: power of its frames' mean relevance, and of the fit of the track that fits them best, by which the score of
    a span query's window is multiplied; 0 for none.
    """

    style: TimeStyle = "tokens"
    windows: WindowsFrom = "spans"
    live: bool = False
    wording: int = 0
    events: bool = False
    step: float = 0.0
    smooth: float = 0.0
    weigh: float = 0.0

    def __post_init__(self) -> None:
        """Refuse windows from nowhere, and seconds below 0."""
        if self.windows not in get_args(WindowsFrom):
            raise InputError(f"manner: expected windows from one of {get_args(WindowsFrom)}, got {self.windows!r}")
        check_least("manner: step", self.step, 0.0, "seconds")
        check_least("manner: smooth", self.smooth, 0.0, "seconds")
        check_least("manner: weigh", self.weigh, 0.0)


def question(clip: Clip, request: Request, manner: Manner) -> Sample:
    """A sample to be answered. Of a clip with tracks the one that is pointed at is named, and who is followed is read
    from tracks.
    """
    request = _with_track(clip, request)
    finds = request.task is Task.MOMENTS or (manner.events and request.task in EVENTFUL)
    reads = (Read.SPANS,) if finds and manner.windows == "spans" else ()
    if clip.tracks and request.task in FOLLOWING:
        reads = (*reads, Read.TRACKS)
    return Sample(clip, request, _asked(clip, request, manner), reads=reads)


def lesson(clip: Clip, request: Request, truth: Truth, manner: Manner, rng: np.random.Generator) -> Sample:
    """A sample to learn from: the question, what should be said when, and the targets of the read-outs.

    rng: when a timed answer is said.

    Raises:
        InputError: where the truth has nothing of what the task learns.
    """
    asked = question(clip, request, manner)
    request = asked.request
    live = request.task is Task.TIMED_QA and manner.live
    replies, informative = _timely(clip, request, truth.told, rng) if live else (None, None)
    if replies is None:
        said = _wanted(request.task, truth, manner)
        replies = () if said is None else _asked(clip, request, manner, said)[1:]
        replies = tuple(replace(turn, given=_gives(asked, manner)) for turn in replies)
    boxes, acting = _boxes(clip, truth.boxes, truth.box_times), _boxes(clip, truth.acting, truth.box_times)
    now = None if acting is None or not clip.tracks else _now(clip, acting)
    tracks = None if boxes is None or not clip.tracks else _meant(clip, boxes[:, 0])
    targets = Targets(
        spans=None if truth.spans is None or not asked.reads else torch.from_numpy(truth.spans).float(),
        relevance=_relevance(clip, truth),
        informative=informative,
        boxes=boxes,
        boxed=None if boxes is None else torch.ones(clip.frames, dtype=torch.bool),
        tracks=now.amax(1) if tracks is None and now is not None else tracks,
        now=now,
    )
    if not replies and all(value is None for value in vars(targets).values()):
        raise InputError(f"{request.task} of clip {clip.id!r}: expected something to learn, got no truth of it")
    return Sample(clip, request, (*asked.turns, *replies), targets, asked.reads)


def terms_of(clip: Clip, request: Request, manner: Manner) -> Terms:
    """What a reply to the request is held against."""
    return Terms(clip.end, manner.style, request.options, clip.frames)


def told_terms(sample: Sample, reply: Reply, manner: Manner) -> Terms:
    """The same, with the windows of which the words tell where the heads' reply has found them."""
    terms = terms_of(sample.clip, sample.request, manner)
    if not _gives(sample, manner):
        return terms
    found = [(run.start, run.end) for run in found_in(sample, reply)]
    if reply.fits is None:
        found = sorted({(span.start, span.end) for span in reply.spans if (span.score or 0.0) >= FOUND})
    written = [_rounded(*window, manner.step, sample.clip.end) for window in found]
    written = [window for window in written if round(window[0], 1) < round(window[1], 1)]
    if sample.request.task is Task.TIMED_QA:
        written = sorted((w for w in written if due(*w) >= sample.request.asked), key=lambda window: due(*window))
    return replace(terms, given=tuple(written))


def _rounded(start: float, end: float, step: float, last: float) -> tuple[float, float]:
    """A window whose ends are multiples of a step, one step long at least, within the clip."""
    if not step:
        return start, end
    first = step * round(start / step)
    return first, min(max(step * round(end / step), first + step), last)


def _gives(sample: Sample, manner: Manner) -> bool:
    """Whether the windows of a reply come from read-outs: runs of tracks that fit, or span queries."""
    return manner.events and Read.SPANS in sample.reads and sample.request.task in TOLD


def _with_track(clip: Clip, request: Request) -> Request:
    """The request with the track in its region, where there is one."""
    if request.region is None or request.track is not None or not clip.tracks:
        return request
    frame = max(int(np.searchsorted(clip.times, request.region.time + 1e-6, side="right")) - 1, 0)
    overlap = box_iou(clip.track_boxes[:, frame].cpu(), torch.tensor(request.region.box))
    best = int(overlap.argmax())
    return replace(request, track=best) if overlap[best] >= POINTED else request


def _meant(clip: Clip, boxes: Tensor) -> Tensor:
    """[N]: 1 for tracks that lie on the boxes [T, 4] while they are seen, else 0."""
    there = ~clip.track_boxes[..., 0].isnan().cpu()
    overlap = (box_iou(clip.track_boxes.cpu(), boxes) * there).sum(1) / there.sum(1).clamp(min=1)
    return (overlap >= SAME).float()


def _now(clip: Clip, boxes: Tensor) -> Tensor:
    """[N, T]: 1 where a track lies on one of the boxes [T, M, 4], else 0."""
    overlap = box_iou(clip.track_boxes.cpu()[:, :, None], boxes[None])
    return (overlap >= SAME).any(-1).float()


def _asked(clip: Clip, request: Request, manner: Manner, answer: Any = None) -> tuple[Turn, ...]:
    """The user's turn, and the assistant's where there is an answer."""
    wording = manner.wording if manner.wording >= 0 else sum(map(ord, request.text + request.id))
    return conversation(request, terms_of(clip, request, manner), answer, wording=wording)


def _wanted(task: Task, truth: Truth, manner: Manner) -> Any:
    """What the task's format is to write; None where nothing is said."""
    if task is Task.CAPTIONS:
        return truth.told or None
    if task is Task.TIMED_QA:
        answers = [TimedAnswer(due(t.start, t.end), t.text) for t in truth.told]
        return sorted(answers, key=lambda answer: answer.time) or None
    if task is Task.MOMENTS and manner.windows == "words" and truth.spans is not None:
        return [TimeSpan(float(a), float(b)) for a, b in truth.spans]
    return truth.text or None if task in (Task.QA, Task.REG) else None


def _timely(
    clip: Clip, request: Request, told: Sequence[Told], rng: np.random.Generator
) -> tuple[tuple[Turn, ...], Tensor]:
    """Each answer is said between the middle and three quarters of its span, and is due from the middle until then."""
    ready = np.zeros(clip.frames, dtype=np.float32)
    turns = []
    for answer in told:
        low = max(request.asked, due(answer.start, answer.end))
        time = low + (LATEST - HALF) * (answer.end - answer.start) * rng.random()
        frame = int(np.searchsorted(clip.times, time, side="right")) - 1  # said after the frame that is then shown
        ready[(clip.times >= low) & (clip.times <= clip.times[frame])] = 1
        ready[frame] = 1
        turns.append(Turn(float(clip.times[frame]), Role.ASSISTANT, answer.text))
    return tuple(sorted(turns, key=lambda turn: turn.time)), torch.from_numpy(ready)


def _relevance(clip: Clip, truth: Truth) -> Tensor | None:
    """[T]: what each frame is worth, or whether it lies in a span."""
    if truth.worth is not None:
        place = np.minimum((clip.times // CLIP).astype(np.int64), len(truth.worth) - 1)
        return torch.from_numpy(truth.worth[place]).float()
    if truth.spans is None:
        return None
    starts, ends = truth.spans[:, 0], truth.spans[:, 1]
    inside = (clip.times[:, None] >= starts) & (clip.times[:, None] < ends)
    return torch.from_numpy(inside.any(axis=1)).float()


def _boxes(clip: Clip, boxes: NDArray[np.float64] | None, times: NDArray[np.float64] | None) -> Tensor | None:
    """[T, M, 4]: the boxes [T', 4] or [M, T', 4] that are shown at each frame's time; None where there are none."""
    if boxes is None or times is None:
        return None
    shown = np.searchsorted(times, clip.times + 1e-6, side="right") - 1
    told = np.moveaxis(boxes.reshape(-1, *boxes.shape[-2:]), 0, 1)
    return torch.from_numpy(told[np.maximum(shown, 0)]).float()
