"""One video of the failure browser as plain data: pictures, masks, truth, and why each answer is as it is.

Knows explanations and what the script in `report.html` reads. Does not know files or sizes of pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core import rle
from core.types import Answer, Track, VideoMeta
from tracksift.explain import ExplainedVideo, Explanation, Judged
from tracksift.page_parts import Frame, Size, fitted, jpeg, small_masks

_ROWS = 8  # ranked tracks shown for each expression


def video_data(video: ExplainedVideo, frames: Mapping[int, Frame], side: int) -> dict[str, object]:
    """One video: key frames [H, W, 3] by index with `side` as their longest side, masks to match, and its answers."""
    if video.track_set is None:
        answers = [{"sentences": list(e.sentences())} for e in video.explanations]
        return {"facts": [], "keys": [], "size": [1, 1], "start": 0, "end": 1, "answers": answers}
    meta, tracks = video.track_set.video, video.track_set.tracks
    size, indices = fitted(meta.size, side), sorted(frames)
    shown = sorted({i for e in video.explanations for i in _shown(e)})
    truths = {_truth_key(e): _truth(e.judged, meta, indices, size) for e in video.explanations if e.judged}
    return {
        "facts": [f"{meta.frames} frames", f"{meta.end - meta.timestamps[0]:.2f} s", f"{len(tracks)} tracks"],
        "start": float(meta.timestamps[0]),
        "end": meta.end,
        "size": size,
        "keys": [{"time": float(meta.timestamps[i]), "image": jpeg(frames[i], size, 75)} for i in indices],
        "tracks": {i: _track(tracks[i], meta, indices, size) for i in shown},
        "truths": truths,
        "answers": [_answer(e) for e in video.explanations],
    }


def _truth_key(explanation: Explanation) -> str | None:
    """Expressions of the same targets share their masks; "" for no target, None where nobody knows."""
    if explanation.judged is None:
        return None
    return "|".join(sorted(explanation.expression.target_ids or ()))


def _truth(judged: Judged, video: VideoMeta, indices: list[int], size: Size) -> dict[str, object]:
    there = rle.areas(judged.target, video.size) > 0
    return {
        "masks": _masks([judged.target[i] for i in indices], video.size, size),
        "presence": [[s.start, s.end] for s in video.spans(there)],
    }


def _track(track: Track, video: VideoMeta, indices: list[int], size: Size) -> dict[str, object]:
    return {
        "masks": _masks([track.masks[i] for i in indices], video.size, size),
        "presence": [[s.start, s.end] for s in video.spans(track.present)],
    }


def _masks(counts: list[bytes], video: Size, size: Size) -> list[str]:
    """Masks at the pictures' size as text, "" for an empty one."""
    if not counts:
        return []
    small = small_masks(counts, video, size)
    return [c.decode("ascii") if area else "" for c, area in zip(small, rle.areas(small, size), strict=True)]


def _shown(explanation: Explanation) -> list[int]:
    """Tracks of one expression that the page shows: the selected, the oracle's, then the best others."""
    answer, judged = explanation.answer, explanation.judged
    if answer is None:
        return []
    wanted = [track.index for track in answer.tracks] + list(judged.oracle if judged else ())
    ranking = [row["index"] for row in answer.why["ranking"] if row["competes"]]
    most = max(_ROWS, len(set(wanted)))
    return list(dict.fromkeys([*wanted, *ranking]))[:most]


def _answer(explanation: Explanation) -> dict[str, Any]:
    answer, judged = explanation.answer, explanation.judged
    assert answer is not None
    rows, shown = {row["index"]: row for row in answer.why["ranking"]}, set(_shown(explanation))
    spans = explanation.expression.spans
    return {
        "sentences": list(explanation.sentences()),
        "threshold": answer.why["threshold"],
        "selected": [track.index for track in answer.tracks],
        "oracle": None if judged is None else list(judged.oracle),
        "truth": _truth_key(explanation),
        "moments": [[s.start, s.end] for s in answer.moments],
        "spans": None if spans is None else [[s.start, s.end] for s in spans],
        "ranking": [_ranked(rows[i], answer, judged) for i in rows if i in shown],
        "more": len(rows) - len(shown),
    }


def _ranked(row: Mapping[str, Any], answer: Answer, judged: Judged | None) -> dict[str, object]:
    about = f"{row['source'].replace('_', ' ')}, frame {row['prompt_frame']}, in view {row['present_share']:.0%}"
    overlap = None
    if judged is not None and answer.expression.target_ids:
        overlap = short(judged.overlap.get(row["index"]))
    return {
        "index": row["index"], "score": short(row["score"]), "overlap": overlap, "about": about,
        "reason": row["reason"],
    }  # fmt: skip


def short(value: float | None) -> float | None:
    """A number as the page holds it, with four decimals."""
    return None if value is None else round(value, 4)
