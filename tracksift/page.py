"""One video's answers as a single HTML file that needs nothing else: frames, tracks, scores, time line.

Knows answers, tracks and `page.html`, whose script draws the masks in the browser. Does not know models or caches.
Texts reach the page as JSON and are set as text there, never as markup.
"""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from core import rle
from core.atomic import atomic_path
from core.errors import InputError
from core.types import Answer, Track, TrackSet, VideoMeta
from fusion.drawing import PALETTE
from tracksift.page_parts import Frame, fitted, jpeg, script_json, small_masks, template

_SIDES = (640, 512, 400, 320, 256, 192)  # longest side of the pictures, the largest that keeps to the budget
_PICTURES = 1_500_000  # bytes of all pictures together, before base64 adds a third
_OVERLAY = 3_000_000  # bytes of a film that still goes inside
_ROWS = 12  # ranked tracks shown for each expression


def key_frames(video: VideoMeta, count: int = 8) -> list[int]:
    """At most `count` frame indices, evenly from the first to the last."""
    return sorted({round(float(i)) for i in np.linspace(0, video.frames - 1, min(count, video.frames))})


def write_page(
    path: Path,
    video: VideoMeta,
    frames: Mapping[int, Frame],
    track_set: TrackSet,
    answers: Sequence[Answer],
    overlay: Path | None = None,
    note: str = "",
) -> None:
    """Write the page, whole or not at all. It makes no request of any kind, and says so in its own security policy.

    Args:
        path: the HTML file.
        video: whose page it is.
        frames: key frames [H, W, 3] uint8 RGB by frame index; the more there are, the smoother it plays and the smaller
            the pictures, which share 1.5 MB until they are 192 pixels long.
        track_set: the tracks that competed.
        answers: of that video; each shows its 12 best tracks and all selected ones.
        overlay: an MP4 to put inside where it is at most 3 MB; a larger one is only named on the page.
        note: a sentence for the head of the page.

    Raises:
        InputError: when there is no frame or answer, or they are of another video.
        OutputError: when `path` cannot be written.
    """
    _check(video, frames, track_set, answers, overlay)
    indices = sorted(frames)
    pictures, size = _pictures([frames[i] for i in indices])
    shown = sorted({i for answer in answers for i in _shown(answer)})
    data = {
        "video": {"id": video.id, "start": float(video.timestamps[0]), "end": video.end},
        "facts": _facts(track_set),
        "note": note,
        "palette": [f"rgb({r},{g},{b})" for r, g, b in PALETTE],
        "size": size,
        "keys": [
            {"frame": i, "time": float(video.timestamps[i]), "image": picture}
            for i, picture in zip(indices, pictures, strict=True)
        ],
        "tracks": {i: track_data(track_set.tracks[i], video, indices, size) for i in shown},
        "answers": [answer_data(a) for a in answers],
        "overlay": _overlay(overlay),
    }
    head, tail = template("page.html", f"{video.id} · TrackSift")
    with atomic_path(path) as temporary:
        temporary.write_text(head + script_json(data) + tail, encoding="utf-8")


def _check(
    video: VideoMeta, frames: Mapping[int, Frame], track_set: TrackSet, answers: Sequence[Answer], overlay: Path | None
) -> None:
    page, tracks = f"page of {video.id!r}", len(track_set.tracks)
    if not frames or not answers:
        raise InputError(f"{page}: expected key frames and answers, got {len(frames)} and {len(answers)}")
    for index, frame in frames.items():
        if not 0 <= index < video.frames or frame.shape != (*video.size, 3):
            raise InputError(
                f"{page}: expected key frames below {video.frames} of {video.size}, "
                f"got frame {index} of {frame.shape[:2]}"
            )
    if (track_set.video.id, track_set.video.frames) != (video.id, video.frames):
        raise InputError(f"{page}: expected tracks of its {video.frames} frames, got those of {track_set.video.id!r}")
    for answer in answers:
        if answer.video.id != video.id or len(answer.why["ranking"]) != tracks:
            raise InputError(
                f"{page}: expected answers about its {tracks} tracks, "
                f"got one about {len(answer.why['ranking'])} of {answer.video.id!r}"
            )
    if overlay is not None and not overlay.is_file():
        raise InputError(f"{page}: expected an overlay file, got nothing at {overlay}")


def _facts(track_set: TrackSet) -> list[str]:
    video = track_set.video
    seconds = video.end - float(video.timestamps[0])
    size = f"{video.size[1]} × {video.size[0]}"  # noqa: RUF001 - the sign of sizes
    return [size, f"{video.frames} frames", f"{seconds:.2f} s", f"{len(track_set.tracks)} tracks"]


def _pictures(frames: list[Frame]) -> tuple[list[str], tuple[int, int]]:
    """Data URIs with their common size (height, width); never larger than the frames."""
    encoded: list[str] = []
    size = (frames[0].shape[0], frames[0].shape[1])
    for side in _SIDES:
        size = fitted((frames[0].shape[0], frames[0].shape[1]), side)
        encoded = [jpeg(frame, size) for frame in frames]
        if sum(map(len, encoded)) <= _PICTURES * 4 / 3:
            break
    return encoded, size


def _shown(answer: Answer) -> list[int]:
    """Indices of the tracks that an answer shows: the selected ones, then the best others."""
    ranking: list[int] = [r["index"] for r in answer.why["ranking"] if r["competes"]]
    selected = [t.index for t in answer.tracks]
    others = [i for i in ranking if i not in selected]
    return selected + others[: max(0, _ROWS - len(selected))]


def track_data(track: Track, video: VideoMeta, indices: list[int], size: tuple[int, int]) -> dict[str, object]:
    """A track's masks at the pictures' size, when it is there, and a crop [key, x, y, side] to know it by."""
    present = track.present
    empty = rle.union([], video.size)
    counts = small_masks([track.masks[i] if present[i] else empty for i in indices], video.size, size)
    areas = rle.areas(counts, size)
    best = int(areas.argmax())
    crop: list[float] | None = None
    if areas[best]:
        x1, y1, x2, y2 = (float(v) for v in rle.boxes(counts[best : best + 1], size)[0])
        side = max(x2 - x1, y2 - y1, 12.0) * 1.25
        crop = [best, (x1 + x2 - side) / 2, (y1 + y2 - side) / 2, side]
    return {
        "masks": [c.decode("ascii") if a else "" for c, a in zip(counts, areas, strict=True)],
        "crop": crop,
        "presence": [[s.start, s.end] for s in video.spans(present)],
    }


def answer_data(answer: Answer) -> dict[str, object]:
    """An answer in plain values: words, verdict, rule, moments, and its ranking as far as it is shown."""
    shown = _shown(answer)
    rows = {r["index"]: r for r in answer.why["ranking"]}
    return {
        "text": answer.expression.text,
        "kind": answer.expression.kind,
        "noTarget": answer.no_target,
        "noTargetProbability": answer.no_target_probability,
        "rule": answer.why["rule"],
        "threshold": answer.why["threshold"],
        "moments": [[s.start, s.end, s.score] for s in answer.moments],
        "selected": [t.index for t in answer.tracks],
        "ranking": [
            {
                "index": i,
                "score": rows[i]["score"],
                "about": f"{rows[i]['source'].replace('_', ' ')}, frame {rows[i]['prompt_frame']}, "
                f"in view {rows[i]['present_share']:.0%}",
                "reason": rows[i]["reason"],
            }
            for i in shown
        ],
        "more": len(rows) - len(shown),
    }


def _overlay(path: Path | None) -> dict[str, str]:
    if path is None:
        return {"film": "", "name": ""}
    film = ""
    if path.stat().st_size <= _OVERLAY:
        film = f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
    return {"film": film, "name": path.name}
