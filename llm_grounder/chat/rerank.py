"""A chat model is shown the selector's top tracks by number, and those that it names become TrackScores.

Knows questions and score types. Does not know models, selectors or caches. Axis letters: N tracks, K frames.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.reporting import Progress
from core.types import TrackScores
from llm_grounder.chat.asking import Ask, ChatModel, ChatReply, timed_frames
from llm_grounder.chat.moments import SYSTEM
from llm_grounder.chat.overlays import number_boxes
from llm_grounder.tasks.failures import QUOTED, Failure, FailureCounts, FailureKind, MalformedReply, attempt
from llm_grounder.tasks.spec import clean, says_none

TOP: Final = 8
MOST: Final = 64

_NUMBER: Final = r"(?:(?:objects?|tracks?|numbers?|box(?:es)?)\s*)?#?([0-9]{1,4})"
_JOIN: Final = r"(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*)"
_LIST: Final = re.compile(
    rf"(?:(?:the\s+)?answer(?:\s+is)?:?\s*)?(?:the\s+)?\[?\s*{_NUMBER}(?:{_JOIN}{_NUMBER})*\s*\]?\.?", re.IGNORECASE
)


@dataclass(frozen=True, eq=False)
class TrackQuestion:
    """Which of the tracks is `text`? Those that the selector holds likeliest are shown.

    frames: uint8 [K, H, W, 3] at `times` [K] seconds.   boxes: [N, K, 4] pixels of all tracks in those frames, NaN
    where absent.   chosen: the selector's scores of the N tracks.
    """

    text: str
    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    boxes: NDArray[np.floating]
    chosen: TrackScores

    def __post_init__(self) -> None:
        """Refuse scores of another number of tracks."""
        if len(self.boxes) != len(self.chosen.probability):
            raise InputError(
                f"track question: expected boxes of {len(self.chosen.probability)} tracks, got {len(self.boxes)}"
            )


def top_tracks(scores: TrackScores, most: int = TOP) -> NDArray[np.int64]:
    """Indices of the likeliest tracks, the likeliest first, ties by index."""
    return np.argsort(-scores.probability, kind="stable")[:most].astype(np.int64)


def rerank_ask(question: TrackQuestion, shown: NDArray[np.int64]) -> Ask:
    """The question as words and timed frames on which the tracks `shown` have numbers from 1."""
    frames = number_boxes(question.frames, question.boxes[shown])
    words = (
        f"Objects are marked with numbers from 1 to {len(shown)}. Which of them are meant by: {question.text.strip()}? "
        "Answer with their numbers, parted by commas, and nothing else. If none is meant, answer 'none'."
    )
    return Ask((*timed_frames(frames, question.times), words), SYSTEM, MOST)


def read_numbers(reply: ChatReply, count: int) -> tuple[int, ...] | Failure:
    """Numbers 1..count that a reply names, rising, each once; () where it says none."""
    if reply.cut:
        return Failure(FailureKind.TRUNCATED, "expected a whole reply, got one cut for its length", reply.text[:QUOTED])
    return attempt(lambda: _numbers(clean(reply.text), count), reply.text)


def rerank(
    model: ChatModel, questions: Sequence[TrackQuestion], top: int = TOP, progress: Progress | None = None
) -> tuple[list[TrackScores | None], FailureCounts]:
    """New scores a question, in order, and how many replies failed; None where one did, so that the old ones stay.

    Of the tracks shown, the named have probability 1 and the others 0; those that were not shown have 0, which fusion
    does not read. A question without tracks is not asked and keeps its scores.

    Raises:
        InputError: for frames and boxes that are malformed.
        ServerError: where a server fails for good.
    """
    shown = [top_tracks(question.chosen, top) for question in questions]
    asked = [i for i, tracks in enumerate(shown) if len(tracks)]
    replies = model.answer([rerank_ask(questions[i], shown[i]) for i in asked], progress)
    counts = FailureCounts()
    scores: list[TrackScores | None] = [question.chosen for question in questions]
    for i, reply in zip(asked, replies, strict=True):
        found = read_numbers(reply, len(shown[i]))
        counts.update(found)
        scores[i] = None if isinstance(found, Failure) else _scores(questions[i], shown[i], found, model.sha256)
    return scores, counts


def _scores(question: TrackQuestion, shown: NDArray[np.int64], named: tuple[int, ...], scorer: str) -> TrackScores:
    probability = np.zeros(len(question.boxes))
    probability[shown[np.array(named, dtype=np.int64) - 1]] = 1
    old = question.chosen
    return TrackScores(old.video_id, old.expression_id, probability, float(bool(named)), scorer, old.cache)


def _numbers(text: str, count: int) -> tuple[int, ...]:
    if says_none(text):
        return ()
    if _LIST.fullmatch(text) is None:
        kind = FailureKind.LEFTOVER if re.search(r"[0-9]", text) else FailureKind.NO_ITEMS
        raise MalformedReply(kind, f"expected numbers of objects and nothing else, got {text[:60]!r}")
    named = sorted({int(number) for number in re.findall(r"[0-9]+", text)})
    if not 1 <= named[0] <= named[-1] <= count:
        raise MalformedReply(FailureKind.OUT_OF_RANGE, f"expected numbers 1..{count}, got {named}")
    return tuple(named)
