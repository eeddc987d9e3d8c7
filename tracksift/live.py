"""A video or a live source of frames -> the grounder's stream: frames at its rate, seen as it learnt to see them.

Knows readers, the frozen image encoder and what a grounder's record says of its inputs. Does not know what is said, nor
when. Nothing here grows with the stream. Axis letters: H W pixels, P patches, C feature width.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import InputError, ScorerMismatchError
from core.images import FrameEncoder
from llm_grounder.events import Question
from tracksift.clips import Inputs

_QUESTION: Final = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*:\s*(\S.*)")

Picture = NDArray[np.uint8]
TimedPicture = tuple[float, Picture]


class Timed(Protocol):
    """Frames in order, and their times in seconds."""

    @property
    def timestamps(self) -> NDArray[np.float64]:
        """[T]."""


class Eyes:
    """Makes the features of one frame after another, as `extract-features` and `read_clip` make them of a video."""

    def __init__(self, encoder: FrameEncoder, inputs: Inputs) -> None:
        """inputs: of the grounder's record.

        Raises:
            ScorerMismatchError: when the grounder learnt from another encoder.
            InputError: when it reads tracks, which a stream has not, and did not learn to do without.
        """
        if encoder.sha256 != inputs.encoder:
            raise ScorerMismatchError(
                f"grounder: expected the image encoder {inputs.encoder[:12]} that it was trained on, "
                f"got {encoder.name} ({encoder.sha256[:12]})"
            )
        if inputs.tracks and not inputs.trackless:
            raise InputError(
                "stream: expected a grounder that reads no tracks or learnt to do without, got one of "
                f"{inputs.tracks} tracks"
            )
        self._encoder, self._inputs = encoder, inputs
        self._before: Tensor | None = None

    def see(self, picture: Picture) -> Tensor:
        """Features [P, C] of a frame uint8 [H, W, 3] RGB, with their change since the last one where it is wanted."""
        inputs = self._inputs
        pooled, patches = self._encoder.encode_frames(picture[None], inputs.grid, inputs.tiles)
        # Caches hold 16 bits, from which the grounder learnt.
        now = torch.from_numpy((pooled if patches is None else patches[0]).astype(np.float16))
        before, self._before = self._before, now
        return torch.cat([now, now - (now if before is None else before)], dim=-1) if inputs.motion else now


def thin(frames: Iterable[TimedPicture], per_second: float | None, end: float | None = None) -> Iterator[TimedPicture]:
    """Of frames with rising times those shown at 0, 1 / per_second .. after the first one, each once; all for None.

    They are those that `extract-features` takes. A frame is let through when the next one comes, for until then it is
    not known how long it is shown.   end: when the last frame stops being shown, else nothing is known of it but its
    start.
    """
    if per_second is None:
        yield from frames
        return
    first, last, taken = math.nan, None, -1
    for time, picture in frames:
        if last is None:
            first = time
        elif (due := _due(time - first, per_second)) > taken:
            taken = due
            yield last
        last = time, picture
    if last is not None:
        over = last[0] + 1e-5 if end is None else end
        if _due(over - first, per_second) > taken:
            yield last


def _due(seconds: float, per_second: float) -> int:
    """The last multiple of 1 / per_second before so many seconds, a hair before it included in the next frame."""
    return math.ceil((seconds - 1e-6) * per_second) - 1


def with_times(frames: Iterable[Picture], video: Timed) -> Iterator[TimedPicture]:
    """A reader's frames with their times."""
    for time, picture in zip(video.timestamps.tolist(), frames, strict=True):
        yield float(time), picture


def read_questions(given: Iterable[str], file: Path | None = None) -> list[Question]:
    """Questions of flags and of a file (one a line), "SECONDS: words", or words alone for second 0.

    Raises:
        InputError: where there is none, or the file cannot be read.
    """
    lines = list(given)
    if file is not None:
        try:
            lines += [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--questions {file}: expected a text file, got {error}") from error
    if not lines:
        raise InputError("stream: expected at least one --question, got none")
    return [_question(line) for line in lines]


def _question(line: str) -> Question:
    found = _QUESTION.fullmatch(line)
    return Question(float(found[1]), found[2].strip()) if found else Question(0.0, line.strip())
