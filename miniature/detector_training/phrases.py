"""Every look in many wordings, as token rows on one device, and the draw of a phrase for each frame of a batch.

Knows the world's words. Does not know pictures or models. A look is four numbers (size, colour, texture, shape), each
the index of its word, or UNSAID. A phrase about motion or relations means, to a detector of single frames, all objects
that its noun fits: what moves how is for whoever reads the tracks. Axis letters: K rows, L tokens, B frames, M objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from torch import Generator, Tensor

from miniature.detector_training.vocabulary import END, PAD, QUESTION, START, STOP, UNKNOWN, token_ids
from miniature.world.acts import ACTS
from miniature.world.drafts import clause, fill, pick
from miniature.world.nouns import Look, Noun, name_look
from miniature.world.phrases import ANY_NOUNS, SHAPE_NOUNS, SIZE_WORDS, TEXTURE_TAILS, TEXTURE_WORDS, TRAIN, plural
from miniature.world.spec import COLOURS, SHAPES, SIZES, TEXTURES

UNSAID = -1
UNCERTAIN = -9  # the size of an object that grows or shrinks
WORDS: tuple[tuple[str, ...], ...] = (SIZES, tuple(COLOURS), TEXTURES, SHAPES)
SAID = (0.22, 0.6, 0.4, 0.72)  # how often a phrase says each; as the world's own expressions do
LENGTH = 24  # L
NEAR_MISS, STRANGER = 0.22, 0.06  # shares of phrases with one wrong word, and of a random look
OPEN = 0.08  # share of rows without the final "."
GARBLED = 0.15  # share of rows with one unknown word beside the look's
STRANGE = 0.04  # share of rows whose noun is unknown: they fit nothing
STRANGE_NOUN = "dog"


@dataclass(frozen=True)
class PhraseBank:
    """Rows of all looks. ids: int64 [K, L].   attend: bool [K, L, L], the package's blocks of one phrase.
    positions: int64 [2, K, L] of each token inside its phrase, by the two conventions of the package's releases.
    strange: bool [K], whose noun is unknown.

    The look (s, c, t, f) lies in row (((s + 1) * C + c + 1) * T + t + 1) * F + f + 1, times `variants`.
    """

    ids: Tensor
    attend: Tensor
    positions: Tensor
    strange: Tensor
    variants: int

    def rows(self, looks: Tensor, generator: Generator) -> Tensor:
        """A random wording's row [B] for each of looks [B, 4]."""
        row = torch.zeros(len(looks), dtype=torch.long, device=looks.device)
        for place, words in enumerate(WORDS):
            row = row * (len(words) + 1) + looks[:, place] + 1
        drawn = torch.randint(self.variants, row.shape, device=row.device, generator=generator)
        return row * self.variants + drawn


def make_bank(vocabulary: dict[str, int], variants: int, seed: int, device: torch.device) -> PhraseBank:
    """`variants` wordings of each of the 1,650 looks (that of nothing said is there too, and never drawn)."""
    rng = np.random.default_rng(seed)
    kept = frozenset(vocabulary[word] for word in (*look_words(), ","))
    rows: list[list[int]] = []
    strange: list[bool] = []
    for numbers in product(*(range(UNSAID, len(words)) for words in WORDS)):
        look = Look(*(None if n == UNSAID else words[n] for n, words in zip(numbers, WORDS, strict=True)))
        for _ in range(variants):
            strange.append(bool(rng.random() < STRANGE))
            text = word_look(rng, replace(look, shape=None) if strange[-1] else look, strange=strange[-1])
            ids = token_ids(text, vocabulary, LENGTH, closed=bool(rng.random() >= OPEN))
            rows.append(_garble(rng, ids, kept) if rng.random() < GARBLED else ids)
    table = torch.tensor(rows)
    attend, new = text_layout(table)
    positions = torch.stack([new, torch.where(is_special(table), 0, new)])
    return PhraseBank(
        table.to(device), attend.to(device), positions.to(device), torch.tensor(strange, device=device), variants
    )


def word_look(rng: np.random.Generator, look: Look, *, strange: bool = False) -> str:
    """A phrase whose noun says `look`: of looks alone, or with a motion, or in relation to some other look.

    strange: with a noun that the world does not know.
    """
    noun = name_look(rng, look)
    if strange:
        head = noun.adjectives + " " if noun.adjectives else ""
        noun = Noun(head + STRANGE_NOUN, head + STRANGE_NOUN + "s", noun.adjectives)
    count, single = int(rng.integers(1, 6)), bool(rng.random() < 0.6)
    one, many = clause(rng, TRAIN, ACTS[int(rng.integers(len(ACTS)))])
    kind = rng.choice(3, p=[0.55, 0.27, 0.18])
    relation = pick(rng, TRAIN.relations[pick(rng, tuple(TRAIN.relations))])
    if kind == 1:
        pattern = pick(rng, TRAIN.one_clause if single else TRAIN.many_clause)
        return fill(pattern, noun, count, c=one if single else many)
    if kind == 2 and "{a}" not in relation:
        return fill(relation, noun, count, o=name_look(rng, _any_look(rng)).singular, c=many, v=one)
    bare = look.shape is None and look.said > 0 and not strange and rng.random() < 0.5
    return fill(pick(rng, TRAIN.any if bare else TRAIN.one if single else TRAIN.many), noun, count)


def look_words() -> list[str]:
    """The words that say looks, the nouns for any object included."""
    nouns = [*ANY_NOUNS, *(noun for names in SHAPE_NOUNS.values() for noun in names)]
    said = [word for table in (SIZE_WORDS, TEXTURE_WORDS) for words in table.values() for word in words]
    tails = [word for tail in TEXTURE_TAILS.values() for word in tail.split()]
    return [*nouns, *map(plural, nouns), *said, *tails, *COLOURS]


def text_layout(ids: Tensor) -> tuple[Tensor, Tensor]:
    """For ids [K, L]: which tokens see which [K, L, L] bool, and each token's place in its phrase [K, L].

    The blocks are the package's (5.23): tokens up to the next special one see each other, a special one included,
    except where that is at the first or the last place or there is none; a token outside a block sees itself, at 0.
    In 5.17 the special tokens themselves are at 0.
    """
    length = ids.shape[1]
    special = is_special(ids)
    at = torch.arange(length, device=ids.device).expand_as(ids)
    following = torch.where(special, at, length).flip(1).cummin(dim=1)[0].flip(1)
    before = torch.where(special, at, -1).cummax(dim=1)[0].roll(1, dims=1)
    before[:, 0] = -1
    inside = (following != 0) & (following < length - 1)
    same = (following[:, :, None] == following[:, None, :]) & inside[:, None, :]
    own = torch.eye(length, dtype=torch.bool, device=ids.device)
    return same | own, torch.where(inside, at - before - 1, 0).clamp(min=0)


def is_special(ids: Tensor) -> Tensor:
    """Which tokens end a phrase to the package: start, end, "." and "?"."""
    return torch.isin(ids, torch.tensor([START, END, STOP, QUESTION], device=ids.device))


def fits(looks: Tensor, facts: Tensor) -> Tensor:
    """Whether looks [B, 4] fit objects with facts [B, M, 4]: bool [B, M]."""
    return ((looks[:, None] == UNSAID) | (looks[:, None] == facts)).all(dim=2)


def draw_looks(facts: Tensor, visible: Tensor, generator: Generator) -> Tensor:
    """A look [B, 4] to ask for in each frame: mostly of a visible object, sometimes with one word exchanged, or of
    any object at all. facts: int64 [B, M, 4].   visible: bool [B, M].

    Sizes stay unsaid in frames with an object of uncertain size: nobody could say whether it fits.
    """
    frames, device = len(facts), facts.device

    def chance(*shape: int) -> Tensor:
        return torch.rand(shape, device=device, generator=generator)

    chosen = (chance(*visible.shape) * (visible + 1e-3)).argmax(dim=1)
    truth = facts[torch.arange(frames, device=device), chosen]
    sorts = constant([len(words) for words in WORDS], device).long()
    others = (chance(frames, 4) * sorts).long()
    truth = torch.where((truth < 0) | (chance(frames, 1) < STRANGER), others, truth)
    said = chance(frames, 4) < constant(SAID, device)
    said[:, 0] &= ~((facts[:, :, 0] == UNCERTAIN) & visible).any(dim=1)
    said[:, 1] |= ~said.any(dim=1)
    wrong = (chance(frames, 4) * said).argmax(dim=1, keepdim=True) == torch.arange(4, device=device)
    wrong &= said & (chance(frames, 1) < NEAR_MISS)
    shift = 1 + (chance(frames, 4) * (sorts - 1)).long()
    return torch.where(said, torch.where(wrong, (truth + shift) % sorts, truth), UNSAID)


def constant(values: Sequence[float], device: torch.device) -> Tensor:
    """A few numbers on a device, written there, since a copy from here would wait for all work before it."""
    return torch.cat([torch.full((1,), value, device=device) for value in values])


def _any_look(rng: np.random.Generator) -> Look:
    numbers = [int(rng.integers(len(words))) if rng.random() < share else UNSAID
               for words, share in zip(WORDS, SAID, strict=True)]  # fmt: skip
    return Look(*(None if n == UNSAID else words[n] for n, words in zip(numbers, WORDS, strict=True)))


def _garble(rng: np.random.Generator, ids: list[int], kept: frozenset[int]) -> list[int]:
    """Replace one word that says no look by the unknown one, as a stranger's wording would."""
    loose = [i for i, token in enumerate(ids) if token not in (PAD, START, END, STOP, *kept)]
    if loose:
        ids[loose[int(rng.integers(len(loose)))]] = UNKNOWN
    return ids
