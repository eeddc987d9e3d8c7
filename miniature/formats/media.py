"""Frames as JPEG files, videos as MP4, and links by which the formats share them.

Knows files and PyAV. Does not know what is shown. T frames.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import OutputError

JPEG_QUALITY: Final = 95
ENCODER: Final = "libx264"
_NO_LINKS: Final = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}


def write_frames(frames: NDArray[np.uint8], folder: Path) -> list[Path]:
    """The frames [T, H, W, 3] as FOLDER/00000.jpg and so on, in order."""
    folder.mkdir(parents=True)
    paths = [folder / f"{t:05d}.jpg" for t in range(len(frames))]
    for frame, path in zip(frames, paths, strict=True):
        Image.fromarray(frame).save(path, quality=JPEG_QUALITY, subsampling=0)
    return paths


def write_video(frames: NDArray[np.uint8], fps: float, path: Path) -> None:
    """The frames [T, H, W, 3] as an MP4 (H.264) in which frame t starts at t / fps seconds.

    Raises:
        OutputError: where PyAV lacks the encoder.
    """
    if ENCODER not in av.codecs_available:
        raise OutputError(f"video {path}: expected the encoder {ENCODER} in PyAV, got a build without it")
    path.parent.mkdir(parents=True, exist_ok=True)
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(ENCODER, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        # Without B-frames packets leave in the order of time, and MP4 can hold how long the last one lasts.
        stream.options = {"crf": "20", "preset": "veryfast", "bf": "0", "g": "32"}
        stream.codec_context.time_base = 1 / rate
        for t, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = t, 1 / rate
            _mux(container, stream.encode(picture))
        _mux(container, stream.encode(None))


def _mux(container: av.container.OutputContainer, packets: Sequence[av.Packet]) -> None:
    for packet in packets:
        packet.duration = 1  # a frame, in the stream's time base
    container.mux(packets)


def link(source: Path, target: Path) -> None:
    """The same file under a second name; a copy on file systems that know no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)


def link_frames(sources: Sequence[Path], folder: Path, pattern: str = "{:05d}.jpg", first: int = 0) -> None:
    """The files under the names `pattern` makes of `first`, `first` + 1, ... in FOLDER."""
    for number, source in enumerate(sources, start=first):
        link(source, folder / pattern.format(number))


def write_labels(labels: NDArray[np.uint8], path: Path) -> None:
    """A label map [H, W] as a palette PNG whose values are the labels, as DAVIS stores them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels)
    image.putpalette(_PALETTE)
    image.save(path)


def _colour(label: int) -> tuple[int, int, int]:
    """A label's colour in the palette of PASCAL VOC: bits 3j, 3j+1, 3j+2 give bit 7-j of red, green and blue."""
    red, green, blue = (sum(((label >> (3 * j + c)) & 1) << (7 - j) for j in range(8)) for c in range(3))
    return red, green, blue


_PALETTE: Final = [v for label in range(256) for v in _colour(label)]
