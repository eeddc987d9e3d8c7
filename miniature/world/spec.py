"""What a rendered clip consists of: shapes, colours, textures, paths, objects, the clip itself.

Knows names, units and array shapes: pixels with x to the right and y down, frames from 0, radians that rise
clockwise on the screen. Does not know how anything is drawn, chosen or described.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.types import Expression
from core.validators import check_array

SIDE = 256
FPS = 8.0

SHAPES = ("disc", "square", "triangle", "star", "ring", "cross", "hexagon", "heart", "crescent")
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (246, 138, 22),
    "yellow": (240, 222, 48),
    "green": (48, 162, 62),
    "cyan": (58, 208, 216),
    "blue": (44, 78, 214),
    "purple": (138, 58, 186),
    "pink": (246, 132, 190),
    "white": (242, 242, 240),
    "black": (26, 26, 30),
}
TEXTURES = ("plain", "striped", "dotted", "checkered")
UNSEEN_TEXTURES = ("chevron", "halved", "speckled", "shaded")
SIZES = ("small", "large")

# Eight headings, 45 degrees apart, from rightwards through upwards.
HEADINGS = ("right", "up and right", "up", "up and left", "left", "down and left", "down", "down and right")


def heading_vector(heading: int) -> NDArray[np.float64]:
    """Unit vector (x, y down) of a heading 0..7."""
    turn = heading * math.pi / 4
    # Rounded: a main heading must not move the other coordinate by a rounding error.
    return np.round(np.array([math.cos(turn), -math.sin(turn)]), 12)


@dataclass(frozen=True)
class Phase:
    """One stretch of one motion, frames [start, stop).

    kind: still, move, bounce, circle, sway, zigzag, rotate, grow or shrink.   heading: 0..7 for move and zigzag; 0
    (sideways) or 2 (up and down) for sway.   clockwise: for circle and rotate.
    """

    kind: str
    start: int
    stop: int
    heading: int | None = None
    clockwise: bool | None = None


@dataclass(frozen=True)
class Path:
    """Where an object is: centre [T, 2] and radius [T] in pixels, angle [T] in radians, shown [T], its phases in order.

    An object that is not shown is not drawn; an object that is shown may still be out of the frame or hidden.
    """

    centre: NDArray[np.float64]
    radius: NDArray[np.float64]
    angle: NDArray[np.float64]
    shown: NDArray[np.bool_]
    phases: tuple[Phase, ...]

    def __post_init__(self) -> None:
        """Refuse arrays of different lengths."""
        check_array("path centre", self.centre, [None, 2], "f")
        check_array("path radius", self.radius, [len(self.centre)], "f")
        check_array("path angle", self.angle, [len(self.centre)], "f")
        check_array("path shown", self.shown, [len(self.centre)], "b")


@dataclass(frozen=True)
class ObjectSpec:
    """One object: how it looks, which motion it was given, how deep it lies (0 nearest to the viewer), its path.

    `rgb` is the exact colour, `mark` that of the texture's marks. Objects of one `group` are twins: same shape, colour,
    texture and size.
    """

    id: str
    shape: str
    colour: str
    texture: str
    size: str
    motion: str
    depth: int
    group: int
    rgb: tuple[int, int, int]
    mark: tuple[int, int, int]
    path: Path

    @property
    def look(self) -> tuple[str, str, str]:
        """Shape, colour and texture: what a twin shares."""
        return self.shape, self.colour, self.texture


@dataclass(frozen=True)
class Clip:
    """A rendered clip with its exact ground truth.

    frames: uint8 [T, 256, 256, 3] RGB.   masks: bool [O, T, 256, 256], visible pixels only, in the order of `objects`.
    """

    seed: int
    fps: float
    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    objects: tuple[ObjectSpec, ...]
    expressions: tuple[Expression, ...]

    def __post_init__(self) -> None:
        """Refuse masks that do not match the frames and objects."""
        check_array("clip frames", self.frames, [None, SIDE, SIDE, 3], "u")
        check_array("clip masks", self.masks, [len(self.objects), len(self.frames), SIDE, SIDE], "b")
