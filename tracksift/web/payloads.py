"""What the page's script reads: films, tracks, answers and remarks in plain values.

Knows the script's names for things. Does not know sessions, addresses or gradio. Texts are set as text there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InputError
from fusion.drawing import PALETTE
from tracksift.page import answer_data, track_data
from tracksift.predict import MINIATURE_NOTE
from tracksift.web.downloads import KINDS
from tracksift.web.grounders import NO_GROUNDER, Remark, Task
from tracksift.web.studio import Studio
from tracksift.web.turnstile import Step
from tracksift.web.visit import Entry, Film, Visit


def boot_data(studio: Studio, session: str) -> dict[str, Any]:
    """What the page needs once: its session, limits, samples, colours, downloads, and what the grounder can do."""
    grounder = studio.grounder
    return {
        "session": session,
        "limits": {"bytes": studio.limits.bytes, "characters": studio.limits.characters},
        "sentence": studio.limits.sentence(),
        "note": MINIATURE_NOTE if studio.pipeline.models.is_miniature else "",
        "samples": [{"name": s.name, "expressions": list(s.expressions)} for s in studio.samples],
        "palette": [f"rgb({r},{g},{b})" for r, g, b in PALETTE],
        "downloads": [{"kind": kind, "label": label} for kind, label in KINDS.items()],
        "grounder": {
            "name": grounder.name if grounder else "",
            "tasks": [task for task in Task if grounder and task in grounder.tasks],
            "missing": NO_GROUNDER,
        },
    }


def film_data(film: Film) -> dict[str, Any]:
    """A film: times of its frames, sizes (height, width) of pictures and of the video, facts, and what to try."""
    video, tracks = film.video, film.tracks
    facts = [
        f"{video.size[1]} × {video.size[0]}",  # noqa: RUF001 - the sign of sizes
        f"{video.frames} frames",
        f"{video.end - float(video.timestamps[0]):.2f} s",
    ]
    return {
        "name": film.name,
        "frames": video.frames,
        "times": [round(float(t), 4) for t in video.timestamps],
        "end": float(video.end),
        "size": film.size,
        "full": video.size,
        "facts": [*facts, f"{len(tracks.tracks)} tracks"] if tracks is not None else facts,
        "suggestions": list(film.suggestions),
        "tracked": tracks is not None,
        "tracks": 0 if tracks is None else len(tracks.tracks),
    }


def entry_data(entry: Entry) -> dict[str, Any]:
    """An answer; `set` is the address of the tracks that it speaks of."""
    box = None if entry.box is None else {"frame": entry.box[0], "corners": list(entry.box[1])}
    about = {"serial": entry.serial, "ms": round(entry.milliseconds, 1), "box": box}
    return {**answer_data(entry.answer), **about, "set": entry.serial if entry.box is not None else 0}


def visit_data(visit: Visit, known: int, step: Step | None = None) -> dict[str, Any]:
    """What has become of a visit, with the answers since the serial number `known`."""
    return {
        "film": None if visit.film is None else film_data(visit.film),
        "step": None if step is None else {"stage": step.stage, "done": step.done, "total": step.total},
        "answers": [entry_data(entry) for entry in visit.entries if entry.serial > known],
    }


def track_json(visit: Visit, serial: int, index: int) -> bytes:
    """A track of a film or of a box: its masks at the pictures' size, boxes in the video's pixels, and a crop.

    Raises:
        InputError: for a track that is not there.
    """
    film, _, own = visit.ready()
    tracks = (own if serial == 0 else visit.entry(serial).tracks).tracks
    if not 0 <= index < len(tracks):
        raise InputError(f"track: expected one of {len(tracks)}, got {index}")
    key = (serial, index)
    if key not in film.told:
        track = tracks[index]
        data = track_data(track, film.video, list(range(film.video.frames)), film.size)
        boxes = [None if np.isnan(b).any() else [round(float(v), 1) for v in b] for b in track.boxes]
        text = json.dumps({**data, "boxes": boxes, "source": track.source}, separators=(",", ":"), allow_nan=False)
        film.told[key] = text.encode()
    return film.told[key]


def remark_data(remarks: Sequence[Remark]) -> list[dict[str, Any]]:
    """Remarks with their times in seconds."""
    return [
        {
            "text": r.text,
            "start": None if r.span is None else r.span.start,
            "end": None if r.span is None else r.span.end,
            "score": None if r.span is None else r.span.score,
        }
        for r in remarks
    ]


def said(error: BaseException, visit: Visit | None) -> str:
    """An error for a visitor: where the server keeps things is not told."""
    text = str(error)
    if visit is not None:
        if visit.upload is not None:
            text = text.replace(str(visit.upload[1]), visit.upload[0]).replace(visit.upload[1].name, visit.upload[0])
        for place in (visit.folder, visit.folder.parent):
            text = text.replace(f"{place}/", "").replace(str(place), "")
        if visit.film is not None:
            text = text.replace(f"{visit.film.job.frames_path.parent}/", "")
    return text.replace(f"{Path.cwd()}/", "")
