"""Answers drawn on frames: translucent masks with outlines, boxes, labels, and a bar with the words and the time.

Knows pixels, colours and fonts. Does not know video files. The font is Pillow's own, which has Latin letters only; the
page of a video shows every script.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from core import rle
from core.types import Answer, TimeSpan, VideoMeta

Colour = tuple[int, int, int]
Frame = NDArray[np.uint8]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PALETTE: tuple[Colour, ...] = (
    (56, 189, 248),
    (251, 146, 60),
    (74, 222, 128),
    (244, 114, 182),
    (250, 204, 21),
    (167, 139, 250),
    (45, 212, 191),
    (248, 113, 113),
)
"""Colours of the selected tracks, best first; light enough for dark text, apart in hue and lightness."""

_BAR: Colour = (17, 20, 26)
_INK: Colour = (237, 240, 245)
_FAINT: Colour = (120, 128, 140)
_OPACITY = 0.45
_SHORT_SIDE = 480  # smaller videos are enlarged by whole factors, so that words can be read


@dataclass(frozen=True)
class Layer:
    """One track as drawn: colour, label, T masks, boxes [T, 4] pixels (NaN where absent)."""

    colour: Colour
    label: str
    masks: tuple[bytes, ...]
    boxes: NDArray[np.float32]


@dataclass(frozen=True)
class Caption:
    """One answer's line in the bar: its words, its verdict, a colour, and the spans of its strip."""

    colour: Colour
    text: str
    verdict: str
    spans: tuple[TimeSpan, ...]


def layers(answers: Sequence[Answer]) -> list[Layer]:
    """The selected tracks of all answers; a colour for each track of one answer, or for each of several answers."""
    return [
        Layer(_colour(a if len(answers) > 1 else t), f"#{track.index}  {track.score:.2f}", track.masks, track.boxes)
        for a, answer in enumerate(answers)
        for t, track in enumerate(answer.tracks)
    ]


def captions(answers: Sequence[Answer]) -> list[Caption]:
    """One caption for each answer; its strip shows the moments, or where there are none, when the masks are there."""
    lines = []
    for a, answer in enumerate(answers):
        there = rle.areas(answer.masks, answer.video.size) > 0
        verdict = "no target" if answer.no_target else f"{len(answer.tracks)} track{'s' * (len(answer.tracks) > 1)}"
        lines.append(Caption(_colour(a), answer.expression.text, verdict, answer.moments or answer.video.spans(there)))
    return lines


class Canvas:
    """Draws the frames of one video; every frame it returns has the same even size."""

    def __init__(self, video: VideoMeta, drawn: Sequence[Layer], lines: Sequence[Caption]) -> None:
        height, width = video.size
        self._video, self._layers, self._lines = video, drawn, lines
        self._scale = max(1, round(_SHORT_SIDE / min(height, width)))
        self._height, self._width = height * self._scale, width * self._scale
        self._unit = max(1, round(min(self._height, self._width) / 240))  # thickness of outlines, pixels
        self._font: Font = ImageFont.load_default(max(12, min(self._height, self._width) // 30))
        self._step = round(self._font.getbbox("Ag")[3] * 1.35)
        self._wrapped = [self._wrap(f"“{line.text}” · {line.verdict}") for line in lines]
        rows = 1 + sum(len(w) for w in self._wrapped)
        bar = rows * self._step + len(lines) * 4 * self._unit + 6 * self._unit
        self.size = (self._height + bar + (self._height + bar) % 2, self._width + self._width % 2)

    def draw(self, frame: Frame, index: int) -> Frame:
        """Frame [H, W, 3] of that index -> a drawn one [H', W', 3] of `self.size`."""
        picture = Image.fromarray(frame)
        if self._scale > 1:
            picture = picture.resize((self._width, self._height), Image.Resampling.BICUBIC)
        pixels = np.asarray(picture).astype(np.float32)
        for layer in self._layers:
            self._blend(pixels, layer, index)
        whole = Image.new("RGB", (self.size[1], self.size[0]), _BAR)
        whole.paste(Image.fromarray(pixels.round().astype(np.uint8)), (0, 0))
        pen = ImageDraw.Draw(whole)
        for layer in self._layers:
            self._box(pen, layer, index)
        self._bar(pen, index)
        return np.asarray(whole)

    def _blend(self, pixels: NDArray[np.float32], layer: Layer, index: int) -> None:
        mask = rle.decode([layer.masks[index]], self._video.size)[0]  # [H, W]
        if not mask.any():
            return
        mask = mask.repeat(self._scale, axis=0).repeat(self._scale, axis=1)
        inner = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.MinFilter(2 * self._unit + 1))
        edge = mask & (np.asarray(inner) == 0)
        colour = np.array(layer.colour, dtype=np.float32)
        pixels[mask] = (1 - _OPACITY) * pixels[mask] + _OPACITY * colour
        pixels[edge] = colour

    def _box(self, pen: ImageDraw.ImageDraw, layer: Layer, index: int) -> None:
        if np.isnan(layer.boxes[index, 0]):
            return
        x1, y1, x2, y2 = (round(float(v) * self._scale) for v in layer.boxes[index])
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=layer.colour, width=max(1, self._unit // 2))
        width, pad = round(self._font.getlength(layer.label)), 2 * self._unit
        left = max(0, min(x1, self._width - width - 2 * pad))
        top = y1 - self._step if y1 >= self._step else min(y2, self._height - self._step)  # below where no room above
        pen.rectangle((left, top, left + width + 2 * pad, top + self._step - 1), fill=layer.colour)
        pen.text((left + pad, top + self._step // 2), layer.label, font=self._font, fill=_BAR, anchor="lm")

    def _bar(self, pen: ImageDraw.ImageDraw, index: int) -> None:
        """The bar under the picture: each answer's strip of time and words, then the time of this frame."""
        video, unit, pad = self._video, self._unit, 4 * self._unit
        start, now = float(video.timestamps[0]), float(video.timestamps[index])
        along = self._width / (video.end - start)  # pixels a second
        top = self._height
        for line, words in zip(self._lines, self._wrapped, strict=True):
            pen.rectangle((0, top, self._width, top + 2 * unit - 1), fill=(44, 50, 60))
            for span in line.spans:
                ends = ((span.start - start) * along, (min(span.end, video.end) - start) * along - 1)
                pen.rectangle((ends[0], top, max(ends), top + 2 * unit - 1), fill=line.colour)
            at = (now - start) * along
            pen.rectangle((at, top, at + unit, top + 3 * unit), fill=_INK)
            top += 4 * unit
            for row in words:
                pen.text((pad, top + self._step // 2), row, font=self._font, fill=_INK, anchor="lm")
                top += self._step
        middle = top + self._step // 2
        text = f"{now:.2f} s  ·  frame {index + 1} of {video.frames}"
        pen.text((pad, middle), text, font=self._font, fill=_FAINT, anchor="lm")

    def _wrap(self, text: str) -> list[str]:
        """Lines that fit the picture's width; a single word that does not is left to run out."""
        room, rows = self._width - 8 * self._unit, [""]
        for word in text.split():
            longer = f"{rows[-1]} {word}".strip()
            if rows[-1] and self._font.getlength(longer) > room:
                rows.append(word)
            else:
                rows[-1] = longer
        return rows


def _colour(index: int) -> Colour:
    return PALETTE[index % len(PALETTE)]
