"""Charts as PNG: lines over a common x axis, points beside a diagonal, and bars with their spread. Drawn with Pillow.

Knows numbers and pixels. Does not know what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from core.atomic import atomic_path
from core.errors import InputError

Points = Sequence[tuple[float, float]]
COLOURS = ("#1f5fbf", "#c8501e", "#2f8f4e", "#8a3fa0", "#b08a00", "#3a8fa3", "#7a7a7a")
_PANEL = (460, 300)
_BAR = 24
_MARGIN = (64, 36, 20, 44)  # left, top, right, bottom
_INK, _GRID = "#222222", "#dddddd"


@dataclass(frozen=True)
class Panel:
    """One chart of an image: named series of points (x, y), as lines or as dots.

    low, high: ends of the y axis; None takes the points' own.   diagonal: draw y = x, over 0..1 on both axes.
    """

    title: str
    series: Mapping[str, Points]
    x_label: str = ""
    low: float | None = None
    high: float | None = None
    diagonal: bool = False
    dots: bool = False


def draw_panels(path: Path, panels: Sequence[Panel]) -> None:
    """Write the panels beside one another as a PNG; points that are not finite are left out.

    Raises:
        InputError: for no panel.
        OutputError: when the file cannot be written.
    """
    if not panels:
        raise InputError("chart: expected at least one panel, got none")
    image = Image.new("RGB", (_PANEL[0] * len(panels), _PANEL[1]), "white")
    draw = ImageDraw.Draw(image)
    for i, panel in enumerate(panels):
        _draw(draw, panel, i * _PANEL[0])
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


@dataclass(frozen=True)
class Bar:
    """One bar: its length from 0, None for a dash; the spread to both sides of its end, None where there is none."""

    name: str
    value: float | None
    spread: float | None = None


def draw_bars(path: Path, panels: Mapping[str, Sequence[Bar]]) -> None:
    """Write bars as a PNG, one panel a title beside the other; each is as wide as 1, or as its largest value above 1.

    Bars of one name have one colour in all panels.

    Raises:
        InputError: for no bar.
        OutputError: when the file cannot be written.
    """
    names = list(dict.fromkeys(bar.name for bars in panels.values() for bar in bars))
    if not names:
        raise InputError("chart: expected at least one bar, got none")
    font = ImageFont.load_default(12)
    label, width = max(150, 20 + max(round(font.getlength(name)) for name in names)), _PANEL[0] - 250
    across = label + width + 100
    image = Image.new("RGB", (across * len(panels), 40 + _BAR * max(map(len, panels.values()))), "white")
    draw = ImageDraw.Draw(image)
    for place, (title, bars) in enumerate(panels.items()):
        left, scale = across * place + label, width / max([1.0, *(bar.value or 0.0 for bar in bars)])
        draw.text((left, 10), title, fill=_INK, font=ImageFont.load_default(14))
        for number, bar in enumerate(bars):
            top = 36 + _BAR * number
            draw.text((left - 6, top), bar.name, fill=_INK, font=font, anchor="ra")
            _bar(draw, bar, (left, top), scale, COLOURS[names.index(bar.name) % len(COLOURS)])
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


def _bar(draw: ImageDraw.ImageDraw, bar: Bar, corner: tuple[float, float], scale: float, colour: str) -> None:
    """A bar from its corner, `scale` pixels for 1, and its value behind it."""
    (left, top), end, said = corner, corner[0], "-"
    if bar.value is not None:
        end, said = left + scale * max(bar.value, 0), f"{bar.value:.3f}"
        draw.rectangle([left, top, end, top + _BAR - 8], fill=colour)
    if bar.value is not None and bar.spread is not None:
        reach, middle = scale * bar.spread, top + (_BAR - 8) / 2
        draw.line([end - reach, middle, end + reach, middle], fill=_INK, width=2)
        end, said = end + reach, f"{said} ± {bar.spread:.3f}"
    draw.text((end + 8, top), said, fill=_INK, font=ImageFont.load_default(12), anchor="la")


def _draw(draw: ImageDraw.ImageDraw, panel: Panel, left: int) -> None:
    series = {name: [p for p in points if all(map(math.isfinite, p))] for name, points in panel.series.items()}
    points = [p for some in series.values() for p in some]
    x_axis = (0.0, 1.0) if panel.diagonal else _ends([x for x, _ in points], None, None)
    y_axis = (0.0, 1.0) if panel.diagonal else _ends([y for _, y in points], panel.low, panel.high)
    box = (left + _MARGIN[0], _MARGIN[1], left + _PANEL[0] - _MARGIN[2], _PANEL[1] - _MARGIN[3])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_axis[0]) / (x_axis[1] - x_axis[0])
        up = (y - y_axis[0]) / (y_axis[1] - y_axis[0])
        return box[0] + across * (box[2] - box[0]), box[3] - min(max(up, 0), 1) * (box[3] - box[1])

    font = ImageFont.load_default(12)
    for step in range(5):
        x, y = (axis[0] + (axis[1] - axis[0]) * step / 4 for axis in (x_axis, y_axis))
        _, across = place(x_axis[0], y)
        draw.line([(box[0], across), (box[2], across)], fill=_GRID)
        draw.text((box[0] - 6, across), f"{y:.3g}", fill=_INK, font=font, anchor="rm")
        draw.text((place(x, y_axis[0])[0], box[3] + 6), f"{x:.3g}", fill=_INK, font=font, anchor="mt")
    draw.text((box[0], 10), panel.title, fill=_INK, font=ImageFont.load_default(14))
    draw.text(((box[0] + box[2]) / 2, box[3] + 24), panel.x_label, fill=_INK, font=font, anchor="mt")
    if panel.diagonal:
        draw.line([place(0, 0), place(1, 1)], fill="#999999")
    for number, (name, some) in enumerate(series.items()):
        colour, spots = COLOURS[number % len(COLOURS)], [place(*p) for p in some]
        if len(spots) > 1:
            draw.line(spots, fill=colour, width=2)
        for x, y in spots if panel.dots or len(spots) == 1 else ():
            draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=colour)
        draw.text((box[2] - 4, box[1] + 4 + 15 * number), name, fill=colour, font=font, anchor="rt")


def _ends(values: Sequence[float], low: float | None, high: float | None) -> tuple[float, float]:
    """The axis' ends, apart from each other."""
    start = low if low is not None else min(values, default=0.0)
    end = high if high is not None else max(values, default=1.0)
    return (start, end) if end > start else (start - 0.5, start + 0.5)
