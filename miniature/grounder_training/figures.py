"""The figures of every task, by the benchmarks' own metrics, from stories and what was answered about them.

Knows metrics, stories and answers. Does not know who answered. Rates lie in 0..1, in-span scores in 1..5, CIDEr in
0..10. Failed answers count as wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.caption_java import PairScorer
from benchmarks.metrics.dense_captions import Captions, CaptionTotals, score_captions
from benchmarks.metrics.highlights import HighlightTotals, score_highlights
from benchmarks.metrics.moments import MomentTotals, score_moments
from benchmarks.metrics.question_answers import AnswerTotals, exact_match
from benchmarks.metrics.success import OTB, SuccessScore, score_boxes
from benchmarks.metrics.summaries import choose_shots, summary_f1
from benchmarks.metrics.timely_answers import HIGHEST, LOWEST, GoldAnswer, TimelyTotals, score_replies
from miniature.grounder_training.answers import Answers
from miniature.grounder_training.attributes import attribute_accuracy
from miniature.long_world import Story
from miniature.long_world.spec import CLIP_FRAMES, Caption
from miniature.world.spec import SIDE

Figures = dict[str, float]
Boxes = Sequence[NDArray[np.float32]]
_POINT: Final = re.compile(r"[^\w\s]")


@dataclass(frozen=True)
class Exact:
    """Rates the same words 5 and all others 1."""

    def rate(self, question: str, truth: str, reply: str) -> int:
        """See `ReplyJudge`."""
        return HIGHEST if _plain(reply) == _plain(truth) else LOWEST


def score(
    stories: Sequence[Story], answers: Sequence[Answers], boxes: Boxes, meteor: PairScorer | None = None
) -> Figures:
    """Figures of all tasks that were asked.   boxes: true ones, [O, T, 4] of each story, as shares, NaN unseen.

    meteor: for SODA_c, which is left out without it.
    """
    pairs = list(zip(stories, answers, strict=True))
    return (
        _moments(pairs) | _highlights(pairs) | _captions(pairs, meteor) | _summaries(pairs) | _questions(pairs)
        | _timed(pairs) | _descriptions(pairs) | _boxes(answers, boxes)
    )  # fmt: skip


Pairs = Sequence[tuple[Story, Answers]]


def _moments(pairs: Pairs) -> Figures:
    totals = MomentTotals()
    for story, said in pairs:
        for moment, answer in zip(story.moments, said.moments or (), strict=said.moments is not None):
            totals.update(score_moments(answer.windows, moment.windows, answer.scores))
    if all(said.moments is None for _, said in pairs):
        return {}
    full = totals.compute()["full"]
    return {
        "moments_r1_50": full.recall[1, 0.5],
        "moments_r1_70": full.recall[1, 0.7],
        "moments_map": full.map,
        "moments_failures": full.failures / full.n,
    }


def _highlights(pairs: Pairs) -> Figures:
    totals = HighlightTotals()
    for story, said in pairs:
        for moment, saliency in zip(story.moments, said.saliency or (), strict=said.saliency is not None):
            totals.update(score_highlights(saliency, moment.saliency.astype(np.float64)))
    if all(said.saliency is None for _, said in pairs):
        return {}
    found = totals.compute()["VeryGood"]
    return {"highlights_map": found.map, "highlights_hit1": found.hit1}


def _captions(pairs: Pairs, meteor: PairScorer | None) -> Figures:
    asked = [(story, said.captions) for story, said in pairs if said.captions is not None]
    if not asked:
        return {}
    totals = CaptionTotals()
    for story, captions in asked:
        totals.update(score_captions(_said(captions), _said(story.captions[0]), meteor))
    found = totals.compute()
    figures = {"captions_f1": found.f1_by_video, "captions_cider": found.cider}
    return figures | ({} if found.soda_c is None else {"captions_soda_c": found.soda_c})


def _summaries(pairs: Pairs) -> Figures:
    values = [
        summary_f1(kept_frames(said.importance), story.summaries)
        for story, said in pairs
        if said.importance is not None
    ]
    return {"summaries_f1": float(np.mean(values))} if values else {}


def kept_frames(importance: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The frames [T] of the clips that a summary of 15 % keeps, from the importance of each clip [B]."""
    starts = np.arange(len(importance), dtype=np.int64) * CLIP_FRAMES
    return choose_shots(np.repeat(importance.astype(np.float64), CLIP_FRAMES), starts)


def _questions(pairs: Pairs) -> Figures:
    totals = AnswerTotals()
    for story, said in pairs:
        for question, answer in zip(story.questions, said.questions or (), strict=said.questions is not None):
            totals.update(exact_match(answer, question.answer, question.kind))
    if all(said.questions is None for _, said in pairs):
        return {}
    kinds = {f"questions_{kind}": found.accuracy for kind, found in totals.by_kind().items()}
    return {"questions_accuracy": totals.compute().accuracy} | kinds


def _timed(pairs: Pairs) -> Figures:
    totals = TimelyTotals()
    for story, said in pairs:
        for question, replies in zip(story.timed_questions, said.timed or (), strict=said.timed is not None):
            gold = [GoldAnswer(a.text, a.start, a.end) for a in question.answers]
            totals.update(score_replies(question.text, gold, replies, Exact()))
    if all(said.timed is None for _, said in pairs):
        return {}
    found = totals.compute()
    return {"magqa_in_span": found.in_span, "magqa_duplicates": found.duplicates, "magqa_turns": found.turns}


def _descriptions(pairs: Pairs) -> Figures:
    told = [
        (d, text)
        for story, said in pairs
        if said.descriptions is not None
        for d, text in zip(story.descriptions, said.descriptions, strict=True)
    ]
    return attribute_accuracy(told) if told else {}


def _boxes(answers: Sequence[Answers], boxes: Boxes) -> Figures:
    """Both kinds of tracking, each object from its first to its last sight; unseen frames count as absent."""
    out: Figures = {}
    for name, field in (("rsot", "referred"), ("sot", "told")):
        totals = SuccessScore()
        for k, (said, truth) in enumerate(zip(answers, boxes, strict=True)):
            for o, predicted in enumerate(getattr(said, field) or ()):
                seen = np.flatnonzero(~np.isnan(truth[o, :, 0]))
                if len(seen):
                    part = slice(int(seen[0]), int(seen[-1]) + 1)
                    absent = np.isnan(truth[o, part, 0])
                    wanted = np.where(absent[:, None], 0, truth[o, part])
                    totals.update(
                        score_boxes(f"{k}/{o}", _xywh(predicted[part]), _xywh(wanted), absent=absent, rules=OTB)
                    )
        if any(getattr(said, field) is not None for said in answers):
            found = totals.compute()
            out |= {f"{name}_auc": found.auc, f"{name}_p": found.precision, f"{name}_pnorm": found.normalised_precision}
    return out


def _xywh(shares: NDArray[np.floating]) -> NDArray[np.float64]:
    """Boxes x1, y1, x2, y2 as shares of the frame -> x, y, width, height in pixels."""
    pixels = shares.astype(np.float64) * SIDE
    return np.concatenate([pixels[:, :2], pixels[:, 2:] - pixels[:, :2]], axis=1)


def _said(captions: Sequence[Caption]) -> Captions:
    segments = np.array([[c.start, c.end] for c in captions], dtype=np.float64).reshape(-1, 2)
    return Captions(segments, [_plain(c.text) for c in captions])


def _plain(text: str) -> str:
    """Words in small letters without punctuation, parted by blanks."""
    return " ".join(_POINT.sub(" ", text.lower()).split())
