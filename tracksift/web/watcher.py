"""A grounder behind the page's panels: features of a video once, then each request becomes remarks with their times.

Knows the grounder, its tasks' grammars and the cache of features. Does not know visitors or pages. Replies in words are
decoded under their task's grammar, so that each can be read. Axis letters: T frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cache import open_cache
from core.devices import autocast, pick_device
from core.errors import InputError, ScorerMismatchError, TrackSiftError
from core.images import FrameEncoder, load_image_encoder
from core.types import TimeSpan
from llm_grounder import types as asked
from llm_grounder.checkpoints import load_grounder
from llm_grounder.duet import GrounderDuet
from llm_grounder.events import EventKind, Question
from llm_grounder.grounder import Grounder
from llm_grounder.streaming import Stream, run
from llm_grounder.tasks.catalog import FORMATS
from llm_grounder.tasks.failures import Failure
from llm_grounder.types import Clip, Region, Reply, Sample
from llm_grounder.window import Window
from tracksift.clips import read_clip, read_inputs
from tracksift.features import FeatureSettings, extract
from tracksift.grounding import question, terms_of
from tracksift.jobs import Job
from tracksift.reading import saliency, weighed, worth_keeping
from tracksift.recipes import manner_of
from tracksift.reply_rules import ReplyRules
from tracksift.web.grounders import Remark, Request, Task
from tracksift.web.spans import best_spans, highlights, relevant_spans

MOST: Final[Mapping[asked.Task, int]] = {
    asked.Task.CAPTIONS: 400, asked.Task.MOMENTS: 160, asked.Task.QA: 64, asked.Task.REG: 64,
}  # fmt: skip
"""Tokens of a reply at most."""
POINTED: Final = 4 / 256  # side of a box as a share of the picture, from which the miniature learnt to be pointed at
WHAT_HAPPENS: Final = "what happens?"


class Watcher:
    """See the module and `tracksift.web.grounders.Grounder`."""

    def __init__(self, grounder: Grounder, record: Mapping[str, Any], encoder: FrameEncoder, name: str) -> None:
        """record: of the grounder's folder.   encoder: of frames.   name: for people.

        Raises:
            CheckpointError: where the record does not say how the grounder was asked and what it saw.
            ScorerMismatchError: when it learnt from another encoder.
        """
        self.name, self._grounder, self._encoder = name, grounder, encoder
        self._inputs, self._manner = read_inputs(record), manner_of(record)
        if encoder.sha256 != self._inputs.encoder:
            raise ScorerMismatchError(
                f"grounder {name}: expected the image encoder {self._inputs.encoder[:12]} that it was trained on, "
                f"got {encoder.name} ({encoder.sha256[:12]}); name it with --encoder"
            )
        self._learnt = learnt(record)
        self._rules = ReplyRules(grounder, self._manner, MOST)
        self.tasks = self._tasks()

    def remarks(self, request: Request) -> Iterator[Remark]:
        """See `Grounder`."""
        clip = self._clip(request.job)
        tell = {
            Task.DESCRIBE: self._describe, Task.MOMENTS: self._moments, Task.CAPTIONS: self._captions,
            Task.HIGHLIGHTS: self._highlights, Task.QUESTION: self._question, Task.DUET: self._duet,
        }[request.task]  # fmt: skip
        yield from tell(clip, request)

    def _tasks(self) -> frozenset[Task]:
        """What it learnt and has the read-outs for."""
        settings, known = self._grounder.settings, self._learnt
        able = {
            Task.DESCRIBE: asked.Task.REG in known,
            Task.MOMENTS: asked.Task.MOMENTS in known,
            Task.CAPTIONS: asked.Task.CAPTIONS in known,
            Task.HIGHLIGHTS: settings.frame_heads and bool(known & {asked.Task.MOMENTS, asked.Task.SUMMARY}),
            Task.QUESTION: asked.Task.QA in known,
            Task.DUET: settings.frame_heads and settings.group == 1 and not settings.sequence_rows
            and (not self._inputs.tracks or self._inputs.trackless),
        }  # fmt: skip
        return frozenset(task for task, can in able.items() if can)

    def _clip(self, job: Job) -> Clip:
        """The video as the grounder learnt to see one; its features are made where its cache has none."""
        inputs = self._inputs
        settings = FeatureSettings(inputs.per_second, inputs.grid, inputs.tiles)
        (made,) = extract([job], self._encoder, settings)
        if made.state == "failed":
            raise TrackSiftError(made.cause)
        return read_clip(job.cache, inputs)

    def _describe(self, clip: Clip, request: Request) -> Iterator[Remark]:
        said = self._written(clip, asked.Request(asked.Task.REG, region=region_of(request)))
        yield Remark(f"Track {request.track}: {said}")

    def _moments(self, clip: Clip, request: Request) -> Iterator[Remark]:
        sentence = asked.Request(asked.Task.MOMENTS, request.words)
        if self._manner.windows == "words":
            spans = tuple(self._written(clip, sentence))
        elif self._manner.windows == "spans":
            spans = weighed(clip, self._read(question(clip, sentence, self._manner)), self._manner)
        else:
            spans = relevant_spans(clip.times, clip.end, _relevance(self._read(question(clip, sentence, self._manner))))
        for span in best_spans(spans):
            yield Remark(request.words, span)

    def _captions(self, clip: Clip, request: Request) -> Iterator[Remark]:
        for told in self._written(clip, asked.Request(asked.Task.CAPTIONS)):
            yield Remark(told.text, TimeSpan(told.start, told.end))

    def _highlights(self, clip: Clip, request: Request) -> Iterator[Remark]:
        task = asked.Task.MOMENTS if request.words else asked.Task.SUMMARY
        if task not in self._learnt:
            raise InputError(f"highlights: expected {'none' if request.words else 'a few'} words, got the other")
        if request.words:
            worth = saliency(
                clip, self._read(question(clip, asked.Request(task, request.words), self._manner)), self._manner
            )
        else:
            manner = replace(self._manner, events=self._manner.events and asked.Task.CAPTIONS in self._learnt)
            worth = worth_keeping(clip, manner, lambda samples: [self._read(sample) for sample in samples])
        for span in highlights(clip.times, clip.end, worth):
            yield Remark(request.words or "highlight", span)

    def _question(self, clip: Clip, request: Request) -> Iterator[Remark]:
        yield Remark(self._written(clip, asked.Request(asked.Task.QA, request.words)))

    def _duet(self, clip: Clip, request: Request) -> Iterator[Remark]:
        """Frames one by one from the start; a question is put at its time, and only what is spoken is told."""
        duet = GrounderDuet(self._grounder)
        with autocast(self._grounder.device):
            stream = Stream(duet, Window(positions=duet.positions))
        frames = zip(clip.times.tolist(), clip.features, strict=True)
        events = run(stream, frames, [Question(request.at, request.words or WHAT_HAPPENS)])
        while True:
            with autocast(self._grounder.device):  # never across a yield: the next event may be another thread's
                event = next(events, None)
            if event is None:
                return
            if event.kind is EventKind.REPLY:
                yield Remark(event.text, _shown(clip, event.time))

    def _read(self, sample: Sample) -> Reply:
        with autocast(self._grounder.device):
            (reply,) = self._grounder.outputs([sample])
        return reply

    def _written(self, clip: Clip, request: asked.Request) -> Any:
        """What a reply in words means, as its task's format has it."""
        with autocast(self._grounder.device):
            (reply,) = self._grounder.generate(
                [question(clip, request, self._manner)], most=MOST[request.task], processors=self._rules
            )
        parsed = FORMATS[request.task].parse(reply.text, terms_of(clip, request, self._manner))
        if isinstance(parsed, Failure):
            raise TrackSiftError(
                f"{request.task}: expected a reply that can be read, got one that cannot: {parsed.detail}"
            )
        return parsed


def load_watcher(folder: Path, encoder: str, device: str = "auto", name: str = "") -> Watcher:
    """The grounder of a folder with the encoder that it learnt from.

    Raises:
        CheckpointError: where either cannot be used.
        ScorerMismatchError: when the grounder learnt from another encoder.
    """
    place = pick_device(device)
    grounder, record = load_grounder(folder, place)
    return Watcher(grounder, record, load_image_encoder(encoder, place), name or folder.name)


def learnt(record: Mapping[str, Any]) -> frozenset[asked.Task]:
    """The tasks that a grounder's record counts samples of; all where it counts none."""
    counted = {**record.get("asked", {}), **record.get("drawn", {})}
    return frozenset(task for task in asked.Task if counted.get(task.value)) or frozenset(asked.Task)


def region_of(request: Request) -> Region:
    """Where a track is pointed at: the first frame that shows it whole enough, else the one with most of it."""
    assert request.track is not None
    cached = open_cache(request.job.cache)
    height, width = cached.video.size
    boxes = cached.boxes()[request.track].astype(np.float64) / np.array([width, height, width, height])
    boxes[~(cached.object_score()[request.track] > 0)] = np.nan
    sides = np.nan_to_num(np.clip(boxes, 0, 1)[:, 2:] - np.clip(boxes, 0, 1)[:, :2])
    if not (sides > 0).all(axis=1).any():
        raise InputError(f"describe: expected a track that is seen, got track {request.track}, which never is")
    whole = np.flatnonzero((sides >= POINTED).all(axis=1))
    frame = int(whole[0]) if len(whole) else int(sides.prod(axis=1).argmax())
    x1, y1, x2, y2 = np.clip(boxes[frame], 0, 1).tolist()
    return Region(float(cached.video.timestamps[frame]), (x1, y1, x2, y2))


def _shown(clip: Clip, time: float) -> TimeSpan:
    """How long the frame is shown that is there at a time."""
    place = max(0, int(np.searchsorted(clip.times, time + 1e-6, side="right")) - 1)
    return TimeSpan(float(clip.times[place]), float(np.append(clip.times, clip.end)[place + 1]))


def _relevance(reply: Reply) -> NDArray[np.float64]:
    if reply.relevance is None:
        raise InputError("grounder: expected one with frame heads, got one without")
    return reply.relevance
