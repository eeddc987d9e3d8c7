"""The pieces of what the language model reads, in tokens: words, turns, groups of frames and read-outs.

A piece is made of its own content alone, so that training, inference and streams make the same ones. Knows tokens and
the backbone that they are of. Does not know the order of pieces, embeddings or weights. Axis letters: T frames, N
tracks, K span queries.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final
from weakref import WeakKeyDictionary

from core.errors import InputError
from llm_grounder.backbone import (
    CLOSE,
    FRAME,
    OBJECT,
    OPEN,
    PRESENCE,
    REGION,
    VISUAL,
    Backbone,
    span_token,
    track_token,
)
from llm_grounder.policy import NO_REPLY, word_set
from llm_grounder.settings import GrounderSettings
from llm_grounder.times import TIME_TOKENS, write_time
from llm_grounder.types import Clip, Read, Region, Role, Turn

REMEMBERED: Final = 10_000  # texts whose tokens are kept
_IN_TEXT: Final = re.compile("|".join((*TIME_TOKENS, r"<track_\d+>")))


class Kind(IntEnum):
    """What a piece is, for masks over the past."""

    SYSTEM = 0
    USER = 1
    FRAMES = 2
    READ = 3
    REPLY = 4


@dataclass(frozen=True)
class Piece:
    """Tokens that come together.

    ids: n token ids.   learn: places of those that reach the language loss.
    marks: (frame, place in ids) of each frame's marker.   objects: (frame, track) of each <object>, in order.
    regions: of each <region>.   group: index of the group of frames, or -1.
    silent: of a reply whose words are NO REPLY.
    """

    kind: Kind
    ids: tuple[int, ...]
    learn: Sequence[int] = ()
    marks: tuple[tuple[int, int], ...] = ()
    objects: tuple[tuple[int, int], ...] = ()
    regions: tuple[Region, ...] = ()
    group: int = -1
    silent: bool = False


class Template:
    """Makes pieces in the tokens of one backbone."""

    def __init__(self, backbone: Backbone, settings: GrounderSettings) -> None:
        self.tokenizer: Any = backbone.tokenizer
        self.ids = backbone.ids
        self.settings = settings
        self.tracks = {self.ids[track_token(n)]: n for n in range(settings.tracks) if settings.track_width}
        self._times = {self.ids[token] for token in TIME_TOKENS}
        self._known: dict[str, tuple[int, ...]] = {}
        self._feed = self._words("\n")
        self._groups: WeakKeyDictionary[Clip, dict[int, Piece]] = WeakKeyDictionary()
        # Frames that show neither tracks nor times in tokens are alike in all clips.
        alike = not settings.track_width and settings.frame_times in ("none", "composed") and settings.group == 1
        self._alike: dict[int, Piece] | None = {} if alike else None

    def opening(self, system: str) -> Piece:
        """The system's words."""
        return Piece(Kind.SYSTEM, (*self._open("system"), *self._words(system), *self._close()))

    def turn(self, turn: Turn) -> Piece:
        """A whole turn; of an assistant's, the words and the closing token are to be learnt where it says so."""
        opened, words = self._open(turn.role.value), self._words(turn.text)
        region = (self.ids[REGION],) if turn.region is not None else ()
        ids = (*opened, *words, *region, *self._close())
        if turn.role is Role.USER:
            return Piece(Kind.USER, ids, regions=(turn.region,) if turn.region is not None else ())
        if turn.region is not None:
            raise InputError("turn: expected a region in a user's turn only, got one in an assistant's")
        learnt = list(range(len(opened), len(opened) + len(words) + 1)) if turn.learn else []
        if turn.given:
            learnt = [place for place in learnt if ids[place] not in self._times]
        return Piece(Kind.REPLY, ids, learn=tuple(learnt), silent=word_set(turn.text) == word_set(NO_REPLY))

    def reply_open(self) -> Piece:
        """The start of an assistant's turn, whose words come next."""
        return Piece(Kind.REPLY, self._open(Role.ASSISTANT.value))

    def groups(self, frames: int) -> int:
        """How many groups so many frames make."""
        return math.ceil(frames / (self.settings.group or frames))

    def group(self, clip: Clip, group: int) -> Piece:
        """Group `group` of a clip's frames: its visual tokens, then objects, time and marker of each frame."""
        known = self._alike
        if known is None:
            known = self._groups.setdefault(clip, {})  # several requests a clip are usual
        if group not in known:
            known[group] = self._group(clip, group)
        return known[group]

    def _group(self, clip: Clip, group: int) -> Piece:
        size = self.settings.group or clip.frames
        ids = [self.ids[VISUAL]] * self.settings.tokens_a_group
        marks, objects = [], []
        for t in range(group * size, min((group + 1) * size, clip.frames)):
            here = self._tracks_in(clip, t)
            objects += [(t, n) for n in here]
            ids += [self.ids[OBJECT]] * len(here) + self._time(float(clip.times[t])) + [self.ids[FRAME]]
            marks.append((t, len(ids) - 1))
        return Piece(Kind.FRAMES, tuple(ids), marks=tuple(marks), objects=tuple(objects), group=group)

    def reads(self, clip: Clip, reads: Sequence[Read]) -> Piece:
        """Tokens of the read-outs."""
        ids = list(self._open("read"))
        if Read.SPANS in reads:
            if not self.settings.spans:
                raise InputError("sample: expected no span read-out for a grounder without span queries, got one")
            ids += [self.ids[span_token(k)] for k in range(self.settings.spans)]
        if Read.TRACKS in reads:
            if not self.settings.track_width:
                raise InputError("sample: expected no track read-out for a grounder that reads no tracks, got one")
            ids += [self.ids[PRESENCE], *(self.ids[track_token(n)] for n in range(clip.tracks))]
        return Piece(Kind.READ, (*ids, *self._close()))

    def _tracks_in(self, clip: Clip, t: int) -> tuple[int, ...]:
        if not self.settings.track_width:
            return ()
        if clip.tracks > self.settings.tracks:
            raise InputError(
                f"clip {clip.id!r}: expected {self.settings.tracks} tracks at most for this grounder, got {clip.tracks}"
            )
        return clip.seen[t] if clip.tracks else ()

    def _time(self, seconds: float) -> list[int]:
        if self.settings.frame_times == "tokens":
            return self._words(write_time(seconds, "tokens"))
        return self._words(write_time(seconds, "text")) if self.settings.frame_times == "text" else []

    def _open(self, role: str) -> tuple[int, ...]:
        return (self.ids[OPEN], *self._words(role), *self._feed)

    def _close(self) -> tuple[int, ...]:
        return (self.ids[CLOSE], *self._feed)

    def _words(self, text: str) -> list[int]:
        """Ids of words. Only time and track tokens are known in them, so that what a user types closes no turn."""
        ids: list[int] = []
        start = 0
        for found in _IN_TEXT.finditer(text):
            if (token := self.ids.get(found[0])) is not None:
                ids += [*self._plain(text[start : found.start()]), token]
                start = found.end()
        return ids + self._plain(text[start:])

    def _plain(self, text: str) -> list[int]:
        if not text:
            return []
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = tuple(self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))
            self._known[text] = known
        return list(known)
