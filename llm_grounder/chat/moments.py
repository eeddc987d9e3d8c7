"""A chat model is asked when something happens, and its strict reading becomes MomentScores.

Knows questions and score types. Does not know models or files. Axis letters: K frames, T' times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.reporting import Progress
from core.types import MomentScores, TimeSpan
from llm_grounder.chat.asking import Ask, ChatModel, ChatReply, timed_frames
from llm_grounder.tasks.catalog import FORMATS
from llm_grounder.tasks.failures import QUOTED, Failure, FailureCounts, FailureKind
from llm_grounder.tasks.spec import Terms
from llm_grounder.types import Task

SYSTEM: Final = "You look at frames of one video. Each frame follows its time in seconds."
MOST: Final = 256  # tokens of a reply; a long list of windows is shorter


@dataclass(frozen=True, eq=False)
class MomentQuestion:
    """When does `text` happen? Frames uint8 [K, H, W, 3] at `times` [K] of a video that ends at `end`, seconds."""

    video_id: str
    expression_id: str
    text: str
    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    end: float
    cache: str = ""


def moment_ask(question: MomentQuestion, most: int = MOST) -> Ask:
    """The question as words and timed frames."""
    words = (
        f"The video ends at {question.end:.1f} seconds. When does this happen: {question.text.strip()}? "
        "Answer with every window as 'start - end seconds', windows parted by commas, and nothing else. "
        "If it never happens, answer 'none'."
    )
    return Ask((*timed_frames(question.frames, question.times), words), SYSTEM, most)


def read_moments(reply: ChatReply, end: float) -> tuple[TimeSpan, ...] | Failure:
    """The windows of a reply, in seconds and its order; a failure where it is malformed or was cut."""
    if reply.cut:
        return Failure(FailureKind.TRUNCATED, "expected a whole reply, got one cut for its length", reply.text[:QUOTED])
    found: tuple[TimeSpan, ...] | Failure = FORMATS[Task.MOMENTS].parse(reply.text, Terms(end))
    return found


def ask_moments(
    model: ChatModel, questions: Sequence[MomentQuestion], progress: Progress | None = None, most: int = MOST
) -> tuple[list[MomentScores], FailureCounts]:
    """Scores a question, in order, and how many replies failed; a reply is `most` tokens at most.

    A chat model gives no probability: spans have no score, and the relevance of a frame is 1 within a span, 0
    elsewhere. A failed reply is a score without spans, that counts as a miss.

    Raises:
        InputError: for frames and times that are malformed.
        ServerError: where a server fails for good.
    """
    replies = model.answer([moment_ask(question, most) for question in questions], progress)
    counts, scores = FailureCounts(), []
    for question, reply in zip(questions, replies, strict=True):
        found = read_moments(reply, question.end)
        counts.update(found)
        scores.append(_scores(question, reply.text, () if isinstance(found, Failure) else found, model.sha256))
    return scores, counts


def _scores(question: MomentQuestion, text: str, spans: tuple[TimeSpan, ...], scorer: str) -> MomentScores:
    inside = np.zeros(len(question.times))
    for span in spans:
        inside[(question.times >= span.start) & (question.times < span.end)] = 1
    ids = (question.video_id, question.expression_id)
    return MomentScores(*ids, question.times, inside, spans, text, scorer, question.cache)
