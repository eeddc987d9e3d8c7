"""Real annotations as the grounder's examples: requests with their truth, of any dataset that is learnt from.

Knows readers and what their entries mean. Does not know caches, wordings or models. Nothing is left out silently: what
cannot be learnt from is counted by reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.catalog import CATALOG, Kind
from benchmarks.moment_protocol import MomentQuery
from benchmarks.registry import dataset
from core.errors import InputError
from llm_grounder.tasks.spec import Told
from llm_grounder.types import Region, Request, Task
from tracksift.grounding import Example, Truth

TOP: Final = 4.0  # of QVHighlights' saliency


@dataclass
class Examples:
    """What a split gives: examples, and how many entries were left out, by reason."""

    name: str
    split: str
    found: list[Example] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def read_examples(name: str, data: Path, split: str | None = None, *, known: bool = True) -> Examples:
    """All examples of a split of a dataset.   known: leave out (and count) those without a truth to learn.

    Raises:
        InputError: for an unknown dataset, one that nothing is learnt from here, or files that are not there.
        AnnotationError: where they are malformed.
    """
    opened = dataset(name)
    kind = CATALOG[name].kind
    if kind not in _BY_KIND:
        raise InputError(
            f"dataset {name!r}: expected one of {', '.join(_BY_KIND)}, got {kind}, which is not learnt here"
        )
    reader = opened.open(data, split)
    out = Examples(name, reader.split)
    for item in _BY_KIND[kind](reader):
        if isinstance(item, str):
            out.left_out[item] += 1
        elif known and not _is_known(item.truth):
            out.left_out["without a truth"] += 1
        else:
            out.found.append(item)
    return out


def _is_known(truth: Truth) -> bool:
    return bool(truth.told or truth.text) or any(v is not None for v in (truth.spans, truth.worth, truth.boxes))


Found = Iterator[Example | str]
"""Examples, and reasons for which an entry is none."""


def moment_example(query: MomentQuery) -> Example:
    """A sentence and its windows; saliency of clips where annotators gave it."""
    worth = None if query.saliency is None else query.saliency.mean(axis=1) / TOP
    return Example(query.video_id, Request(Task.MOMENTS, query.text, id=query.id), Truth(query.windows, worth))


def _moments(reader: Any) -> Found:
    yield from map(moment_example, reader.queries())


def _masks(reader: Any) -> Found:
    """Expressions of referred masks: windows where the words name them."""
    for video in reader.videos():
        for said in video.expressions:
            windows = None if said.spans is None else np.array([[s.start, s.end] for s in said.spans]).reshape(-1, 2)
            request = Request(Task.MOMENTS, said.text, id=said.id)
            yield Example(video.id, request, Truth(windows))


def _captions(reader: Any) -> Found:
    for video in reader.videos():
        told = tuple(
            Told(float(start), float(end), text)
            for (start, end), text in zip(video.segments, video.captions, strict=True)
            if round(float(start), 1) < round(float(end), 1)
        )
        for _ in range(len(video.captions) - len(told)):
            yield "captions shorter than a tenth of a second"
        if told:
            ordered = tuple(sorted(told, key=lambda t: (t.start, t.end)))
            yield Example(video.id, Request(Task.CAPTIONS, id=video.id), Truth(told=ordered))
        else:
            yield "videos without a caption"


def _questions(reader: Any) -> Found:
    for q in reader.questions():
        options = tuple(dict.fromkeys(q.options))
        yield Example(q.video_id, Request(Task.QA, q.question, options=options, id=q.id), Truth(text=q.answer))


def _timely(reader: Any) -> Found:
    for q in reader.questions():
        told = tuple(Told(a.start, max(a.end, a.start + 0.1), a.text) for a in q.answers)
        yield Example(q.video_id, Request(Task.TIMED_QA, q.question, q.asked, id=q.id), Truth(told=told))


def _dialogues(reader: Any) -> Found:
    """Each answer of an assistant to the user's turn before it, as a question."""
    for dialogue in reader.dialogues():
        asked = ""
        for number, turn in enumerate(dialogue.turns):
            if turn.role == "user":
                asked = turn.text
            elif not asked:
                yield "turns of the assistant that answer nothing"
            else:
                request = Request(Task.QA, asked, id=f"{dialogue.id}/{number}")
                yield Example(dialogue.video_id, request, Truth(text=turn.text))
                asked = ""


def _tracking(reader: Any) -> Found:
    """The first box to be followed, and the words where there are some; at frames a second of 30 where nobody says."""
    for video in reader.videos():
        truth = reader.truth(video)
        if truth.size is None:
            yield "videos without a size"
            continue
        width, height = truth.size
        boxes = np.clip(truth.corners() / np.array([width, height, width, height]), 0, 1)
        gone = ~(boxes[:, 2:] > boxes[:, :2]).all(axis=1) | (False if truth.absent is None else truth.absent)
        boxes[gone] = np.nan
        if gone.all():
            yield "videos without a box"
            continue
        times = np.arange(len(boxes)) / (video.fps or 30.0)
        first = int(np.flatnonzero(~gone)[0])
        where = Region(float(times[first]), (*boxes[first].tolist(),))
        track = Truth(boxes=boxes, box_times=times)
        yield Example(video.id, Request(Task.SOT, region=where, id=video.id), track)
        for said in video.expressions:
            yield Example(video.id, Request(Task.RSOT, said.text, id=said.id), track)
            yield Example(video.id, Request(Task.REG, region=where, id=f"{said.id}/reg"), Truth(text=said.text))


_BY_KIND: Final[Mapping[Kind, Callable[[Any], Found]]] = {
    Kind.MOMENTS: _moments,
    Kind.MASKS: _masks,
    Kind.CAPTIONS: _captions,
    Kind.QUESTIONS: _questions,
    Kind.TIMED_ANSWERS: _timely,
    Kind.INSTRUCTIONS: _dialogues,
    Kind.BOXES: _tracking,
}
