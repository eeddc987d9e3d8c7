"""Decoding that cannot leave a grammar: which tokens may come next, with enough of them left to end the reply.

Every token is walked through the grammar character by character, once a state; tokens that hold part of a character
only are never allowed, so that words are whole whatever the logits say. Knows a tokenizer's texts. Does not know models
or tasks. Axis letters: B replies, V tokens of the vocabulary.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any, Final

import torch
from torch import Tensor
from transformers import LogitsProcessor

from core.errors import InputError
from llm_grounder.grammar import Grammar, State

_BROKEN: Final = "\ufffd"  # what a decoder says of part of a character
_LAST: Final = chr(sys.maxunicode)
_REMEMBERED: Final = 4096  # beginnings of replies whose states are kept


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The text that each token adds to a reply, sorted, and the tokens that close one.

    texts and ids: of tokens that may be said, sorted by text.   shared: how many characters each text has in common
    with the one before it.   size: V.   closing: ids, one or more.
    """

    texts: tuple[str, ...]
    ids: tuple[int, ...]
    shared: tuple[int, ...]
    size: int
    closing: tuple[int, ...]


def make_vocabulary(texts: Sequence[str | None], closing: Collection[int]) -> Vocabulary:
    """A vocabulary of what each token id adds, None or "" for tokens that may not be said.

    Raises:
        InputError: without a closing token, or with one that is no token.
    """
    if not closing or not all(0 <= each < len(texts) for each in closing):
        raise InputError(f"vocabulary: expected closing tokens among {len(texts)}, got {sorted(closing)}")
    said = sorted((text, i) for i, text in enumerate(texts) if text and _BROKEN not in text and i not in closing)
    words = tuple(text for text, _ in said)
    shared = (0, *(_common(a, b) for a, b in pairwise(words)))[: len(words)]
    return Vocabulary(words, tuple(i for _, i in said), shared, len(texts), tuple(sorted(closing)))


def vocabulary_of(
    tokenizer: Any, closing: Collection[int], speakable: Tensor | None = None, size: int | None = None
) -> Vocabulary:
    """The vocabulary of a tokenizer of transformers.

    speakable: [V] bool, tokens that may be said; all but special ones by default.   size: V where the model has more
    rows than the tokenizer has tokens.

    Raises:
        InputError: as `make_vocabulary`.
    """
    count = len(tokenizer)
    total = max(count, size or 0, 0 if speakable is None else len(speakable))
    special = set(tokenizer.all_special_ids)
    allowed = (i not in special for i in range(count)) if speakable is None else speakable[:count].tolist()
    # Decoded after a letter, since some tokenizers strip the blank before a first word.
    anchor = tokenizer.encode("a", add_special_tokens=False)
    options = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    start = len(tokenizer.decode(anchor, **options))
    texts: list[str | None] = [
        tokenizer.decode([*anchor, i], **options)[start:] if may else None for i, may in enumerate(allowed)
    ]
    return make_vocabulary(texts + [None] * (total - count), closing)


def _common(first: str, second: str) -> int:
    """Characters that two texts begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


class ConstrainedReply(LogitsProcessor):  # type: ignore[misc]
    """Leaves the likelihoods of allowed tokens, and -inf for all others, as transformers' `generate` wants.

    grammar: of the replies.   most: tokens of a reply with its closing one.   prompt: tokens before each reply in what
    `generate` gives; 0 where it is given embeddings.
    """

    def __init__(self, grammar: Grammar, vocabulary: Vocabulary, most: int, prompt: int = 0) -> None:
        self.grammar, self.vocabulary, self.most, self.prompt = grammar, vocabulary, most, prompt
        self._ids = dict(zip(vocabulary.texts, vocabulary.ids, strict=True))
        self._texts = dict(zip(vocabulary.ids, vocabulary.texts, strict=True))
        self._longest = max(map(len, vocabulary.texts), default=0)
        self._steps: dict[tuple[State, str], State] = {}
        self._moves: dict[State, dict[State, Tensor]] = {}
        self._needs: dict[State, float] = {}
        self._after: dict[tuple[int, ...], State] = {(): grammar.begin()}
        least = self._need(grammar.begin()) + 1
        if least > most:
            raise InputError(f"constrained reply: expected room for {least:g} tokens or more, got {most}")

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores [B, V] with the tokens that may not follow `input_ids` [B, prompt + n] at -inf."""
        masks = torch.stack([self.allowed(row[self.prompt :].tolist()) for row in input_ids])
        return scores.masked_fill(~masks.to(scores.device), -math.inf)

    def allowed(self, said: Sequence[int]) -> Tensor:
        """[V] bool: what may follow the tokens `said`, never nothing.

        Raises:
            InputError: where `said` itself breaks the grammar.
        """
        mask = torch.zeros(self.vocabulary.size, dtype=torch.bool)
        closing = torch.tensor(self.vocabulary.closing)
        if any(token in self.vocabulary.closing for token in said):
            mask[closing] = True
            return mask
        state = self._state(tuple(said))
        mask[closing] = self.grammar.accepts(state)
        left = self.most - len(said) - 2  # after the next token and the closing one
        for after, ids in self._following(state).items():
            if self._need(after) <= left:
                mask[ids] = True
        return mask

    def _state(self, said: tuple[int, ...]) -> State:
        """The state after `said`; those of the replies that are under way are kept."""
        known = next(n for n in range(len(said), -1, -1) if said[:n] in self._after)
        if len(self._after) > _REMEMBERED:
            self._after = {(): self.grammar.begin(), said[:known]: self._after[said[:known]]}
        state = self._after[said[:known]]
        for n in range(known, len(said)):
            state = self._walk(state, self._texts.get(said[n], ""))
            if not state:
                raise InputError(f"constrained reply: expected tokens of the grammar, got token {said[n]}")
            self._after[said[: n + 1]] = state
        return state

    def _walk(self, state: State, text: str) -> State:
        if not text:
            return frozenset()
        for char in text:
            state = self._step(state, char)
        return state

    def _step(self, state: State, char: str) -> State:
        known = self._steps.get((state, char))
        if known is None:
            known = self._steps[state, char] = self.grammar.advance(state, char)
        return known

    def _following(self, state: State) -> dict[State, Tensor]:
        """The tokens that may follow, by the state that they lead to."""
        known = self._moves.get(state)
        if known is None:
            ids: dict[State, list[int]] = defaultdict(list)
            path, place, texts = [state], 0, self.vocabulary.texts  # path: after each character of the current text
            while place < len(texts):
                text = texts[place]
                del path[self.vocabulary.shared[place] + 1 :]
                for char in text[len(path) - 1 :]:
                    path.append(self._step(path[-1], char))
                    if not path[-1]:
                        break
                if path[-1]:
                    ids[path[-1]].append(self.vocabulary.ids[place])
                    place += 1
                else:  # nor does any text that begins so
                    place = bisect_right(texts, text[: len(path) - 1] + _LAST, place + 1)
                    path = path[:1]
            known = self._moves[state] = {after: torch.tensor(each) for after, each in ids.items()}
        return known

    def _need(self, state: State) -> float:
        """Tokens that end the reply for sure, the closing one not counted; infinite where the vocabulary cannot."""
        if state not in self._needs:
            self._needs[state] = min((self._count(text) for text in self.grammar.ways_out(state)), default=math.inf)
        return self._needs[state]

    def _count(self, text: str) -> float:
        """How many tokens spell a text, the longest that fits each time."""
        count, place = 0, 0
        while place < len(text):
            sizes = range(min(self._longest, len(text) - place), 0, -1)
            size = next((n for n in sizes if text[place : place + n] in self._ids), None)
            if size is None:
                return math.inf
            count, place = count + 1, place + size
        return count
