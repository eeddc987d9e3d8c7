"""An answer as a video that opens anywhere: H.264 in MP4, with the exact times of the source's frames.

Knows PyAV. Does not know how frames are drawn (`fusion.drawing`) nor where they come from.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from core.atomic import atomic_path
from core.errors import InputError, OutputError, VideoError
from core.reporting import Progress
from core.types import Answer, VideoMeta
from fusion.drawing import Canvas, captions, layers

_ENCODER = "libx264"
_TICKS = 90_000  # a second; both 1/25 and 1001/30000 are whole numbers of ticks


def write_overlay(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    video: VideoMeta,
    answers: Answer | Sequence[Answer],
    progress: Progress | None = None,
) -> None:
    """Draw answers about one video on its frames and write an MP4 (H.264, yuv420p, even size).

    One answer has a colour for each of its tracks; several have a colour each. Frames keep their times, counted from
    the first, so that a video of uneven times plays as it was. Memory does not grow with the video.

    Args:
        path: ends in .mp4.
        frames: all frames of the video in order, [H, W, 3] uint8 RGB.
        video: identity and times of those frames.
        answers: any number, all about that video; with none, the film shows the frames and their times.
        progress: called with (frames done, frames in all).

    Raises:
        InputError: when `path` is no .mp4, or an answer is about another video.
        VideoError: when frames are of another number or size than the video's.
        OutputError: when `path` cannot be written or PyAV lacks the encoder.
    """
    every = [answers] if isinstance(answers, Answer) else list(answers)
    _check(path, video, every)
    if _ENCODER not in av.codecs_available:
        raise OutputError(f"overlay {path}: expected the encoder {_ENCODER} in PyAV, got a build without it")
    canvas = Canvas(video, layers(every), captions(every))
    ticks = np.round((np.append(video.timestamps, video.end) - video.timestamps[0]) * _TICKS).astype(np.int64)
    options = {"movflags": "+faststart"}  # a browser can start before it has the whole file
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4", options=options) as container:
        rate = Fraction(video.frames * _TICKS, max(1, int(ticks[-1])))
        stream = container.add_stream(_ENCODER, rate=rate.limit_denominator(1001))
        stream.height, stream.width = canvas.size
        stream.pix_fmt = "yuv420p"
        # Without B-frames packets leave in the order of time, and MP4 can hold how long the last one lasts.
        stream.options = {"crf": "20", "preset": "veryfast", "bf": "0"}
        stream.codec_context.time_base = Fraction(1, _TICKS)
        done = 0
        for frame in frames:
            if done == video.frames or frame.shape != (*video.size, 3):
                raise VideoError(
                    f"video {video.id!r}: expected {video.frames} frames of {video.size}, "
                    f"got frame {done + 1} of {frame.shape[:2]}"
                )
            drawn = av.VideoFrame.from_ndarray(canvas.draw(frame, done), format="rgb24")
            drawn.pts, drawn.time_base = int(ticks[done]), Fraction(1, _TICKS)
            container.mux(_timed(stream.encode(drawn), ticks))
            done += 1
            if progress is not None:
                progress(done, video.frames)
        if done < video.frames:
            raise VideoError(f"video {video.id!r}: expected {video.frames} frames, got {done}")
        container.mux(_timed(stream.encode(None), ticks))


def _timed(packets: list[av.Packet], ticks: NDArray[np.int64]) -> list[av.Packet]:
    """Packets with the duration of their frame, which the encoder does not pass on; else the last would be a guess."""
    for packet in packets:
        at = int(np.searchsorted(ticks, packet.pts))
        packet.duration = int(ticks[at + 1] - ticks[at])
    return packets


def _check(path: Path, video: VideoMeta, answers: Sequence[Answer]) -> None:
    if path.suffix.lower() != ".mp4":
        raise InputError(f"overlay {path}: expected a name that ends in .mp4, got {path.suffix or 'none'}")
    for answer in answers:
        if (answer.video.id, answer.video.frames) != (video.id, video.frames):
            raise InputError(
                f"overlay {path}: expected answers about video {video.id!r} of {video.frames} frames, "
                f"got one about {answer.video.id!r} of {answer.video.frames}"
            )
