"""What can be answered about a story, and who answers without a model: a blind one, an oracle, a neighbour.

Knows stories and the forms of answers. Does not know models or metrics. K windows, B clips, T frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.timely_answers import Reply
from miniature.long_world import Story
from miniature.long_world.spec import Caption, Event
from miniature.long_world.tell import act_name
from miniature.long_world.words import fill, forms

Array = NDArray[np.float64]
EVERY: Final = 10  # seconds between the replies of who looks at nothing


@dataclass(frozen=True)
class Windows:
    """windows [K, 2] in seconds, the first being the answer, with scores [K]; K = 0 is an answer that failed."""

    windows: Array
    scores: Array


@dataclass(frozen=True)
class Answers:
    """Everything answered about one story, each tuple in the story's own order; None for a task that was not asked.

    saliency: [B] a moment.   importance: [B].   questions, descriptions: texts, "" where the answer failed.
    referred, told: boxes [T, 4] of each object as shares of the frame, found by its words, or followed from its first
    box.
    """

    moments: tuple[Windows, ...] | None = None
    saliency: tuple[Array, ...] | None = None
    captions: tuple[Caption, ...] | None = None
    importance: Array | None = None
    questions: tuple[str, ...] | None = None
    timed: tuple[tuple[Reply, ...], ...] | None = None
    descriptions: tuple[str, ...] | None = None
    referred: tuple[Array, ...] | None = None
    told: tuple[Array, ...] | None = None


def blind(stories: Sequence[Story], boxes: Sequence[NDArray[np.float32]]) -> list[Answers]:
    """Who looks at nothing: the middle third, one saliency, even segments, the most usual answer of all stories, the
    middle of the picture, and the first box for ever.

    boxes: [O, T, 4] of each story, of which the first seen one of each object is told.
    """
    events = round(float(np.mean([len(s.events) for s in stories])))
    caption = _usual(c.text for s in stories for c in s.captions[0])
    answer = _usual(q.answer for s in stories for q in s.questions)
    reply = _usual(a.text for s in stories for q in s.timed_questions for a in q.answers)
    described = _usual(d.texts[0] for s in stories for d in s.descriptions)
    out = []
    for story, found in zip(stories, boxes, strict=True):
        third = Windows(np.array([[story.duration / 3, 2 * story.duration / 3]]), np.ones(1))
        edges = np.linspace(0, story.duration, events + 1)
        said = tuple(Caption(caption, float(a), float(b)) for a, b in pairwise(edges))
        middle = np.tile(np.array([0.25, 0.25, 0.75, 0.75]), (story.frames, 1))
        out.append(
            Answers(
                moments=(third,) * len(story.moments),
                saliency=(np.ones(story.clips),) * len(story.moments),
                captions=said,
                importance=np.ones(story.clips),
                questions=(answer,) * len(story.questions),
                timed=tuple(
                    tuple(Reply(reply, float(t)) for t in range(int(q.asked), story.duration, EVERY))
                    for q in story.timed_questions
                ),
                descriptions=(described,) * len(story.descriptions),
                referred=(middle,) * len(story.objects),
                told=tuple(_frozen(b) for b in found),
            )
        )
    return out


def oracle(stories: Sequence[Story], boxes: Sequence[NDArray[np.float32]]) -> list[Answers]:
    """Who knows: true windows, the annotators' means, captions of what is true, true answers and boxes.

    Captions are in plain words, since whoever knows all that happens does not know which of many words an annotator
    took for it.
    """
    return [
        Answers(
            moments=tuple(Windows(m.windows, np.ones(len(m.windows))) for m in s.moments),
            saliency=tuple(m.saliency.mean(axis=1) for m in s.moments),
            captions=tuple(_plainly(s, event) for event in s.events),
            importance=s.importance.mean(axis=1),
            questions=tuple(q.answer for q in s.questions),
            timed=tuple(tuple(Reply(a.text, (a.start + a.end) / 2) for a in q.answers) for q in s.timed_questions),
            descriptions=tuple(d.texts[0] for d in s.descriptions),
            referred=tuple(b.astype(np.float64) for b in found),
            told=tuple(b.astype(np.float64) for b in found),
        )
        for s, found in zip(stories, boxes, strict=True)
    ]


def shuffled(stories: Sequence[Story]) -> list[Answers]:
    """Captions of the story before, in its own times: what words earn that are of another video."""
    return [Answers(captions=before.captions[0]) for before in (stories[-1], *stories[:-1])]


def _plainly(story: Story, event: Event) -> Caption:
    """The caption of an event by the one name of what is done, and of colour and shape."""
    thing = next(thing for thing in story.objects if thing.id == event.object_id)
    text = fill("a {s} {v}", forms(act_name(event)), s=f"{thing.colour} {thing.shape}")
    return Caption(text, float(event.start), float(event.end))


def _frozen(boxes: NDArray[np.float32]) -> Array:
    """The first box that is there in every frame; NaN where there never is one."""
    seen = np.flatnonzero(~np.isnan(boxes[:, 0]))
    first = boxes[seen[0]] if len(seen) else np.full(4, np.nan)
    return np.tile(first.astype(np.float64), (len(boxes), 1))


def _usual(texts: Iterable[str]) -> str:
    return Counter(texts).most_common(1)[0][0]
