"""Everything that is asked and told of a story, as the grounder's requests with their truth, and draws from it.

Knows stories and the grounder's tasks. Does not know models. Captions and descriptions are learnt in their plainest
words, which are those said most often; all other words are the story's own. Axis letters: O objects, T frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from llm_grounder.tasks.spec import Told
from llm_grounder.types import Clip, Region, Request, Task
from miniature.grounder_training.films import Film
from miniature.long_world import FPS, Moment, Story
from miniature.long_world.moments import windows_of
from miniature.long_world.spec import TOP, Event, TimedQuestion
from miniature.long_world.tell import act_key
from miniature.long_world.words import ACTS, forms
from miniature.world.spec import ObjectSpec
from tracksift.clips import see
from tracksift.grounding import Example, Truth

MIXTURE: Final[Mapping[Task, float]] = {
    Task.MOMENTS: 0.24, Task.CAPTIONS: 0.13, Task.SUMMARY: 0.09, Task.TIMED_QA: 0.14, Task.QA: 0.22, Task.REG: 0.1,
    Task.RSOT: 0.04, Task.SOT: 0.04,
}  # fmt: skip
"""How often each task is drawn; without those that a training leaves out, in the same proportions."""
LEAST: Final = 4 / 256  # a box's side as a share of the frame, from which an object can be pointed at


def clip_of(film: Film, *, motion: bool, blind: bool = False, tracks: bool = True) -> Clip:
    """A film as the grounder reads it.   blind: with nothing to be seen.   tracks: with those that it has."""
    features: Tensor = film.patches.new_zeros(film.patches.shape) if blind else film.patches
    clip = Clip(f"{film.order.seed}", see(features, motion), np.arange(film.frames) / FPS, film.duration)
    if film.masklets is None or blind or not tracks:
        return clip
    return replace(clip, track_tokens=film.masklets.values, track_boxes=film.masklets.boxes)


def lessons_of(story: Story, boxes: NDArray[np.float32], task: Task) -> list[Example]:
    """All examples of a task in a story, in the story's own order.   boxes: [O, T, 4] shares, NaN where unseen."""
    name, times = str(story.seed), np.arange(story.frames) / FPS
    if task is Task.MOMENTS:
        return [
            Example(
                name, Request(task, m.text, id=f"m{m.id}"),
                Truth(m.windows, m.saliency.mean(axis=1) / TOP, box_times=times, acting=acting(story, boxes, m)),
            )
            for m in story.moments
        ]  # fmt: skip
    if task is Task.CAPTIONS:
        events = sorted(story.events, key=lambda e: (e.start, e.end))
        told = tuple(Told(float(e.start), float(e.end), caption(story, e)) for e in events)
        return [
            Example(
                name, Request(task, id="captions"),
                Truth(
                    _spans((e.start, e.end) for e in story.events), told=told, box_times=times,
                    acting=doing(story, boxes, story.events),
                ),
            )
        ]  # fmt: skip
    if task is Task.SUMMARY:
        return [Example(name, Request(task, id="summary"), Truth(worth=story.importance.mean(axis=1) / TOP))]
    if task is Task.QA:
        return [Example(name, Request(task, q.text, id=f"q{q.id}"), Truth(text=q.answer)) for q in story.questions]
    if task is Task.TIMED_QA:
        return [
            Example(
                name, Request(task, q.text, q.asked, id=f"t{q.id}"),
                Truth(
                    _spans((a.start, a.end) for a in q.answers),
                    told=tuple(Told(a.start, a.end, a.text) for a in q.answers), box_times=times,
                    acting=doing(story, boxes, _answering(story, q)),
                ),
            )
            for q in story.timed_questions
        ]  # fmt: skip
    return _of_objects(story, boxes, task)


def acting(story: Story, boxes: NDArray[np.float32], moment: Moment) -> NDArray[np.float64]:
    """Boxes [M, T, 4] of those whom a moment's words describe, NaN while they do not; which time is meant is left open.

    The words name an act of these objects, or, of kind presence, all that they do.
    """
    own = [event for event in story.events if event.object_id in moment.object_ids]
    if moment.kind != "presence":
        meant = {tuple(window) for window in moment.windows.tolist()}
        wanted = {
            key for key in map(act_key, own)
            if meant & {tuple(w) for w in windows_of([e for e in own if act_key(e) == key]).tolist()}
        }  # fmt: skip
        own = [event for event in own if act_key(event) in wanted]
    return doing(story, boxes, own)


def doing(story: Story, boxes: NDArray[np.float32], events: Sequence[Event]) -> NDArray[np.float64]:
    """Boxes [M, T, 4] of those who act in the events, NaN while they do not."""
    names = list(dict.fromkeys(event.object_id for event in events))
    places = {thing.id: o for o, thing in enumerate(story.objects)}
    out = np.full((len(names), *boxes.shape[1:]), np.nan)
    for event in events:
        out[names.index(event.object_id), event.frames] = boxes[places[event.object_id], event.frames]
    return out


def _answering(story: Story, question: TimedQuestion) -> list[Event]:
    """The events whose times the answers are."""
    times = {(answer.start, answer.end) for answer in question.answers}
    return [event for event in story.events if (event.start, event.end) in times]


def draw(rng: np.random.Generator, story: Story, boxes: NDArray[np.float32], mixture: Mapping[Task, float]) -> Example:
    """An example of a task drawn by the mixture; of moments where the story has none of it."""
    tasks = list(mixture)
    weights = np.array([mixture[task] for task in tasks])
    task = tasks[int(rng.choice(len(tasks), p=weights / weights.sum()))]
    found = lessons_of(story, boxes, task) or lessons_of(story, boxes, Task.MOMENTS)
    return found[int(rng.integers(len(found)))]


def shown(boxes: NDArray[np.float32]) -> int | None:
    """The first frame in which an object's box [T, 4] is whole enough to be pointed at; None where there is none."""
    sides = boxes[:, 2:] - boxes[:, :2]
    seen = np.flatnonzero((np.nan_to_num(sides) >= LEAST).all(axis=1))
    return int(seen[0]) if len(seen) else None


def caption(story: Story, event: Event) -> str:
    """ "a red star spins": an event in its plainest words."""
    thing = _thing(story, event.object_id)
    return f"{_article(thing.colour)} {thing.colour} {thing.shape} {_does(event)}"


def description(story: Story, number: int) -> str:
    """ "a large red striped star that spins and then circles": an object in its plainest words, in order of time."""
    told = story.descriptions[number].attributes
    look = " ".join(told[name] for name in ("size", "colour", "texture", "shape") if name in told)
    keys = told["acts"].split()
    acts = " and then ".join(forms(ACTS[key])[1] for key in keys) or "stays in place the whole time"
    return f"{_article(look)} {look} that {acts}"


def _of_objects(story: Story, boxes: NDArray[np.float32], task: Task) -> list[Example]:
    """Description, and tracking by words or from a box, of each object that is ever seen."""
    out, times = [], np.arange(story.frames) / FPS
    for o, told in enumerate(story.descriptions):
        first = shown(boxes[o])
        if first is None:
            continue
        where = Region(float(times[first]), _corners(boxes[o, first]))
        track = Truth(boxes=boxes[o].astype(np.float64), box_times=times)
        if task is Task.REG:
            own = _spans((e.start, e.end) for e in story.events if e.object_id == told.object_id)
            acts = doing(story, boxes, [e for e in story.events if e.object_id == told.object_id])
            request = Request(task, region=where, id=f"o{o}")
            truth = replace(track, spans=own, text=description(story, o), acting=acts)
        elif task is Task.RSOT:
            request, truth = Request(task, told.looks[0], id=f"o{o}"), track
        else:
            request, truth = Request(task, region=where, id=f"o{o}"), track
        out.append(Example(str(story.seed), request, truth))
    return out


def _spans(times: Iterable[tuple[float, float]]) -> NDArray[np.float64]:
    """[M, 2], each once."""
    return np.array(sorted(set(times)), dtype=np.float64).reshape(-1, 2)


def _corners(box: NDArray[np.float32]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(v) for v in np.clip(box, 0, 1))
    return x1, y1, x2, y2


def _thing(story: Story, object_id: str) -> ObjectSpec:
    return next(o for o in story.objects if o.id == object_id)


def _does(event: Event) -> str:
    key = event.act if event.heading is None else f"{event.act}_{event.heading}"
    return forms(ACTS[key])[1]


def _article(words: str) -> str:
    return "an" if words[0] in "aeiou" else "a"


def texts_of(stories: Sequence[Story]) -> list[str]:
    """All words that are asked or wanted about stories: what a vocabulary is made from."""
    texts: list[str] = []
    for story in stories:
        texts += [m.text for m in story.moments] + [caption(story, e) for e in story.events]
        texts += [t for q in story.questions for t in (q.text, q.answer)]
        texts += [q.text for q in story.timed_questions] + [a.text for q in story.timed_questions for a in q.answers]
        texts += [t for k, d in enumerate(story.descriptions) for t in (description(story, k), *d.looks)]
    return texts
