"""Measures the long world itself: how much of what there is, and what answers earn that look at nothing.

Knows stories and the benchmarks' metrics. Does not know models. All rates lie in 0..1 unless a name says otherwise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.dense_captions import Captions, CaptionTotals, score_captions
from benchmarks.metrics.highlights import HighlightTotals, score_highlights
from benchmarks.metrics.moments import MomentTotals, score_moments
from benchmarks.metrics.summaries import choose_shots, summary_f1
from benchmarks.metrics.timely_answers import HIGHEST, LOWEST, GoldAnswer, Reply, TimelyTotals, score_replies
from miniature.long_world import FPS, LongClip, Story
from miniature.long_world.spec import ANNOTATORS, CLIP_FRAMES

EVERY = 10  # seconds between the replies of the answer that looks at nothing
SEEN = 12  # visible pixels that count as seen
Figures = dict[str, float]


def counts(stories: Sequence[Story]) -> Figures:
    """How much of what a split holds; numbers are means a video unless they are shares or totals."""
    n = len(stories)
    moments = [m for s in stories for m in s.moments]
    lengths = np.concatenate([np.diff(m.windows, axis=1)[:, 0] for m in moments])
    out: Figures = {
        "videos": n,
        "seconds": _mean(s.duration for s in stories),
        "objects": _mean(len(s.objects) for s in stories),
        "events": _mean(len(s.events) for s in stories),
        "moments": len(moments) / n,
        "windows a moment": _mean(len(m.windows) for m in moments),
        "moments of several windows (share)": _mean(len(m.windows) > 1 for m in moments),
        "short windows, up to 10 s (share)": float((lengths <= 10).mean()),
        "middle windows, up to 30 s (share)": float(((lengths > 10) & (lengths <= 30)).mean()),
        "long windows (share)": float((lengths > 30).mean()),
        "questions": _mean(len(s.questions) for s in stories),
        "timed questions": _mean(len(s.timed_questions) for s in stories),
        "answers a timed question": _mean(len(q.answers) for s in stories for q in s.timed_questions),
        "expressions": _mean(len(s.expressions) for s in stories),
        "expressions without a target (share)": _mean(not e.target_ids for s in stories for e in s.expressions),
        "different words (total)": len(set(chain.from_iterable(words(s) for s in stories))),
    }
    for kind, number in sorted(Counter(m.kind for m in moments).items()):
        out[f"moments of kind {kind} (share)"] = number / len(moments)
    kinds = Counter(q.kind for s in stories for q in s.questions)
    return out | {f"questions of kind {k} (share)": v / kinds.total() for k, v in sorted(kinds.items())}


def words(story: Story) -> list[str]:
    """All words that are said about a video."""
    texts = [c.text for captions in story.captions for c in captions] + [m.text for m in story.moments]
    texts += [q.text for q in story.questions] + [q.text for q in story.timed_questions]
    texts += [e.text for e in story.expressions]
    texts += [q.answer for q in story.questions] + [t for d in story.descriptions for t in (*d.texts, *d.looks)]
    return re.findall(r"[a-z]+", " ".join(texts).lower())


def baselines(stories: Sequence[Story]) -> Figures:
    """What answers earn that look at nothing, and what the best possible ones do."""
    return (
        _moments(stories) | _highlights(stories) | _questions(stories) | _timed(stories) | _captions(stories)
        | _summaries(stories) | _attributes(stories)
    )  # fmt: skip


def _moments(stories: Sequence[Story]) -> Figures:
    out: Figures = {}
    for name, window in (("whole video", (0.0, 1.0)), ("middle third", (1 / 3, 2 / 3))):
        totals = MomentTotals()
        for story in stories:
            guess = np.array([window]) * story.duration
            totals.update(*(score_moments(guess, m.windows) for m in story.moments))
        found = totals.compute()["full"]
        out[f"moments, {name}: R1@0.5"] = found.recall[1, 0.5]
        out[f"moments, {name}: R1@0.7"] = found.recall[1, 0.7]
        out[f"moments, {name}: mAP"] = found.map
    return out


def _highlights(stories: Sequence[Story]) -> Figures:
    out: Figures = {}
    for name in ("constant", "annotators' mean"):
        totals = HighlightTotals()
        for m in (m for s in stories for m in s.moments):
            mean = m.saliency.mean(axis=1)
            totals.update(
                score_highlights(mean if name != "constant" else np.ones(len(mean)), m.saliency.astype(float))
            )
        found = totals.compute()["VeryGood"]
        out[f"highlights, {name}: VeryGood mAP"], out[f"highlights, {name}: HIT@1"] = found.map, found.hit1
    return out


def _questions(stories: Sequence[Story]) -> Figures:
    asked = [q for s in stories for q in s.questions]
    by_kind = {k: Counter(q.answer for q in asked if q.kind == k) for k in sorted({q.kind for q in asked})}
    usual = Counter(q.answer for q in asked).most_common(1)[0][1]
    known = sum(c.most_common(1)[0][1] for c in by_kind.values())
    out = {
        "questions, the most usual answer: accuracy": usual / len(asked),
        "questions, the most usual answer of their kind: accuracy": known / len(asked),
    }
    return out | {
        f"questions, the most usual answer of {k}: accuracy": c.most_common(1)[0][1] / c.total()
        for k, c in by_kind.items()
    }


@dataclass(frozen=True)
class _Exact:
    """Rates the same words 5 and all others 1."""

    def rate(self, question: str, truth: str, reply: str) -> int:
        return HIGHEST if reply == truth else LOWEST


def _timed(stories: Sequence[Story]) -> Figures:
    """Saying the most usual answer every EVERY seconds; and each true answer once, in the middle of its span."""
    asked = [(s, q) for s in stories for q in s.timed_questions]
    usual = Counter(a.text for _, q in asked for a in q.answers).most_common(1)[0][0]
    blind, perfect = TimelyTotals(), TimelyTotals()
    for story, question in asked:
        gold = [GoldAnswer(a.text, a.start, a.end) for a in question.answers]
        chatter = [Reply(usual, float(t)) for t in range(int(question.asked), story.duration, EVERY)]
        true = [Reply(a.text, (a.start + a.end) / 2) for a in question.answers]
        blind.update(score_replies(question.text, gold, chatter, _Exact()))
        perfect.update(score_replies(question.text, gold, true, _Exact()))
    said, right = blind.compute(), perfect.compute()
    return {
        f"timed answers, the most usual one every {EVERY} s: in-span (1..5)": said.in_span,
        f"timed answers, the most usual one every {EVERY} s: duplicates": said.duplicates,
        "timed answers, true ones: in-span (1..5)": right.in_span,
        "timed answers, true ones: duplicates": right.duplicates,
    }


def _captions(stories: Sequence[Story]) -> Figures:
    """As many even segments as the mean number of events; another video's captions; the second annotator's."""
    count = round(_mean(len(s.events) for s in stories))
    even, other, second = CaptionTotals(), CaptionTotals(), CaptionTotals()
    for story, before in zip(stories, (stories[-1], *stories[:-1]), strict=True):
        truth = _said(story, 0)
        edges = np.linspace(0, story.duration, count + 1)
        even.update(score_captions(Captions(np.stack([edges[:-1], edges[1:]], axis=1), ["x"] * count), truth))
        borrowed = [before.captions[0][k % len(before.captions[0])].text for k in range(len(story.events))]
        other.update(score_captions(Captions(truth.segments, borrowed), truth))
        second.update(score_captions(_said(story, 1), truth))
    return {
        f"captions, {count} even segments: F1": even.compute().f1_by_video,
        "captions, another video's in the true segments: CIDEr (0..10)": other.compute().cider,
        "captions, the second annotator: F1": second.compute().f1_by_video,
        "captions, the second annotator: CIDEr (0..10)": second.compute().cider,
    }


def _said(story: Story, annotator: int) -> Captions:
    captions = story.captions[annotator]
    return Captions(np.array([[c.start, c.end] for c in captions], dtype=np.float64), [c.text for c in captions])


def _summaries(stories: Sequence[Story]) -> Figures:
    """Constant importance, the mean importance, and each annotator's own choice beside those of the others."""
    constant, mean, people = [], [], []
    for story in stories:
        kept = story.summaries
        constant.append(summary_f1(_choose(np.ones(story.clips)), kept))
        mean.append(summary_f1(_choose(story.importance.mean(axis=1)), kept))
        people += [summary_f1(kept[a], np.delete(kept, a, axis=0)) for a in range(ANNOTATORS)]
    return {
        "summaries, constant importance: F1": _mean(constant),
        "summaries, one annotator by the others: F1": _mean(people),
        "summaries, the mean importance: F1": _mean(mean),
    }


def _choose(importance: NDArray[np.float64]) -> NDArray[np.bool_]:
    starts = np.arange(len(importance), dtype=np.int64) * CLIP_FRAMES
    return choose_shots(np.repeat(importance.astype(np.float64), CLIP_FRAMES), starts)


def _attributes(stories: Sequence[Story]) -> Figures:
    """How often the most usual value of each attribute of a described track is right."""
    told = [d.attributes for s in stories for d in s.descriptions]
    shares = []
    for name in ("size", "colour", "texture", "shape", "acts"):
        values = Counter(a[name] for a in told if name in a)
        shares.append(values.most_common(1)[0][1] / values.total())
    return {"track descriptions, the most usual attributes: accuracy": _mean(shares)}


def drawn(clips: Iterable[LongClip]) -> Figures:
    """How much of what is told is seen: visits in exactly their frames, actors in the frames of their events."""
    exact, seen = [], []
    for clip in clips:
        for k, thing in enumerate(clip.story.objects):
            visible = (clip.labels == k + 1).sum(axis=(1, 2)) >= SEEN
            wanted = np.zeros(clip.story.frames, dtype=bool)
            for event in (e for e in clip.story.events if e.object_id == thing.id):
                wanted[event.frames] = True
                seen.append(float(visible[event.frames].mean()))
            if thing.motion == "visitor":
                exact.append(bool(np.array_equal(visible, wanted)))
    return {
        "visitors seen in exactly the frames of their visits (share)": _mean(exact),
        "frames of events in which the actor is seen (share)": _mean(seen),
        "frames a second of video": FPS,
    }


def _mean(values: Iterable[float | bool]) -> float:
    return float(np.mean([float(v) for v in values]))
