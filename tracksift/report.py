"""The failure browser: explanations of many videos as one HTML file that needs nothing else and keeps to a size.

Knows explanations, the page's parts and `report.html`. Does not know models or metrics. Each video is a script element
of its own, written as soon as it is explained and read by the browser when one of its rows is opened. Texts reach the
page as JSON and are set as text there, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from core.atomic import atomic_path
from core.errors import InputError, TrackSiftError
from core.types import VideoMeta
from fusion.drawing import PALETTE
from tracksift.explain import ExplainedVideo, Explanation
from tracksift.jobs import Job
from tracksift.page import key_frames
from tracksift.page_parts import Frame, script_json, template
from tracksift.report_blocks import short, video_data

LIMIT = 64_000_000
"""Bytes of a page unless told otherwise; browsers open it in a second or two."""
_STEPS = ((6, 320), (5, 256), (4, 192), (3, 128))  # key frames and their longest side, the most that keeps to a share
_ROW_BYTES = 500  # of an expression in the table, about


@dataclass
class Report:
    """What was written: expressions, videos, videos whose pictures were left out to keep to the size, and bytes."""

    expressions: int = 0
    videos: int = 0
    bare: int = 0
    size: int = 0
    rows: list[dict[str, object]] = field(default_factory=list, repr=False)


def write_report(
    path: Path,
    title: str,
    videos: Iterable[ExplainedVideo],
    count: int,
    *,
    facts: Sequence[str] = (),
    note: str = "",
    limit: int = LIMIT,
) -> Report:
    """Write the page, whole or not at all. It makes no request of any kind.

    Every video gets an equal share of what is left of `limit`: pictures shrink, then become fewer, then are left out.
    Memory holds one video at a time.

    Args:
        path: the HTML file.
        title: for its head.
        videos: explanations, in the order of the table.
        count: how many videos will come; those without explanations are left out.
        facts: short texts for the head.
        note: a sentence for the head.
        limit: bytes of the file.

    Raises:
        InputError: when even without pictures the page would be larger than `limit`.
        OutputError: when `path` cannot be written.
    """
    head, tail = template("report.html", f"{title} · TrackSift")
    report = Report()
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        report.size += _write(file, head) + len(tail.encode()) + 1000
        for video in videos:
            if not video.explanations:
                count -= 1
                continue
            report.rows += [_row(e, report.videos, place, len(report.rows) + place)
                            for place, e in enumerate(video.explanations)]  # fmt: skip
            left = limit - report.size - _ROW_BYTES * len(report.rows)
            block, pictured = _fitting(video, left // max(1, count - report.videos))
            report.size += _write(file, f'<script type="application/json" id="v{report.videos}">{block}</script>\n')
            report.videos += 1
            report.bare += not pictured and video.track_set is not None
            _check_size(path, report, report.size + _ROW_BYTES * len(report.rows), limit)
        report.expressions = len(report.rows)
        data = script_json(_head(title, facts, note, report))
        report.size += _write(file, f'<script type="application/json" id="data">{data}</script>') - 1000
        _check_size(path, report, report.size, limit)
        _write(file, tail)
    return report


def _write(file: IO[str], text: str) -> int:
    file.write(text)
    return len(text.encode())


def _check_size(path: Path, report: Report, size: int, limit: int) -> None:
    if size > limit:
        raise InputError(
            f"report {path}: expected at most {limit / 1e6:.1f} MB, got more after {report.videos} videos and "
            f"{len(report.rows)} expressions without room for pictures; raise the limit or show fewer"
        )


def _head(title: str, facts: Sequence[str], note: str, report: Report) -> dict[str, object]:
    """What the page reads at once."""
    if report.bare:
        left_out = f"Pictures of {report.bare} of {report.videos} videos were left out to keep this page small."
        note = f"{note} {left_out}".strip()
    palette = [f"rgb({r},{g},{b})" for r, g, b in PALETTE]
    told = [f"{len(report.rows)} expressions", f"{report.videos} videos", *facts]
    return {"title": title, "facts": told, "note": note, "palette": palette, "rows": report.rows}


def _row(explanation: Explanation, block: int, place: int, number: int) -> dict[str, object]:
    """A line of the table."""
    loss, judged = explanation.loss, explanation.judged
    return {
        "number": number,
        "block": block,
        "place": place,
        "video": explanation.video_id,
        "id": explanation.expression.id,
        "text": explanation.expression.text,
        "kind": explanation.expression.kind,
        "jf": short(explanation.jf),
        "oracle": short(judged.oracle_jf if judged is not None else explanation.jf),
        "loss": None if loss is None else [short(part) for part in loss.parts.values()],
        "cause": None if loss is None or loss.cause is None else str(loss.cause),
    }


def _fitting(video: ExplainedVideo, share: int) -> tuple[str, bool]:
    """A video's data with as large pictures as its share of bytes allows, and whether it has any."""
    frames: Mapping[int, Frame] = {}
    if video.track_set is not None and share > 0:
        frames = _frames(video.job, video.track_set.video)
    for count, side in _STEPS if frames else ():
        every = sorted(frames)
        chosen = [every[i] for i in _evenly(len(every), count)]
        block = script_json(video_data(video, {i: frames[i] for i in chosen}, side))
        if len(block) <= share:
            return block, True
    return script_json(video_data(video, {}, 1)), False


def _evenly(length: int, count: int) -> list[int]:
    """At most `count` places among `length`, the first and the last included."""
    if length <= count:
        return list(range(length))
    return sorted({round(i * (length - 1) / (count - 1)) for i in range(count)})


def _frames(job: Job, video: VideoMeta) -> dict[int, Frame]:
    """Key frames of a video; none where they cannot be read or are of another size than the tracks."""
    try:
        reader = job.open()
        try:
            indices = key_frames(video, _STEPS[0][0])
            frames = dict(zip(indices, reader.read(indices), strict=True))
        finally:
            reader.close()
    except TrackSiftError:
        return {}  # the explanation stands without pictures, and the page says that they were left out
    return frames if all(frame.shape == (*video.size, 3) for frame in frames.values()) else {}
