"""Every caption that says some of an object's shape, colour and texture, as token rows with the facts they claim.

Knows the world's words and open_clip's tokenizer. Does not know images. A fact is the index of its word in the
world's list; UNSAID (-1) where a caption is silent. Axis letters: L text tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from miniature.world.phrases import ANY_NOUNS, SHAPE_NOUNS, TEXTURE_TAILS, TEXTURE_WORDS, plural
from miniature.world.spec import COLOURS, SHAPES, TEXTURES

UNSAID = -1
NAMES = (SHAPES, tuple(COLOURS), TEXTURES)
# Article, which synonym, texture after the noun, plural; the first is the one that evaluation asks with.
VARIANTS = (
    ("the", 0, False, False),
    ("a", 1, False, False),
    ("", 0, True, False),
    ("the", 1, True, False),
    ("all the", 0, False, True),
    ("each of the", 1, False, True),
)
SAY = 0.75  # chance that a drawn caption says a fact


@dataclass(frozen=True)
class Captions:
    """All captions: `texts`, their token rows `ids` [K, L] and `facts` [K, 3].

    The caption of facts (s, c, t) in variant v lies in row ((s + 1) * (C + 1) + c + 1) * (T + 1) + t + 1, times the
    number of variants, plus v; the first rows, which say nothing, are never drawn.
    """

    texts: tuple[str, ...]
    ids: Tensor
    facts: Tensor

    def draw(self, facts: Tensor) -> Tensor:
        """For objects with `facts` [K, 3]: rows [K] of captions that hold for them and say at least one fact."""
        device = facts.device
        said = torch.rand(facts.shape, device=device) < SAY
        forced = torch.randint(3, (len(facts), 1), device=device) == torch.arange(3, device=device)
        said |= forced & ~said.any(1, keepdim=True)
        return rows(torch.where(said, facts, UNSAID), torch.randint(len(VARIANTS), (len(facts),), device=device))


def rows(facts: Tensor, variant: Tensor | int) -> Tensor:
    """Rows [K] of the captions that say `facts` [K, 3] in a variant."""
    shape, colour, texture = (facts + 1).unbind(-1)
    row = (shape * (len(NAMES[1]) + 1) + colour) * (len(NAMES[2]) + 1) + texture
    return row * len(VARIANTS) + variant


def caption_texts() -> list[tuple[str, tuple[int, ...]]]:
    """Text and facts of every caption, in the order of `Captions`."""
    return [
        (phrase(facts, *variant), facts)
        for facts in product(*(range(UNSAID, len(names)) for names in NAMES))
        for variant in VARIANTS
    ]


def phrase(facts: Sequence[int], article: str, synonym: int, tail: bool, many: bool) -> str:
    """Words for facts: "the red striped star", "all the red stars with stripes", "a red thing"."""
    shape, colour, texture = facts
    nouns = SHAPE_NOUNS[SHAPES[shape]] if shape != UNSAID else ANY_NOUNS
    noun = nouns[synonym % len(nouns)]
    said = TEXTURES[texture] if texture != UNSAID else None
    after = TEXTURE_TAILS.get(said, "") if said is not None and tail else ""
    before = TEXTURE_WORDS[said][synonym % len(TEXTURE_WORDS[said])] if said is not None and not after else ""
    words = (article, NAMES[1][colour] if colour != UNSAID else "", before, plural(noun) if many else noun, after)
    return " ".join(word for word in words if word)


def make_captions(tokenizer: Any, device: torch.device) -> Captions:
    """Tokenise every caption once."""
    texts, facts = zip(*caption_texts(), strict=True)
    return Captions(texts, tokenizer(list(texts)).to(device), torch.tensor(facts, device=device))


def fact_indices(facts: tuple[str, str, str]) -> tuple[int, int, int]:
    """Indices of an object's words; UNSAID, which no caption claims, for a word that training never uses."""
    shape, colour, texture = (
        names.index(word) if word in names else UNSAID for names, word in zip(NAMES, facts, strict=True)
    )
    return shape, colour, texture


def holds(captions: Tensor, objects: Tensor) -> Tensor:
    """Whether captions [K, 3] hold for objects [G, 3] or for any object of a frame [G, M, 3]: bool [G, K].

    Absent objects of a frame are rows of -2, for which no caption holds.
    """
    silent = captions == UNSAID
    if objects.ndim == 2:
        return (silent | (captions == objects[:, None])).all(-1)
    per_object = (silent | (captions == objects[:, :, None])).all(-1) & (objects[:, :, None, 0] != -2)  # [G, M, K]
    return per_object.any(1)
