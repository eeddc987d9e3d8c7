"""Predicted captions of a split against its own: every dense-caption figure, with the tokeniser that it stands on.

Knows readers' videos and predictions as files give them. Does not know files, or how METEOR is run.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.caption_java import PairScorer, treebank_tokens
from benchmarks.metrics.cider import cider
from benchmarks.metrics.dense_captions import CaptionFigures, Captions, CaptionTotals, paragraph_pairs, score_captions
from benchmarks.moment_protocol import CaptionedVideo
from core.errors import InputError
from core.reporting import Progress

Said = tuple[NDArray[np.float64], tuple[str, ...]]
"""Segments [K, 2] in seconds and K captions, as the model said them."""

_NOTHING: Said = (np.zeros((0, 2)), ())
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " "))


class Tokeniser(StrEnum):
    """How captions become words. Published figures stand on `treebank`, which needs Java; `plain` is close to it."""

    TREEBANK = "treebank"
    PLAIN = "plain"

    def tokens(self, sentences: Sequence[str]) -> list[str]:
        """Lower-case words parted by blanks; InputError for `treebank` where Java is not found."""
        if self is Tokeniser.TREEBANK:
            return treebank_tokens(sentences)
        return [" ".join(sentence.lower().translate(_PUNCTUATION).split()) for sentence in sentences]


@dataclass(frozen=True)
class CaptionReport:
    """segments and captions: `figures`.   paragraph_cider, paragraph_meteor: all captions of a video as one text.

    meteor figures are None where no scorer was given; tokeniser: what CIDEr, METEOR and SODA_c stand on.
    """

    figures: CaptionFigures
    paragraph_cider: float
    paragraph_meteor: float | None
    tokeniser: Tokeniser


def score_caption_split(
    videos: Sequence[CaptionedVideo],
    predictions: Mapping[str, Said],
    tokeniser: Tokeniser = Tokeniser.TREEBANK,
    meteor: PairScorer | None = None,
    progress: Progress | None = None,
    *,
    others: Mapping[str, CaptionedVideo] | None = None,
) -> CaptionReport:
    """Score all videos; those without a prediction count as 0 and as failures, in paragraphs too.

    others: what a second annotator said of videos, by id; paragraphs are compared with the first's alone.

    Raises:
        InputError: for a prediction of no video, no video at all, or a tokeniser that is not there.
    """
    strangers = predictions.keys() - {video.id for video in videos}
    if strangers:
        raise InputError(f"captions: expected videos of the split, got one of {min(strangers)!r}")
    said, second = [predictions.get(video.id, _NOTHING) for video in videos], others or {}
    texts = [text for (_, captions), video in zip(said, videos, strict=True) for text in (*captions, *video.captions)]
    texts += [text for video in second.values() for text in video.captions]
    words = dict(zip(texts, tokeniser.tokens(texts), strict=True))
    totals = CaptionTotals()
    for done, (video, (segments, captions)) in enumerate(zip(videos, said, strict=True), start=1):
        predicted = Captions(segments, [words[c] for c in captions])
        truths = [
            Captions(v.segments, [words[c] for c in v.captions]) for v in (video, second.get(video.id)) if v is not None
        ]
        totals.update(score_captions(predicted, truths[0], meteor, others=truths[1:]))
        if progress is not None:
            progress(done, len(videos))
    figures = totals.compute()
    pairs = paragraph_pairs([captions for _, captions in said], [video.captions for video in videos])
    return CaptionReport(
        figures=figures,
        paragraph_cider=float(cider([p for p, _ in pairs], [[t] for _, t in pairs]).mean()),
        paragraph_meteor=None if meteor is None else meteor.score(pairs)[0],
        tokeniser=tokeniser,
    )
