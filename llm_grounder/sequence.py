"""What the language model reads, as tokens: one template for training, inference and streams.

A sequence is pieces one after another: the system's words, turns in ChatML, groups of frames between them, read-out
tokens. No piece's tokens depend on another piece. `arrange` puts a whole sample together; a stream makes the same
pieces one by one. Knows tokens and their order. Does not know embeddings or weights.
Axis letters: L tokens, T frames, N tracks, K span queries.

    <|im_start|>system W <|im_end|> <|im_start|>user W <region> <|im_end|>
    (<visual>.. (<object>.. TIME <frame>)..)..
    <|im_start|>read <span_0>.. <presence> <track_0>.. <|im_end|> <|im_start|>assistant W <|im_end|>
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

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
from llm_grounder.types import Clip, Read, Region, Role, Sample, Turn

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
    learn: range = range(0)
    marks: tuple[tuple[int, int], ...] = ()
    objects: tuple[tuple[int, int], ...] = ()
    regions: tuple[Region, ...] = ()
    group: int = -1
    silent: bool = False


@dataclass(frozen=True, eq=False)
class Layout:
    """A sample as tokens.

    ids: [L].   labels: [L], the token itself where it is to be learnt, else -100.   kind, frame, piece: [L], the kind,
    the frame (-1 for none) and the number of the piece of each token.   frame_at: [T] places of the markers.
    span_at: [K], track_at: [N], presence_at: places of read-out tokens, empty where there are none.
    objects: [X, 2], frame and track of each <object>.   regions: [R, 4], box of each <region>.
    pieces: what it was made of.
    """

    ids: Tensor
    labels: Tensor
    kind: Tensor
    frame: Tensor
    piece: Tensor
    frame_at: Tensor
    span_at: Tensor
    track_at: Tensor
    presence_at: Tensor
    objects: Tensor
    regions: Tensor
    pieces: tuple[Piece, ...] = field(repr=False)


class Template:
    """Makes pieces in the tokens of one backbone."""

    def __init__(self, backbone: Backbone, settings: GrounderSettings) -> None:
        self.tokenizer: Any = backbone.tokenizer
        self.ids = backbone.ids
        self.settings = settings
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
        learnt = range(len(opened), len(opened) + len(words) + 1) if turn.learn else range(0)
        return Piece(Kind.REPLY, ids, learn=learnt, silent=word_set(turn.text) == word_set(NO_REPLY))

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


def pieces_of(sample: Sample, template: Template, *, answer: bool) -> Iterator[Piece]:
    """The pieces of a sample in order.   answer: whether an assistant's turn is opened at the end."""
    clip, turns = sample.clip, list(sample.turns)
    yield template.opening(sample.system)
    size = template.settings.group or clip.frames
    for g in range(template.groups(clip.frames)):
        now = float(clip.times[g * size])
        while turns and (turns[0].time < now or (turns[0].time == now and turns[0].role is Role.USER)):
            yield template.turn(turns.pop(0))
        yield template.group(clip, g)
    while turns and turns[0].role is Role.USER:
        yield template.turn(turns.pop(0))
    if sample.reads:
        yield template.reads(clip, sample.reads)
    yield from (template.turn(turn) for turn in turns)
    if answer:
        yield template.reply_open()


def arrange(sample: Sample, template: Template, *, answer: bool = False) -> Layout:
    """A sample as tokens; with `answer` it ends where the model goes on."""
    return lay_out(tuple(pieces_of(sample, template, answer=answer)), template)


def lay_out(pieces: Sequence[Piece], template: Template) -> Layout:
    """Pieces one after another, and where their read-outs are."""
    ids: list[int] = []
    labels, marks, frames, runs = [-100] * sum(len(piece.ids) for piece in pieces), [], [], []
    for piece in pieces:
        start, before = len(ids), 0
        ids.extend(piece.ids)
        for t, place in piece.marks:
            frames.append(t)
            runs.append(place + 1 - before)
            marks.append(start + place)
            before = place + 1
        frames.append(-1)
        runs.append(len(piece.ids) - before)
        for place in piece.learn:
            labels[start + place] = piece.ids[place]
    lengths = [len(piece.ids) for piece in pieces]
    known = template.settings
    return Layout(
        ids=_numbers(ids), labels=_numbers(labels), kind=_repeated([int(piece.kind) for piece in pieces], lengths),
        frame=_repeated(frames, runs), piece=_repeated(range(len(pieces)), lengths), frame_at=_numbers(marks),
        span_at=_places(pieces, template, map(span_token, range(known.spans))),
        track_at=_places(pieces, template, map(track_token, range(known.tracks))),
        presence_at=_places(pieces, template, [PRESENCE]),
        objects=_numbers([pair for piece in pieces for pair in piece.objects]).view(-1, 2),
        regions=torch.tensor([region.box for piece in pieces for region in piece.regions]).view(-1, 4),
        pieces=tuple(pieces),
    )  # fmt: skip


def _numbers(values: Sequence[Any]) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.int64))


def _repeated(values: Sequence[int], counts: Sequence[int]) -> Tensor:
    """Each value so many times; torch's own takes milliseconds for it."""
    return torch.from_numpy(np.repeat(np.array(values, dtype=np.int64), counts))


def _places(pieces: Sequence[Piece], template: Template, tokens: Iterable[str]) -> Tensor:
    """Where these tokens stand among the read-outs."""
    wanted, start = {template.ids[token] for token in tokens}, 0
    found = []
    for piece in pieces:
        if piece.kind is Kind.READ:
            found += [start + place for place, token in enumerate(piece.ids) if token in wanted]
        start += len(piece.ids)
    return _numbers(found)


@dataclass(frozen=True, eq=False)
class Batch:
    """B layouts side by side. ids, labels, positions: [B, L].   real: [B, L] bool.   start: [B], where each begins."""

    ids: Tensor
    labels: Tensor
    positions: Tensor
    real: Tensor
    start: tuple[int, ...]


def collate(layouts: Sequence[Layout], filler: int, *, left: bool = False) -> Batch:
    """Layouts filled up with the token `filler` at their ends, or with `left` (to go on after them) at their starts."""
    longest = max(len(layout.ids) for layout in layouts)
    shape = (len(layouts), longest)
    ids, labels = torch.full(shape, filler), torch.full(shape, -100)
    real, positions = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.long)
    starts = tuple(longest - len(layout.ids) if left else 0 for layout in layouts)
    for row, (layout, start) in enumerate(zip(layouts, starts, strict=True)):
        here = slice(start, start + len(layout.ids))
        ids[row, here], labels[row, here], real[row, here] = layout.ids, layout.labels, True
        positions[row, here] = torch.arange(len(layout.ids))
    return Batch(ids, labels, positions, real, starts)
