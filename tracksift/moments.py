"""A grounder's word on the moments of a split: MomentScores for every sentence whose video has features.

Knows caches, examples and the grounder. Does not know annotations' files or metrics. A video without features is a
named error, and not left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch

from cache import cache_path
from core.devices import autocast
from core.errors import InputError
from core.reporting import Progress
from core.types import MomentScores
from core.video_files import SUFFIXES
from llm_grounder.grounder import Grounder
from llm_grounder.readouts.frames import relevant_spans
from llm_grounder.tasks.catalog import FORMATS
from llm_grounder.tasks.failures import Failure, FailureCounts
from llm_grounder.types import Clip, Reply, Sample
from tracksift.clips import Inputs, read_clip
from tracksift.grounding import Example, Manner, question, terms_of
from tracksift.jobs import SINGLE
from tracksift.reading import saliency, weighed
from tracksift.reply_rules import ReplyRules

TOGETHER: Final = 8
MOST: Final = 160
"""Tokens of windows in words."""


def cache_of(root: Path, name: str, split: str, video_id: str) -> Path:
    """The cache file of a dataset's video: the split's own, else that of a single video of the same name, whose suffix
    some datasets (MAGQA) keep in their ids and `extract-features` does not.

    Raises:
        InputError: where there is neither.
    """
    own, single = cache_path(root, name, split, video_id), cache_path(root, SINGLE, "single", _stem(video_id))
    for path in (own, single):
        if path.exists():
            return path
    raise InputError(
        f"video {video_id!r}: expected features in {own} or {single}, got neither; run `tracksift extract-features`"
    )


def _stem(video_id: str) -> str:
    path = Path(video_id)
    return path.stem if path.suffix.lower() in SUFFIXES else video_id


def predict_moments(
    grounder: Grounder, scorer: str, inputs: Inputs, examples: Sequence[Example], caches: Mapping[str, Path],
    manner: Manner, failures: FailureCounts, progress: Progress | None = None,
) -> Iterator[MomentScores]:  # fmt: skip
    """Scores of each example, in their order where those of a video stand together.

    caches: by video id.   scorer: the hash of the grounder's weights.   failures: counts replies in words that could
    not be read; their scores have no spans.

    Raises:
        CacheError: for caches that cannot be used, or have other features.
    """
    rules = ReplyRules(grounder, manner, dict.fromkeys(FORMATS, MOST))
    done = 0
    for video_id, group in itertools.groupby(examples, key=lambda example: example.video_id):
        asked = list(group)
        clip = read_clip(caches[video_id], inputs)
        for i in range(0, len(asked), TOGETHER):
            part = asked[i : i + TOGETHER]
            samples = [question(clip, example.request, manner) for example in part]
            for example, reply in zip(part, ask_moments(grounder, samples, manner, rules), strict=True):
                yield _scores(example, clip, reply, scorer, manner, failures)
            done += len(part)
            if progress is not None:
                progress(done, len(examples))


@torch.no_grad()
def ask_moments(grounder: Grounder, samples: Sequence[Sample], manner: Manner, rules: ReplyRules) -> list[Reply]:
    """Replies of the span read-out, or in words under the grammar of windows."""
    with autocast(grounder.device):
        if manner.windows != "words":
            return grounder.outputs(samples)
        return grounder.generate(samples, most=MOST, processors=rules)


def _scores(
    example: Example, clip: Clip, reply: Reply, scorer: str, manner: Manner, failures: FailureCounts
) -> MomentScores:
    spans = weighed(clip, reply, manner)
    if manner.windows == "words":
        parsed = FORMATS[example.request.task].parse(reply.text, terms_of(clip, example.request, manner))
        failures.update(parsed)
        spans = () if isinstance(parsed, Failure) else tuple(parsed)
    elif manner.windows == "relevance" and reply.relevance is not None:
        spans = relevant_spans(reply.relevance, clip.times, clip.end)
    none = reply.relevance is None
    return MomentScores(
        example.video_id, example.request.id, np.zeros(0) if none else clip.times,
        np.zeros(0) if none else saliency(clip, reply, manner), spans, reply.text, scorer, clip.cache,
    )  # fmt: skip
