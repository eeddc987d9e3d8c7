"""Writers of the moment formats: Charades-STA, ActivityNet Captions, DiDeMo, QVHighlights, TimeLens.

Knows their files. Does not know how videos are drawn or in which order they come. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from miniature.formats.files import Role, write_json, write_json_lines, write_lines
from miniature.formats.footage import Footage
from miniature.formats.media import write_video
from miniature.long_world import Caption, Moment

PIECE: Final = 30  # seconds of a DiDeMo video
CHUNK: Final = 5
LEAST: Final = 4  # seconds of a moment that a DiDeMo piece must hold

_Part = dict[str, Any]


def charades_part(footage: Footage, media: Sequence[Path], folder: Path, role: Role) -> list[str]:
    """A line a sentence of one window: the format knows no others."""
    single = [m for m in footage.told().moments if len(m.windows) == 1]
    return [f"{footage.id} {m.windows[0, 0]:.1f} {m.windows[0, 1]:.1f}##{m.text}." for m in single]


def charades_finish(folder: Path, role: Role, parts: Sequence[list[str]]) -> None:
    """charades_sta_train.txt or charades_sta_test.txt."""
    name = "train" if role is Role.TRAIN else "test"
    write_lines(folder / f"charades_sta_{name}.txt", (line for lines in parts for line in lines))


def activitynet_part(footage: Footage, media: Sequence[Path], folder: Path, role: Role) -> _Part:
    """Both annotators' captions."""
    told = footage.told()
    return {"id": footage.id, "files": [_captions(told.duration, c) for c in told.captions]}


def _captions(duration: float, captions: Sequence[Caption]) -> _Part:
    return {
        "duration": float(duration),
        "timestamps": [[c.start, c.end] for c in captions],
        "sentences": [c.text for c in captions],
    }


def activitynet_finish(folder: Path, role: Role, parts: Sequence[_Part]) -> None:
    """train.json of the first annotator, or val_1.json and val_2.json."""
    names = ("train",) if role is Role.TRAIN else ("val_1", "val_2")
    for k, name in enumerate(names):
        write_json(folder / f"{name}.json", {p["id"]: p["files"][k] for p in parts})


def didemo_part(footage: Footage, media: Sequence[Path], folder: Path, role: Role) -> list[_Part]:
    """Pieces of 30 seconds as videos of their own, with the sentences of which each holds exactly one window.

    Three of four annotators choose the chunks of which the window takes half or more, the fourth all it touches.
    """
    told, found = footage.told(), []
    for start in range(0, told.duration - CHUNK * 4, PIECE):
        stop = min(start + PIECE, told.duration)
        name = f"{footage.id}_{start}_{stop}.mp4"
        chunks = -((start - stop) // CHUNK)
        for moment in told.moments:
            window = window_in_piece(moment, start, stop)
            if window is None:
                continue
            most, touched = chunk_runs(window[0] - start, window[1] - start)
            found.append({
                "num_segments": chunks, "description": moment.text, "video": name,
                "times": [most, most, most, touched],
            })  # fmt: skip
        at = slice(int(start * footage.fps), int(stop * footage.fps))
        write_video(footage.frames[at], footage.fps, folder / "videos" / name)
    return found


def window_in_piece(moment: Moment, start: int, stop: int) -> tuple[float, float] | None:
    """The one window that a piece holds of a moment; None for none or several, or where "second" would be wrong."""
    inside = np.clip(moment.windows, start, stop)
    inside = inside[inside[:, 0] < inside[:, 1]]
    if moment.kind == "order" or len(inside) != 1 or inside[0, 1] - inside[0, 0] < LEAST:
        return None
    return float(inside[0, 0]), float(inside[0, 1])


def chunk_runs(start: float, end: float) -> tuple[list[int], list[int]]:
    """First and last chunk of which at least half is taken (the most taken where none is), and of all touched."""
    edges = np.arange(0, end, CHUNK)
    taken = np.minimum(edges + CHUNK, end) - np.maximum(edges, start)
    half = np.flatnonzero(taken >= CHUNK / 2)
    half = half if len(half) else np.array([int(np.argmax(taken))])
    touched = np.flatnonzero(taken > 0)
    return [int(half[0]), int(half[-1])], [int(touched[0]), int(touched[-1])]


def didemo_finish(folder: Path, role: Role, parts: Sequence[list[_Part]]) -> None:
    """train_data.json, or val_data.json."""
    listed = [entry | {"annotation_id": n} for n, entry in enumerate(e for entries in parts for e in entries)]
    write_json(folder / f"{'train' if role is Role.TRAIN else 'val'}_data.json", listed)


def qvhighlights_part(footage: Footage, media: Sequence[Path], folder: Path, role: Role) -> list[_Part]:
    """A line a sentence: windows, the clips in them, each annotator's score of each of these."""
    told, lines = footage.told(), []
    for moment in told.moments:
        clips = [c for a, b in (moment.windows // 2).astype(int).tolist() for c in range(a, b)]
        lines.append({
            "query": moment.text, "duration": told.duration, "vid": footage.id,
            "relevant_clip_ids": clips, "saliency_scores": moment.saliency[clips].tolist(),
            "relevant_windows": moment.windows.astype(int).tolist(),
        })  # fmt: skip
    return lines


def qvhighlights_finish(folder: Path, role: Role, parts: Sequence[list[_Part]]) -> None:
    """highlight_train_release.jsonl; or val, and test in which windows and scores are hidden."""
    lines = [{"qid": n} | line for n, line in enumerate(line for lines in parts for line in lines)]
    shown = "train" if role is Role.TRAIN else "val"
    write_json_lines(folder / f"highlight_{shown}_release.jsonl", lines)
    if role is Role.EVALUATION:
        open_keys = ("qid", "query", "duration", "vid")
        hidden = ({k: line[k] for k in open_keys} for line in lines)
        write_json_lines(folder / "highlight_test_release.jsonl", hidden)


def timelens_part(footage: Footage, media: Sequence[Path], folder: Path, role: Role) -> _Part:
    """All sentences as events with their spans; those of one window also as the benchmark has them."""
    told = footage.told()
    single = [m for m in told.moments if len(m.windows) == 1]
    return {
        "id": footage.id,
        "bench": {
            "duration": float(told.duration),
            "spans": [m.windows[0].tolist() for m in single],
            "queries": [m.text for m in single],
        },
        "line": {
            "video_path": f"{footage.id}.mp4",
            "duration": float(told.duration),
            "events": [{"query": m.text, "span": m.windows.tolist()} for m in told.moments],
        },
    }


def timelens_finish(folder: Path, role: Role, parts: Sequence[_Part]) -> None:
    """timelens-100k.jsonl for training; for evaluation also miniature-timelens.json in the benchmark's form."""
    write_json_lines(folder / "timelens-100k.jsonl", (p["line"] for p in parts))
    if role is Role.EVALUATION:
        write_json(folder / "miniature-timelens.json", {p["id"]: p["bench"] for p in parts})
