"""Score files brought together: all that a selector and a grounder said about each expression of each video.

Knows `core/SCORES.md`. Does not know caches, modes or what an expression says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from core.errors import InputError
from core.scores import read_scores
from core.types import Answer, BoxScores, MomentScores, TrackScores, TrackSet
from fusion.modes import Evidence

Key = tuple[str, str]
Kind = TypeVar("Kind", TrackScores, MomentScores, BoxScores)


@dataclass(frozen=True)
class Word:
    """What was said about one expression of a video."""

    tracks: TrackScores
    moments: MomentScores | None = None
    reranks: TrackScores | None = None
    boxes: BoxScores | None = None

    def evidence(self, track_set: TrackSet) -> Evidence:
        """Together with the tracks that it is about."""
        return Evidence(track_set, self.tracks, self.moments, self.reranks, self.boxes)

    def scorers(self) -> dict[str, str]:
        """Content hash of who spoke, by kind; "" where a file names none."""
        said = {"tracks": self.tracks, "moments": self.moments, "reranks": self.reranks, "boxes": self.boxes}
        return {kind: score.scorer for kind, score in said.items() if score is not None}


@dataclass(frozen=True)
class Words:
    """Words by video, in the order of the track scores; `unused`: lines about expressions that no track score names."""

    by_video: Mapping[str, Sequence[Word]]
    unused: int

    def __len__(self) -> int:
        """Expressions."""
        return sum(len(words) for words in self.by_video.values())

    def scorers(self) -> dict[str, str]:
        """The one scorer of each kind.

        Raises:
            InputError: when a kind has several.
        """
        found: dict[str, str] = {}
        for words in self.by_video.values():
            for word in words:
                for kind, scorer in word.scorers().items():
                    if found.setdefault(kind, scorer) != scorer:
                        raise InputError(
                            f"{kind} scores: expected one scorer, got {found[kind][:12]!r} and {scorer[:12]!r}"
                        )
        return found


def read_words(tracks: Path, moments: Path | None = None, reranks: Path | None = None) -> Words:
    """All words of score files.

    Args:
        tracks: a file with the selector's track scores; its other lines are not read.
        moments: a file with a grounder's moment scores, boxes or both.
        reranks: a file with a grounder's own track scores.

    Raises:
        InputError: when a file cannot be read, is malformed, or `tracks` has no track scores.
    """
    selected = _of(TrackScores, tracks)
    if not selected:
        raise InputError(f"{tracks}: expected track scores, got none")
    spans = {} if moments is None else _of(MomentScores, moments)
    boxes = {} if moments is None else _of(BoxScores, moments)
    ranked = {} if reranks is None else _of(TrackScores, reranks)
    by_video: dict[str, list[Word]] = {}
    for key, score in selected.items():
        word = Word(score, spans.get(key), ranked.get(key), boxes.get(key))
        by_video.setdefault(score.video_id, []).append(word)
    return Words(by_video, sum(len(lines.keys() - selected.keys()) for lines in (spans, boxes, ranked)))


def _of(kind: type[Kind], path: Path) -> dict[Key, Kind]:
    return {(s.video_id, s.expression_id): s for s in read_scores(path) if isinstance(s, kind)}


def scores_of(answer: Answer) -> TrackScores:
    """The selector's scores that an answer of mode `tracks` was made from, so that they can be kept in a score file.

    Raises:
        InputError: for an answer of another mode, whose scores are fused.
    """
    why = answer.why
    if why.get("mode") != "tracks":
        raise InputError(f"answer: expected one of mode 'tracks', got one of mode {why.get('mode')!r}")
    by_index = {row["index"]: row["score"] for row in why["ranking"]}
    probability = [float(by_index[i]) for i in range(len(by_index))]
    ids = (answer.video.id, answer.expression.id)
    return TrackScores(
        *ids, np.array(probability, dtype=np.float64), 1.0 - answer.no_target_probability,
        scorer=str(why["scorer"]), cache=str(why["cache"]),
    )  # fmt: skip
