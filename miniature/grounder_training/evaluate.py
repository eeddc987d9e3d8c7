"""Asks a grounder everything about films of held-out stories, and keeps what it answers.

Knows the grounder, its tasks' parsers and grammars, and the forms of answers. Does not know metrics. Replies are
decoded under their grammar, so that each can be read; one that cannot is counted and scored as no answer.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.metrics.timely_answers import Reply as Said
from benchmarks.moment_files import clip_saliency
from core.devices import autocast
from core.types import TimeSpan
from llm_grounder.grounder import Grounder
from llm_grounder.readouts.frames import relevant_spans
from llm_grounder.replies import followed
from llm_grounder.tasks.catalog import FORMATS
from llm_grounder.tasks.failures import Failure, FailureCounts
from llm_grounder.tasks.timed_answers import said_once
from llm_grounder.types import Clip, Reply, Sample, Task
from miniature.grounder_training.answers import Answers, Windows
from miniature.grounder_training.films import Film
from miniature.grounder_training.lessons import clip_of, lessons_of, shown
from miniature.long_world import Story
from miniature.long_world.spec import Caption
from tracksift.grounding import Example, Manner, question, terms_of
from tracksift.reading import saliency, weighed, worth_keeping
from tracksift.reply_rules import ReplyRules

MOST: Final[Mapping[Task, int]] = {Task.MOMENTS: 128, Task.CAPTIONS: 400, Task.TIMED_QA: 240, Task.QA: 24, Task.REG: 64}
"""Tokens of a reply at most; of moments where they are said in words."""
HEADS: Final = (Task.MOMENTS, Task.SUMMARY, Task.RSOT, Task.SOT)
TASKS: Final = (*HEADS, *(task for task in MOST if task not in HEADS))
TOGETHER = 16


class Examiner:
    """Asks one grounder. failures: of replies in words, by task."""

    def __init__(self, grounder: Grounder, manner: Manner, *, motion: bool, blind: bool = False) -> None:
        """blind: show it nothing."""
        self.grounder, self.manner, self.motion, self.blind = grounder, manner, motion, blind
        self.failures = {
            task: FailureCounts() for task in MOST if task is not Task.MOMENTS or manner.windows == "words"
        }
        self.seconds: dict[Task, float] = dict.fromkeys(TASKS, 0.0)
        self._rules = ReplyRules(grounder, manner, MOST)

    @torch.no_grad()
    def answer(self, films: Sequence[Film], tasks: Collection[Task] = TASKS) -> list[Answers]:
        """What it says about each film to everything that the tasks ask; films are asked side by side."""
        clips = [clip_of(film, motion=self.motion, blind=self.blind) for film in films]
        said: list[dict[Task, list[tuple[Example, Reply]]]] = [{} for _ in films]
        worth: list[NDArray[np.float64] | None] = [None for _ in films]
        for task in tasks:
            began = time.monotonic()
            if task is Task.SUMMARY:
                worth = [worth_keeping(clip, self.manner, partial(self._ask, task)) for clip in clips]
                self.seconds[task] += time.monotonic() - began
                continue
            asked = [lessons_of(film.story, film.boxes, task) for film in films]
            samples = [
                question(clip, example.request, self.manner)
                for clip, examples in zip(clips, asked, strict=True)
                for example in examples
            ]
            replies = iter(zip(samples, self._ask(task, samples), strict=True))
            for here, examples in zip(said, asked, strict=True):
                answered = zip(examples, itertools.islice(replies, len(examples)), strict=True)
                # As it was asked: a request may name the track that it points at.
                here[task] = [(replace(example, request=s.request), reply) for example, (s, reply) in answered]
            self.seconds[task] += time.monotonic() - began
        return [self._collect(*each) for each in zip(films, clips, said, worth, strict=True)]

    def _ask(self, task: Task, samples: Sequence[Sample]) -> list[Reply]:
        replies: list[Reply] = []
        with autocast(self.grounder.device):
            for i in range(0, len(samples), TOGETHER):
                part = samples[i : i + TOGETHER]
                if task not in self.failures:
                    replies += self.grounder.outputs(part)
                else:
                    replies += self.grounder.generate(part, most=MOST[task], processors=self._rules)
        return replies

    def _read(self, task: Task, clip: Clip, example: Example, reply: Reply) -> Any:
        """The parsed words; None where they failed, which is counted."""
        parsed = FORMATS[task].parse(reply.text, terms_of(clip, example.request, self.manner))
        self.failures[task].update(parsed)
        return None if isinstance(parsed, Failure) else parsed

    def _spans(
        self, clip: Clip, pairs: Sequence[tuple[Example, Reply]], words: Mapping[Task, Sequence[Any]]
    ) -> list[Sequence[TimeSpan]]:
        """Windows of each sentence, as the manner has them."""
        if self.manner.windows == "words":
            return [found or () for found in words[Task.MOMENTS]]
        if self.manner.windows == "spans":
            return [weighed(clip, reply, self.manner) for _, reply in pairs]
        shown = [reply.relevance for _, reply in pairs]
        return [() if each is None else relevant_spans(each, clip.times, clip.end) for each in shown]

    def _saliency(self, clip: Clip, reply: Reply, story: Story) -> NDArray[np.float64]:
        return clip_saliency(clip.times, saliency(clip, reply, self.manner), story.clips)

    def _collect(
        self, film: Film, clip: Clip, said: Mapping[Task, Sequence[tuple[Example, Reply]]],
        worth: NDArray[np.float64] | None,
    ) -> Answers:  # fmt: skip
        story, words = film.story, dict[Task, list[Any]]()
        for task, pairs in said.items():
            if task in self.failures:
                words[task] = [self._read(task, clip, example, reply) for example, reply in pairs]
        told = words.get(Task.CAPTIONS)
        moments = said.get(Task.MOMENTS)
        return Answers(
            moments=None if moments is None else tuple(map(_windows, self._spans(clip, moments, words))),
            saliency=None if moments is None else tuple(self._saliency(clip, reply, story) for _, reply in moments),
            captions=None if told is None else tuple(Caption(t.text, t.start, t.end) for t in told[0] or ()),
            importance=None if worth is None else clip_saliency(clip.times, worth, story.clips),
            questions=_texts(words.get(Task.QA)),
            timed=None if Task.TIMED_QA not in words else tuple(
                tuple(Said(answer.text, answer.time) for answer in said_once(answers or ()))
                for answers in words[Task.TIMED_QA]
            ),
            descriptions=_by_object(film, _texts(words.get(Task.REG)), ""),
            referred=_boxes(film, clip, said.get(Task.RSOT)),
            told=_boxes(film, clip, said.get(Task.SOT)),
        )  # fmt: skip


def _windows(found: Sequence[TimeSpan]) -> Windows:
    """Windows by score; those said in words in their own order."""
    spans = [[span.start, span.end] for span in found]
    scores = [1 / (k + 1) if span.score is None else span.score for k, span in enumerate(found)]
    return Windows(np.array(spans, dtype=np.float64).reshape(-1, 2), np.array(scores, dtype=np.float64))


def _texts(found: Sequence[Any] | None) -> tuple[str, ...] | None:
    return None if found is None else tuple(str(text) if text is not None else "" for text in found)


def _by_object(film: Film, values: tuple[str, ...] | None, missing: str) -> tuple[str, ...] | None:
    """Answers about objects that could be pointed at, with `missing` for the others."""
    if values is None:
        return None
    left = iter(values)
    return tuple(next(left) if shown(boxes) is not None else missing for boxes in film.boxes)


def _boxes(
    film: Film, clip: Clip, pairs: Sequence[tuple[Example, Reply]] | None
) -> tuple[np.ndarray, ...] | None:  # fmt: skip
    """Where each object is followed to, [T, 4]; NaN of those that were not asked for."""
    if pairs is None:
        return None
    found = iter([followed(clip, reply, example.request) for example, reply in pairs])
    return tuple(next(found) if shown(boxes) is not None else np.full(boxes.shape, np.nan) for boxes in film.boxes)
