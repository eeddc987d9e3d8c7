"""How grounders are trained, by name: which tasks, in which manner, through which read-outs; and sources of samples.

`vtg` says everything in words with time tokens; `tcs` regresses windows from span queries; `duet` reads frames one by
one and speaks when it is due; `track` boxes and describes objects. Knows settings and examples. Does not know files or
the training.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.errors import CheckpointError, InputError
from llm_grounder.mixture import Source
from llm_grounder.types import Clip, Sample, Task
from tracksift.grounding import Example, Manner, lesson


@dataclass(frozen=True)
class Recipe:
    """tasks: that are learnt.   manner: of asking.   settings: of the grounder, where they are not its own defaults."""

    tasks: frozenset[Task]
    manner: Manner
    settings: Mapping[str, Any]


RECIPES: Final[Mapping[str, Recipe]] = {
    "vtg": Recipe(
        frozenset({Task.MOMENTS, Task.CAPTIONS, Task.QA}), Manner("tokens", "words", wording=-1),
        {"compressor": "slots", "spans": 0, "boxes": 0, "frame_heads": False, "frame_times": "tokens"},
    ),
    "tcs": Recipe(
        frozenset({Task.MOMENTS}), Manner("tokens", "spans", wording=-1),
        {"compressor": "slots", "spans": 8, "boxes": 0},
    ),
    "duet": Recipe(
        frozenset({Task.MOMENTS, Task.TIMED_QA, Task.QA}), Manner("text", "relevance", live=True, wording=-1),
        {"compressor": "average", "visual_tokens": 1, "spans": 0, "boxes": 0},
    ),
    "track": Recipe(
        frozenset({Task.SOT, Task.RSOT, Task.REG}), Manner("text", "relevance", wording=-1),
        {"compressor": "t_selector", "spans": 0, "boxes": 1, "frame_heads": False},
    ),
}  # fmt: skip


def find_recipe(name: str) -> Recipe:
    """The recipe of a name; InputError for another."""
    if name not in RECIPES:
        raise InputError(f"--recipe: expected one of {', '.join(RECIPES)}, got {name!r}")
    return RECIPES[name]


def manner_of(record: Mapping[str, Any]) -> Manner:
    """How a checkpoint's grounder was asked; CheckpointError where its record does not say."""
    try:
        return Manner(**record["manner"])
    except (KeyError, TypeError) as error:
        raise CheckpointError("grounder: expected a record with the manner of asking, got none") from error


def make_sources(
    name: str, examples: Sequence[Example], tasks: Collection[Task], manner: Manner, clip_of: Callable[[str], Clip],
    weight: float = 1.0,
) -> list[Source]:  # fmt: skip
    """A source for each of the tasks that the examples of a dataset have, drawn by the root of how many there are.

    clip_of: the clip of a video id.
    """
    out = []
    for task in sorted(tasks):
        own = [example for example in examples if example.request.task is task]
        if own:
            make = partial(_lesson, own, manner, clip_of)
            out.append(Source(f"{name} {task.value}", len(own), weight * len(own) ** 0.5, make))
    return out


def _lesson(
    examples: Sequence[Example], manner: Manner, clip_of: Callable[[str], Clip], number: int, rng: np.random.Generator
) -> Sample:
    example = examples[number]
    return lesson(clip_of(example.video_id), example.request, example.truth, manner, rng)


def read_data_flag(text: str) -> tuple[str, str | None, Path]:
    """NAME=PATH or NAME:SPLIT=PATH; InputError for another form."""
    name, equals, path = text.partition("=")
    name, _, split = name.partition(":")
    if not equals or not name or not path:
        raise InputError(f"--data: expected NAME=PATH or NAME:SPLIT=PATH, got {text!r}")
    return name, split or None, Path(path)
