"""What the language model reads, as tokens: one template for training, inference and streams.

A sequence is pieces one after another: the system's words, turns in ChatML, groups of frames between them, read-out
tokens. No piece's tokens depend on another piece. `arrange` puts a whole sample together; a stream takes the same
pieces one by one. Knows the order of pieces and where their read-outs are. Does not know how a piece is made,
embeddings or weights. Axis letters: L tokens, T frames, N tracks, K span queries.

    <|im_start|>system W <|im_end|> <|im_start|>user W <region> <|im_end|>
    (<visual>.. (<object>.. TIME <frame>)..)..
    <|im_start|>read <span_0>.. <presence> <track_0>.. <|im_end|> <|im_start|>assistant W <|im_end|>
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llm_grounder.backbone import PRESENCE, span_token, track_token
from llm_grounder.pieces import Kind, Piece, Template
from llm_grounder.types import Region, Role, Sample


@dataclass(frozen=True, eq=False)
class Layout:
    """A sample as tokens.

    ids: [L].   labels: [L], the token itself where it is to be learnt, else -100.   kind, frame, piece: [L], the kind,
    the frame (-1 for none) and the number of the piece of each token.   frame_at: [T] places of the markers.
    span_at: [K], track_at: [N], presence_at: places of read-out tokens, empty where there are none.
    objects: [X, 2], frame and track of each <object>.   named: [M, 2], place and number of each track that a user
    names.   regions: each <region>.   turns: [U, 2], first token and number of tokens of each user's turn.   groups:
    [G], the groups of frames.   asked: [G], how many turns stand before each.   pieces: what it was made of; () where
    no window asks for them.
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
    named: Tensor
    regions: tuple[Region, ...]
    turns: Tensor
    groups: Tensor
    asked: Tensor
    pieces: tuple[Piece, ...] = field(repr=False)


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
        named=_numbers(_named(pieces, template)).view(-1, 2),
        regions=tuple(region for piece in pieces for region in piece.regions), turns=_turns(pieces),
        groups=_numbers([piece.group for piece in pieces if piece.group >= 0]), asked=_asked(pieces),
        pieces=tuple(pieces),
    )  # fmt: skip


def _turns(pieces: Sequence[Piece]) -> Tensor:
    """First token and number of tokens of each user's turn, [U, 2]."""
    starts = np.cumsum([0, *(len(piece.ids) for piece in pieces)]).tolist()
    users = [(at, len(p.ids)) for at, p in zip(starts, pieces, strict=False) if p.kind is Kind.USER]
    return _numbers(users).view(-1, 2)


def _asked(pieces: Sequence[Piece]) -> Tensor:
    """How many of the user's turns stand before each group of frames, [G]."""
    before, found = 0, []
    for piece in pieces:
        before += piece.kind is Kind.USER
        if piece.group >= 0:
            found.append(before)
    return _numbers(found)


def _named(pieces: Sequence[Piece], template: Template) -> list[tuple[int, int]]:
    """Place and number of each track that stands among a user's words."""
    found, start = [], 0
    for piece in pieces:
        if piece.kind is Kind.USER:
            found += [(start + at, template.tracks[i]) for at, i in enumerate(piece.ids) if i in template.tracks]
        start += len(piece.ids)
    return found


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
