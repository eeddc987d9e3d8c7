"""A byte-pair vocabulary of the rendered world's own words, in the file format of open_clip's tokenizer.

Knows words and how often they occur. Does not know what they mean. Unseen words fall back to pieces and bytes.
"""

import gzip
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

HEADER = "#version: tracksift miniature"  # open_clip's tokenizer skips the first line
BYTE_SYMBOLS = 2 * 256  # every byte, inside a word and at its end
SPECIAL_SYMBOLS = 2  # start and end of text


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each lower-case ASCII word occurs."""
    return Counter(word for text in texts for word in re.findall(r"[a-z]+", text.lower()))


def learn_merges(words: Counter[str]) -> list[tuple[str, str]]:
    """Byte-pair merges (Sennrich et al. 2016), most frequent pair first, until every word is one token.

    Ties are broken by the alphabet, so that the same words always give the same list.
    """
    pieces = {word: (*word[:-1], word[-1] + "</w>") for word in sorted(words)}
    merges: list[tuple[str, str]] = []
    while True:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, parts in pieces.items():
            for pair in pairwise(parts):
                pairs[pair] += words[word]
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        pieces = {word: _merge(parts, best) for word, parts in pieces.items()}


def _merge(parts: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    i = 0
    while i < len(parts):
        width = 2 if parts[i : i + 2] == pair else 1
        merged.append("".join(parts[i : i + width]))
        i += width
    return tuple(merged)


def write_merges(path: Path, merges: list[tuple[str, str]]) -> None:
    """Write open_clip's gzipped merges file; the same merges give the same bytes."""
    lines = "\n".join([HEADER, *(" ".join(pair) for pair in merges)])
    path.write_bytes(gzip.compress(lines.encode(), mtime=0))


def vocabulary_size(merges: list[tuple[str, str]]) -> int:
    """Rows of the token embedding."""
    return BYTE_SYMBOLS + len(merges) + SPECIAL_SYMBOLS
