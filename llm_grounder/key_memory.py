"""A bounded cache of keys: segments go in one by one, and of those before them only what the window keeps stays.

Knows embeddings, positions and transformers' cache. Does not know what is said, nor when. Axis letters: S tokens,
E width of the language model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from core.errors import InputError
from llm_grounder.window import Part, Segment, Window, cached_tokens, keep_keys, kept


class KeyModel(Protocol):
    """A language model that reads embeddings."""

    def hidden(self, embeddings: Tensor, positions: Tensor, mask: Tensor, cache: Any) -> Tensor:
        """Last hidden states [S, E] of embeddings [S, E] at positions [S]; their keys are added to the cache.

        mask: bool [S, cached + S], what each token sees.   cache: a `DynamicCache` of transformers, or None for none.
        """


@dataclass
class _Reply:
    """A reply that is being written: how much was held before it, and its embeddings."""

    tokens: int
    position: int
    parts: list[Tensor]


class KeyMemory:
    """Keys of the segments that the window keeps, and their embeddings, from which the keys can be made anew."""

    def __init__(self, model: KeyModel, window: Window) -> None:
        from transformers import DynamicCache  # slow to import

        self._model, self._window, self._make_cache = model, window, DynamicCache
        self._cache = DynamicCache()
        self._held: list[tuple[Segment, Tensor]] = []
        self._position = 0
        self._reply: _Reply | None = None

    @property
    def tokens(self) -> int:
        """Tokens whose keys are held."""
        return cached_tokens(self._cache)

    def read(self, part: Part, embeddings: Tensor) -> Tensor:
        """Take a segment in; the hidden state [E] of its last token."""
        self._make_room(len(embeddings))
        last = self._feed(embeddings)
        self._hold(part, embeddings)
        return last

    def begin_reply(self, opening: Tensor, most: int) -> Tensor:
        """Start a reply of at most so many tokens; the hidden state [E] after its opening."""
        self._make_room(most)
        self._reply = _Reply(self.tokens, self._position, [opening])
        return self._feed(opening)

    def go_on(self, embeddings: Tensor) -> Tensor:
        """More of the reply; the hidden state [E] after it."""
        assert self._reply is not None
        self._reply.parts.append(embeddings)
        return self._feed(embeddings)

    def end_reply(self, part: Part) -> None:
        """The reply is whole: keep it, or undo it where it is a silence."""
        assert self._reply is not None
        reply, self._reply = self._reply, None
        if part is Part.SILENCE:
            keep_keys(self._cache, torch.arange(reply.tokens))
            self._position = reply.position
        else:
            self._hold(part, torch.cat(reply.parts))

    def _feed(self, embeddings: Tensor) -> Tensor:
        """Tokens that see all that is held and what stands before them here; the hidden state [E] of the last."""
        count, before = len(embeddings), self.tokens
        mask = torch.ones(count, before + count, dtype=torch.bool, device=embeddings.device).tril(before)
        positions = torch.arange(self._position, self._position + count, device=embeddings.device)
        hidden = self._model.hidden(embeddings, positions, mask, self._cache)
        self._position += count
        return hidden[-1]

    def _hold(self, part: Part, embeddings: Tensor) -> None:
        """Remember the segment that was fed last, and let go of what the window keeps no longer."""
        self._held.append((Segment(part, len(embeddings)), embeddings))
        still = kept(self._window, [segment for segment, _ in self._held])
        if len(still) == len(self._held):
            return
        wanted, at = [], 0
        for i, (segment, _) in enumerate(self._held):
            if i in still:
                wanted.append(torch.arange(at, at + segment.length))
            at += segment.length
        keep_keys(self._cache, torch.cat(wanted))
        self._held = [self._held[i] for i in still]

    def _make_room(self, count: int) -> None:
        """Where the next tokens would pass the last position, read what is held again from position 0."""
        last = self._window.positions
        if last is None or self._position + count <= last:
            return
        needed = count + sum(segment.length for segment, _ in self._held)
        if needed > last:
            raise InputError(
                f"window: expected segments that fit into {last} positions, got {needed} tokens; keep less"
            )
        self._cache, self._position = self._make_cache(), 0
        self._feed(torch.cat([embeddings for _, embeddings in self._held]))
