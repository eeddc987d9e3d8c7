"""When a streaming grounder speaks: one policy, pure functions on scores, times and texts.

The rules are MMDuet's (Wang et al., 2024: a threshold on a frame's score, or on its running sum, which then starts
anew) and MMDuet2's (every frame is put to the model, which may answer NO REPLY), with what they lack: a least interval
and no reply twice. Knows numbers and words. Does not know models, frames or questions. The state is bounded, so that
a stream may last for ever.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from core.errors import InputError
from core.validators import check_least, check_probability

NO_REPLY: Final = "NO REPLY"
"""What the model writes where it has nothing to say; compared without case and punctuation."""
HEADS: Final = ("informative", "relevance")

_WORD: Final = re.compile(r"[^\W_]+")


class Rule(StrEnum):
    """What makes the policy ask the model for words."""

    THRESHOLD = "threshold"
    """A frame's score exceeds the threshold."""
    SUM = "sum"
    """The sum of the scores since the last time exceeds the threshold."""
    TEXT = "text"
    """Every frame: the model itself writes NO REPLY where it has nothing to say."""


class Verdict(StrEnum):
    """What becomes of the words that the model wrote."""

    SPOKEN = "spoken"
    NO_REPLY = "no_reply"
    DUPLICATE = "duplicate"


@dataclass(frozen=True)
class PolicySettings:
    """rule: see `Rule`.   heads: of which a frame's score is the sum, each 0..1.   threshold: that the score or its sum
    must exceed; not read by the rule `text`.

    interval: least seconds from one reply to the next about the same question, duplicates included, since each costs as
    much as a reply.   same: share of common words (Jaccard, 0..1) from which two replies are the same; more than 1 lets
    every reply pass.   memory: replies that a new one is compared with.   forget: seconds after which words may be said
    again.
    """

    rule: Rule = Rule.SUM
    heads: tuple[str, ...] = HEADS
    threshold: float = 2.0
    interval: float = 0.0
    same: float = 1.0
    memory: int = 8
    forget: float = math.inf

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        if self.rule not in list(Rule):
            raise InputError(f"policy rule: expected one of {', '.join(Rule)}, got {self.rule!r}")
        unknown = sorted(set(self.heads) - set(HEADS))
        if unknown or not self.heads or len(set(self.heads)) < len(self.heads):
            raise InputError(f"policy heads: expected each of {', '.join(HEADS)} at most once, got {list(self.heads)}")
        if not math.isfinite(self.threshold):
            raise InputError(f"policy threshold: expected a finite number, got {self.threshold}")
        check_least("policy interval", self.interval, 0, "seconds")
        check_least("policy forget", self.forget, 0, "seconds")
        check_least("policy memory", self.memory, 0, "replies")
        if not self.same > 0:
            raise InputError(f"policy same: expected a share of words above 0, got {self.same}")


@dataclass(frozen=True)
class PolicyState:
    """What a policy remembers: the running sum, the time of the last reply in seconds, and the last replies' words."""

    total: float = 0.0
    last: float = -math.inf
    said: tuple[tuple[float, frozenset[str]], ...] = ()


def begin_question(state: PolicyState) -> PolicyState:
    """The state after a new question: what was counted and said for another one does not hold back its answer."""
    return replace(state, total=0.0, last=-math.inf, said=())


def consider(
    settings: PolicySettings, state: PolicyState, time: float, scores: Mapping[str, float]
) -> tuple[PolicyState, bool]:
    """Take a frame's scores in; whether the model shall now be asked for words.

    The sum goes on through frames at which the interval forbids to speak, and starts anew when the model is asked.
    time: seconds, the frame's.   scores: of each head, 0..1.

    Raises:
        InputError: when a head is missing or a score lies outside 0..1.
    """
    score = 0.0
    if settings.rule is not Rule.TEXT:
        score = frame_score(settings, scores)
    total = state.total + score if settings.rule is Rule.SUM else score
    due = settings.rule is Rule.TEXT or total > settings.threshold
    # Times of frames are multiples of a fraction: a frame at the interval's end may lie a hair before it.
    if not due or time - state.last < settings.interval - 1e-6:
        return replace(state, total=total), False
    return replace(state, total=0.0), True


def judge(settings: PolicySettings, state: PolicyState, time: float, text: str) -> tuple[PolicyState, Verdict]:
    """What becomes of the model's words at a time in seconds.

    Words that say nothing are NO_REPLY and leave the interval as it was; DUPLICATE is what was said within `forget`
    seconds, to which it does not give a new life.
    """
    words = word_set(text)
    if not words or words == word_set(NO_REPLY):
        return state, Verdict.NO_REPLY
    known = any(time - at <= settings.forget and _overlap(words, before) >= settings.same for at, before in state.said)
    if known:
        return replace(state, last=time), Verdict.DUPLICATE
    kept = (*state.said, (time, words))[-settings.memory :] if settings.memory else ()
    return replace(state, last=time, said=kept), Verdict.SPOKEN


def frame_score(settings: PolicySettings, scores: Mapping[str, float]) -> float:
    """The sum of the chosen heads' scores, 0..len(heads).

    Raises:
        InputError: when a head is missing or a score lies outside 0..1.
    """
    missing = [head for head in settings.heads if head not in scores]
    if missing:
        raise InputError(f"policy: expected scores of {', '.join(settings.heads)}, got none of {', '.join(missing)}")
    for head in settings.heads:
        check_probability(f"policy: score of {head}", scores[head])
    return math.fsum(scores[head] for head in settings.heads)


def word_set(text: str) -> frozenset[str]:
    """The words of a text without case, order and punctuation."""
    return frozenset(word.casefold() for word in _WORD.findall(text))


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)
