"""Requests that are worded otherwise than their stories word them: words left out, or others in their place.

Who learns from them hears every word of a request, not the one that settled it among the ordinary wordings, and bears
words that it never met there. Knows texts. Does not know stories or tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def reword(texts: Sequence[str], share: float, rng: np.random.Generator) -> list[str]:
    """Every word of every text is lost with a chance of `share`: left out, or half of the time any word of all texts
    stands there instead. A text keeps one of its own words at least; one without words stays as it is.

    share: 0..1.
    """
    words = [text.split() for text in texts]
    known = [word for own in words for word in own]
    out = []
    for own in words:
        lost = rng.random(len(own)) < share
        if lost.all():
            lost[rng.integers(len(own)) if own else ...] = False
        told = [
            word if not gone else known[int(rng.integers(len(known)))]
            for word, gone in zip(own, lost, strict=True)
            if not gone or rng.random() < 0.5
        ]
        out.append(" ".join(told))
    return out
