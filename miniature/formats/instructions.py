"""Writers of instruction data: VTG-IT with times as tokens, MMDuetIT with the times at which to speak.

Knows their files. Does not know how videos are drawn or in which order they come. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.instructions.vtg_it import time_tokens
from miniature.formats.files import Role, write_json
from miniature.formats.footage import Footage
from miniature.long_world import CLIP, Moment, Story

SPEAK: Final = 0.625  # of a span: MMDuet's labels speak between a half and three quarters of it
PEAKS: Final = 3  # highlights that an answer lists

_Part = dict[str, Any]


def vtg_it_part(footage: Footage, media: Sequence[Path], folder: Path, role: Role) -> _Part:
    """The four tasks about one video: moments, dense captions, a summary, highlights."""
    told = footage.told()
    pairs = [{"q": f"When does it happen that {_clause(m)}?", "a": _windows(m)} for m in told.moments]
    captions = (f"{time_tokens(c.start)} - {time_tokens(c.end)} seconds, {c.text}." for c in told.captions[0])
    pairs.append({"q": "Describe all events with their start and end times.", "a": " ".join(captions)})
    pairs.append({"q": "Summarise the video by its most important seconds.", "a": _peaks(told.importance)})
    pairs += [
        {"q": f"List the highlights of this query with their scores: {m.text}", "a": _peaks(m.saliency)}
        for m in told.moments[:1]
    ]
    return {"video": f"{footage.id}.mp4", "QA": pairs}


def _clause(moment: Moment) -> str:
    return moment.text.rstrip(".")


def _windows(moment: Moment) -> str:
    spans = (f"{time_tokens(a)} - {time_tokens(b)} seconds" for a, b in moment.windows.tolist())
    return f"It happens in {', '.join(spans)}."


def _peaks(saliency: np.ndarray[Any, np.dtype[np.int64]]) -> str:
    """The clips of highest mean score, by time, each named by its middle."""
    mean = saliency.mean(axis=1)
    best = sorted(np.argsort(-mean, kind="stable")[:PEAKS].tolist())
    return " ".join(f"{time_tokens(CLIP * (b + 0.5))} seconds, score {mean[b]:.1f}." for b in best)


def vtg_it_finish(folder: Path, role: Role, parts: Sequence[_Part]) -> None:
    """vtg_it.json."""
    write_json(folder / "vtg_it.json", list(parts))


def mmduet_it_part(footage: Footage, media: Sequence[Path], folder: Path, role: Role) -> _Part:
    """Narrations of all events, conversations of the timed questions, groundings of all moments."""
    told = footage.told()
    return {
        "id": footage.id,
        "duration": told.duration,
        "narrations": _narrations(told),
        "conversations": [_conversation(footage.id, told, k) for k in range(len(told.timed_questions))],
        "groundings": [
            {"video_uid": footage.id, "query": m.text, "timestamps": m.windows.tolist()} for m in told.moments
        ],
    }


def _speak(start: float, end: float) -> float:
    return start + SPEAK * (end - start)


def _narrations(told: Story) -> list[_Part]:
    said = [{"text": c.text, "time": _speak(c.start, c.end), "timespan": [c.start, c.end]} for c in told.captions[0]]
    return sorted(said, key=lambda n: float(n["time"]))


def _conversation(video: str, told: Story, number: int) -> _Part:
    question = told.timed_questions[number]
    turns: list[_Part] = [{"role": "user", "content": question.text, "time": question.asked, "learn": False}]
    answers = [
        {"role": "assistant", "content": a.text, "time": _speak(a.start, a.end), "timespan": [a.start, a.end]}
        for a in question.answers
    ]
    turns += sorted(answers, key=lambda turn: turn["time"])
    return {"video_uid": video, "conversation": turns}


def mmduet_it_finish(folder: Path, role: Role, parts: Sequence[_Part]) -> None:
    """narrations.json, conversations.json, groundings.json and durations.json."""
    write_json(folder / "narrations.json", {p["id"]: {"0": p["narrations"]} for p in parts})
    write_json(folder / "conversations.json", [c for p in parts for c in p["conversations"]])
    write_json(folder / "groundings.json", [g for p in parts for g in p["groundings"]])
    write_json(folder / "durations.json", {p["id"]: p["duration"] for p in parts})
