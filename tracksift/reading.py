"""What the heads' replies say of a clip: each frame's worth, and windows by score, as the manner has them.

Knows how read-outs that were trained apart are put together. Does not know how a grounder is asked to train, or words.
Axis letters: T frames, M windows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from core.errors import InputError
from core.types import TimeSpan
from llm_grounder.readouts.runs import found_in
from llm_grounder.types import Clip, Reply, Request, Sample, Task
from tracksift.grounding import Manner, question

# Chosen on the first 12 films each of valid and shifted_dev, where 0 to .2 and other rises were as good.
APART: Final = 0.2  # of its worth that a frame keeps in a summary where nothing happens
BORDER: Final = 0.5  # where something begins or ends; all of it in the middle


def saliency(clip: Clip, reply: Reply, manner: Manner) -> NDArray[np.float64]:
    """How much each frame is worth, [T] in 0..1: its relevance, smoothed as the manner has it.

    Raises:
        InputError: for a reply of a grounder without frame heads.
    """
    if reply.relevance is None:
        raise InputError("grounder: expected one with frame heads, got one without")
    if not manner.smooth:
        return reply.relevance
    pace = clip.frames / (clip.end - float(clip.times[0]))  # frames a second
    return np.asarray(gaussian_filter1d(reply.relevance, manner.smooth * pace)).clip(0, 1)


def weighed(clip: Clip, reply: Reply, manner: Manner) -> tuple[TimeSpan, ...]:
    """The windows of a reply's span queries, best first: read-outs that were trained apart seldom err alike, so that a
    window counts for more where its frames are relevant and, with tracks, one of them does what is asked for. Without
    frame heads as they are.
    """
    if not manner.weigh or reply.relevance is None:
        return reply.spans
    out = []
    for span in reply.spans:
        inside = (clip.times >= span.start) & (clip.times < span.end)
        shown = float(reply.relevance[inside].mean()) if inside.any() else 0.0
        if reply.fits is not None and len(reply.fits) and inside.any():
            shown *= float(reply.fits[:, inside].mean(axis=1).max())
        out.append(replace(span, score=(span.score or 0.0) * shown**manner.weigh))
    return tuple(sorted(out, key=lambda span: -(span.score or 0.0)))


def worth_keeping(
    clip: Clip, manner: Manner, ask: Callable[[Sequence[Sample]], Sequence[Reply]]
) -> NDArray[np.float64]:
    """How much each frame is worth in a summary, [T] in 0..1.   ask: gives the heads' replies to samples.

    What is relevant to a summary counts and, where the manner has events, what happens, which the heads of captions
    tell: each event is worth most in its middle. Without tracks that tell of events relevance decides alone, since
    span queries, which know no tracks, make summaries worse.

    Raises:
        InputError: for a grounder without frame heads.
    """
    tasks = (Task.SUMMARY, Task.CAPTIONS) if manner.events else (Task.SUMMARY,)
    samples = [question(clip, Request(task, id=task.value), manner) for task in tasks]
    replies = ask(samples)
    worth = saliency(clip, replies[0], manner)
    found = found_in(samples[1], replies[1]) if manner.events else []
    return worth * _amid(clip, [(run.start, run.end) for run in found]) if found else worth


def _amid(clip: Clip, windows: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """[T]: APART outside all windows [M], from BORDER at the ends of one to 1 in its middle, the most of them."""
    edges = np.append(clip.times, clip.end)
    middles = (edges[:-1] + edges[1:]) / 2  # [T] seconds, of what each frame stands for
    out = np.full(clip.frames, APART)
    for start, end in windows:
        inside = (middles >= start) & (middles < end)
        near = 1 - np.abs(2 * (middles[inside] - start) / (end - start) - 1)  # 0 at the ends, 1 in the middle
        out[inside] = np.maximum(out[inside], BORDER + (1 - BORDER) * near)
    return out
