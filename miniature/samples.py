"""Videos to try on the web page: rendered clips with expressions about them, and one real video.

Knows the rendered world and the demo's video. Does not know the page. The clips are of `valid`, so that nobody learns
from them or is measured on them.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from core.atomic import atomic_path
from core.types import Expression
from miniature.demo import REAL_EXPRESSIONS, REAL_VIDEO
from miniature.world import Clip, make_clip
from tracksift.web.studio import Sample

SEEDS = (200_003, 200_009, 200_018)
"""Clips of `valid` of which the miniature gets every suggested expression right: they show what the page does. How
often it is right is in `RESULTS.md`."""
_SHOWN = 5  # expressions a clip


def make_samples(folder: Path) -> list[Sample]:
    """Render the clips into `folder` as MP4; the real video is the last sample.

    Raises:
        OutputError: when `folder` cannot be written.
    """
    samples = []
    for number, seed in enumerate(SEEDS, start=1):
        clip, path = make_clip(seed), folder / f"clip{number}.mp4"
        _write(path, clip)
        samples.append(Sample(f"Moving shapes {number}", path, _various(clip.expressions)))
    return [*samples, Sample("Cups on a table", REAL_VIDEO, REAL_EXPRESSIONS)]


def _various(expressions: tuple[Expression, ...]) -> tuple[str, ...]:
    """Expressions of as many sorts as there are, one without a target among them."""
    by_sort: dict[tuple[bool, str], list[str]] = {}
    for e in expressions:
        by_sort.setdefault((not e.target_ids, "" if not e.target_ids else e.kind), []).append(e.text)
    turns = [text for texts in zip(*(by_sort[s][:1] for s in sorted(by_sort)), strict=True) for text in texts]
    rest = [e.text for e in expressions if e.text not in turns]
    return tuple((turns + rest)[:_SHOWN])


def _write(path: Path, clip: Clip) -> None:
    """H.264 that loses next to nothing: the trackers learnt from frames that were never compressed."""
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=Fraction(clip.fps).limit_denominator(1001))
        stream.height, stream.width, stream.pix_fmt = *clip.frames.shape[1:3], "yuv444p"
        stream.options = {"crf": "8", "preset": "veryfast"}
        for frame in clip.frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))
