"""CIDEr-D: how much a sentence shares with its references, rare words counting more.

Definition: Vedantam et al., CVPR 2015, with the clipping and the length penalty of its variant D: n-grams of 1 to 4
words, sigma 6, times 10. Knows tokenised sentences. Does not tokenise.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError

LONGEST: Final = 4  # words of an n-gram
SIGMA: Final = 6.0
SCALE: Final = 10.0

_Gram = tuple[str, ...]


def cider(sentences: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """CIDEr-D of each sentence against its own references, [n] in 0..10; words are parted by blanks.

    An n-gram weighs log(n / number of sentences in whose references it is), taken from this call alone: what is scored
    together matters, and a single sentence scores 0.

    Raises:
        InputError: when there are no references for a sentence.
    """
    if len(sentences) != len(references) or not all(references):
        raise InputError(f"CIDEr: expected references for each of {len(sentences)} sentences, got some without")
    counted = [[_grams(r) for r in own] for own in references]
    holders = Counter(gram for own in counted for gram in set().union(*own))
    log_n = math.log(max(len(sentences), 1))

    def weighted(grams: Counter[_Gram]) -> _Vector:
        return _Vector(grams, {g: n * (log_n - math.log(max(1, holders[g]))) for g, n in grams.items()})

    scores = []
    for sentence, own in zip(sentences, counted, strict=True):
        vector = weighted(_grams(sentence))
        scores.append(SCALE * sum(vector.likeness(weighted(r)) for r in own) / len(own))
    return np.array(scores, dtype=np.float64)


class _Vector:
    """The weights of a sentence's n-grams, with a norm for each length."""

    def __init__(self, grams: Counter[_Gram], weights: dict[_Gram, float]) -> None:
        self.weights = weights
        self.norms = [math.sqrt(sum(w * w for g, w in weights.items() if len(g) == n)) for n in _LENGTHS]
        # The official code measures length in pairs of words, one less than words.
        self.pairs = sum(n for g, n in grams.items() if len(g) == 2)

    def likeness(self, reference: _Vector) -> float:
        shared = [0.0] * LONGEST
        for gram, weight in self.weights.items():
            there = reference.weights.get(gram, 0.0)
            shared[len(gram) - 1] += min(weight, there) * there
        norms = [a * b for a, b in zip(self.norms, reference.norms, strict=True)]
        cosines = [s / n if n else 0.0 for s, n in zip(shared, norms, strict=True)]
        penalty = math.exp(-((self.pairs - reference.pairs) ** 2) / (2 * SIGMA**2))
        return penalty * sum(cosines) / LONGEST


_LENGTHS: Final = range(1, LONGEST + 1)


def _grams(sentence: str) -> Counter[_Gram]:
    words = sentence.split()
    return Counter(tuple(words[i : i + n]) for n in _LENGTHS for i in range(len(words) - n + 1))
