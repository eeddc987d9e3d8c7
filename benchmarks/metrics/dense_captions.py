"""Dense captioning: precision, recall and F1 of segments, CIDEr and METEOR of matched captions, SODA_c.

Definitions: Krishna et al., ICCV 2017 (densevid_eval) and Fujita et al., ECCV 2020 (SODA), averaged by video as the
evaluators of Vid2Seq, TimeChat, VTG-LLM and MMDuet do. Knows segments and tokenised captions. Does not know files.
K predicted and M true segments, C thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.caption_java import Pair, PairScorer
from benchmarks.metrics.cider import cider
from benchmarks.metrics.intervals import Windows, as_windows
from core.errors import InputError

THRESHOLDS: Final = (0.3, 0.5, 0.7, 0.9)
_EPSILON: Final = 1e-8  # seconds, in the official IoU: a segment whose IoU is a threshold exactly stays below it


@dataclass(frozen=True)
class Captions:
    """Captions of one video: segments [K, 2] in seconds, K tokenised captions (words parted by blanks)."""

    segments: Windows
    tokens: Sequence[str]

    def __post_init__(self) -> None:
        """Refuse captions that are not as many as the segments."""
        object.__setattr__(self, "segments", as_windows("caption segments", self.segments))
        if len(self.segments) != len(self.tokens):
            raise InputError(
                f"captions: expected one a segment, got {len(self.tokens)} for {len(self.segments)} segments"
            )


@dataclass(frozen=True)
class CaptionScore:
    """One video, at each threshold [C]: precision, recall, CIDEr, METEOR (None without a scorer); K captions.

    soda_c: of each annotator, in the order given; None without a scorer.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    cider: NDArray[np.float64]
    meteor: NDArray[np.float64] | None
    soda_c: tuple[float, ...] | None
    captions: int


@dataclass(frozen=True)
class CaptionFigures:
    """Figures in 0..1, CIDEr in 0..10; papers print all of them times 100.

    precision, recall: means over videos and thresholds.   f1_by_video: F1 of each video's mean precision and recall,
    then the mean over videos (Vid2Seq, TimeChat, VTG-LLM, MMDuet).   f1_by_threshold: F1 of the mean precision and
    recall of all videos at each threshold, then the mean over thresholds (VTimeLLM, densevid_eval).
    soda_c: mean over all videos, 0 for those without captions.   soda_c_answered: over the others alone (SODA's code).
    With several annotators either is the mean of the annotators' means, each over the videos that they described.
    meteor, soda_c, soda_c_answered: None without METEOR.
    n: videos.   failures: those without captions.
    """

    precision: float
    recall: float
    f1_by_video: float
    f1_by_threshold: float
    precision_at: Mapping[float, float]
    recall_at: Mapping[float, float]
    cider: float
    meteor: float | None
    soda_c: float | None
    soda_c_answered: float | None
    captions_per_video: float
    n: int
    failures: int


def score_captions(
    predicted: Captions, truth: Captions, meteor: PairScorer | None = None, *, others: Sequence[Captions] = ()
) -> CaptionScore:
    """Score one video's captions; none predicted is a failure: 0 throughout.

    A segment counts as found where IoU > threshold with any on the other side, not one to one. Captions are compared
    in all pairs with IoU >= threshold; a caption without a pair is compared with a word that nobody says, which CIDEr
    (within this video, at this threshold) and METEOR count as 0 among the others.

    others: what further annotators said of the video (ActivityNet's val_2 beside val_1). Precision and recall are
    then the best of all annotators at each threshold, captions are compared with those of all, and SODA_c is one
    figure an annotator, as Vid2Seq's evaluator has it.

    Raises:
        InputError: without a true segment.
    """
    truths = (truth, *others)
    if not all(len(t.segments) for t in truths):
        raise InputError("captions: expected at least one true segment, got none")
    spoken = len(predicted.tokens)
    found = [_found(segment_iou(predicted.segments, t.segments)) for t in truths]
    everything = [text for t in truths for text in t.tokens]
    iou = segment_iou(predicted.segments, np.concatenate([t.segments for t in truths]))  # [K, M of all]
    pairs = [_pairs(iou >= threshold, predicted.tokens, everything) for threshold in THRESHOLDS]
    return CaptionScore(
        precision=np.max([precision for precision, _ in found], axis=0),
        recall=np.max([recall for _, recall in found], axis=0),
        cider=np.array([_cider(p) for p in pairs]),
        meteor=None if meteor is None else np.array([meteor.score(p)[0] if p else 0.0 for p in pairs]),
        soda_c=None if meteor is None else tuple(_soda(predicted, t, meteor) for t in truths),
        captions=spoken,
    )


def _found(iou: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall at each threshold [C] of IoU [K, M]."""
    covered = iou[:, :, None] > np.array(THRESHOLDS)  # [K, M, C]
    return covered.any(axis=1).sum(axis=0) / max(len(iou), 1), covered.any(axis=0).mean(axis=0)


def segment_iou(predicted: Windows, truth: Windows) -> NDArray[np.float64]:
    """The evaluators' IoU, [K, M]: reversed ends are swapped, and 1e-8 s is added to the union."""
    first, second = np.sort(predicted, axis=1)[:, None], np.sort(truth, axis=1)[None]
    shared = np.maximum(np.minimum(first[..., 1], second[..., 1]) - np.maximum(first[..., 0], second[..., 0]), 0.0)
    hull = np.maximum(first[..., 1], second[..., 1]) - np.minimum(first[..., 0], second[..., 0])
    lengths = first[..., 1] - first[..., 0] + second[..., 1] - second[..., 0]
    iou: NDArray[np.float64] = shared / (np.minimum(hull, lengths) + _EPSILON)
    return iou


def soda_f(worth: NDArray[np.float64]) -> float:
    """SODA's F of worth [K, M] (IoU x caption score of each pair) in 0..1.

    The best matching that keeps the order on both sides, by dynamic programming; its sum over K is the precision, over
    M the recall.
    """
    predicted, true = worth.shape
    best = np.zeros((predicted + 1, true + 1))
    for k in range(predicted):
        for m in range(true):
            best[k + 1, m + 1] = max(best[k, m + 1], best[k + 1, m], best[k, m] + worth[k, m])
    # 2pr / (p + r) with p = sum / K and r = sum / M
    return float(2 * best[-1, -1] / (predicted + true))


def paragraph_pairs(predicted: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]) -> list[Pair]:
    """A pair of paragraphs a video, from its captions as they were said: letters only, in lower case.

    Videos without captions keep their place with an empty paragraph.
    """

    def letters(captions: Sequence[str]) -> str:
        text = " ".join(captions).lower()
        return " ".join("".join(c if "a" <= c <= "z" else " " for c in text).split())

    return [(letters(p), letters(t)) for p, t in zip(predicted, truth, strict=True)]


def _pairs(matched: NDArray[np.bool_], predicted: Sequence[str], truth: Sequence[str]) -> list[Pair]:
    pairs: list[Pair] = []
    for k, row in enumerate(matched):
        partners = [text for text, match in zip(truth, row, strict=True) if match]
        # Official code draws random letters here; a fixed word of its own for each place scores the same, always.
        pairs += [(predicted[k], partner) for partner in partners or [_unsaid(len(pairs))]]
    return pairs


def _unsaid(place: int) -> str:
    """A word of 15 letters that no caption holds, another at each place."""
    digits = np.base_repr(place, 6).translate(str.maketrans("012345", "qxzjvk"))
    return digits.rjust(15, "w")


def _cider(pairs: Sequence[Pair]) -> float:
    return float(cider([p for p, _ in pairs], [[t] for _, t in pairs]).mean()) if pairs else 0.0


def _soda(predicted: Captions, truth: Captions, meteor: PairScorer) -> float:
    """SODA_c with captions in the order given; both public codes score METEOR with the truth as what was said."""
    if not predicted.tokens:
        return 0.0
    pairs = [(said, wanted) for wanted in predicted.tokens for said in truth.tokens]
    iou = segment_iou(predicted.segments, truth.segments)
    return soda_f(iou * meteor.score(pairs)[1].reshape(iou.shape))


@dataclass
class CaptionTotals:
    """Collects the scores of videos; parts collected apart are merged, in any order, to the same figures."""

    _scores: list[CaptionScore] = field(default_factory=list, repr=False)

    def update(self, *scores: CaptionScore) -> None:
        """Add videos."""
        self._scores.extend(scores)

    def merge(self, other: CaptionTotals) -> None:
        """Add all that `other` has collected."""
        self._scores.extend(other._scores)

    def compute(self) -> CaptionFigures:
        """The figures of all videos; InputError when there is none, or some have METEOR and some have not."""
        scores = self._scores
        if not scores:
            raise InputError("captions: expected at least one video, got none")
        meteors = [s.meteor for s in scores if s.meteor is not None]
        if len(meteors) not in {0, len(scores)}:
            raise InputError(f"captions: expected METEOR of all {len(scores)} videos or of none, got {len(meteors)}")
        precision, recall = _columns(s.precision for s in scores), _columns(s.recall for s in scores)  # [C]
        return CaptionFigures(
            precision=_mean(precision),
            recall=_mean(recall),
            f1_by_video=_mean([_f1(float(s.precision.mean()), float(s.recall.mean())) for s in scores]),
            f1_by_threshold=_mean([_f1(p, r) for p, r in zip(precision, recall, strict=True)]),
            precision_at=dict(zip(THRESHOLDS, precision, strict=True)),
            recall_at=dict(zip(THRESHOLDS, recall, strict=True)),
            cider=_mean([float(s.cider.mean()) for s in scores]),
            meteor=_mean([float(m.mean()) for m in meteors]) if meteors else None,
            soda_c=_by_annotator(scores),
            soda_c_answered=_by_annotator([s for s in scores if s.captions]),
            captions_per_video=_mean([float(s.captions) for s in scores]),
            n=len(scores),
            failures=sum(not s.captions for s in scores),
        )


def _by_annotator(scores: Sequence[CaptionScore]) -> float | None:
    """The mean over annotators of the mean SODA_c of the videos that each described; None without any."""
    found = [s.soda_c for s in scores if s.soda_c is not None]
    annotators = max((len(s) for s in found), default=0)
    means = [_mean([s[a] for s in found if len(s) > a]) for a in range(annotators)]
    return _mean(means) if means else None


def _columns(rows: Iterable[NDArray[np.float64]]) -> list[float]:
    """The mean of each column."""
    return [_mean(list(column)) for column in zip(*rows, strict=True)]


def _mean(values: Sequence[float]) -> float:
    # fsum is exact, so that the order of merging does not show.
    return math.fsum(values) / len(values)


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
