"""Which objects a clip holds: looks in groups of twins, a motion each, depth, and paths that keep twins apart.

Knows the draw. Does not know pixels or words. Twins share shape, colour, texture and size, and differ in motion.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from miniature.world.passages import PROGRAMS, Program
from miniature.world.spec import COLOURS, SHAPES, SIDE, SIZES, TEXTURES, UNSEEN_TEXTURES, ObjectSpec, Path

Rng = np.random.Generator
Rgb = tuple[int, int, int]
TRIES_EACH = 20  # draws of one motion
TRIES = 3 * TRIES_EACH
# In some clips several objects do the same, so that who does it first can be asked.
THEMES = ("enter", "leave", "appear", "disappear")
THEME_SHARE, THEME_FACTOR = 0.35, 8.0
_GROUPS: dict[int, tuple[tuple[int, ...], ...]] = {
    4: ((2, 1, 1), (2, 2), (2, 2)),
    5: ((2, 2, 1), (2, 2, 1), (3, 1, 1), (2, 1, 1, 1)),
    6: ((2, 2, 1, 1), (2, 2, 2), (3, 2, 1)),
    7: ((2, 2, 2, 1), (3, 2, 1, 1), (2, 2, 1, 1, 1)),
    8: ((2, 2, 2, 1, 1), (3, 2, 2, 1), (3, 2, 1, 1, 1)),
    9: ((2, 2, 2, 2, 1), (3, 2, 2, 1, 1), (3, 2, 2, 2)),
}


@dataclass(frozen=True)
class SceneLook:
    """How an object looks, before it has a path; `rgb` and `mark` as in ObjectSpec."""

    shape: str
    colour: str
    texture: str
    size: str
    rgb: Rgb
    mark: Rgb


def clip_length(rng: Rng, shifted: bool) -> int:
    """Frames of a clip: 24..64, shifted 40..64."""
    low, high = (40, 64) if shifted else (24, 64)
    return int(rng.integers(low, high + 1))


def _jittered(rng: Rng, rgb: Rgb) -> Rgb:
    r, g, b = (int(v) for v in np.clip(np.array(rgb) + rng.integers(-10, 11, 3), 0, 255))
    return r, g, b


def _mark_of(rgb: Rgb) -> Rgb:
    """A darker tone of the same hue, or a lighter one for dark colours; never the middle grey of a background."""
    values = np.array(rgb, dtype=np.float64)
    if values.mean() < 40:
        values = values * 0.2 + 255 * 0.8
    elif values.mean() < 110 and values.max() < 200:
        values = values * 0.45 + 255 * 0.55
    else:
        values = values * 0.6 - values.min() * 0.3
    r, g, b = (int(v) for v in values)
    return r, g, b


def draw_look(
    rng: Rng, earlier: list[SceneLook], textures: tuple[str, ...], plain: float, *, distinct: int = 3
) -> SceneLook:
    """A look that differs from the earlier ones, but shares words with them more often than chance would.

    distinct: how many of shape, colour and texture, in this order, make the difference.
    """
    taken = {(e.shape, e.colour, e.texture)[:distinct] for e in earlier}
    while True:
        colour, shape = str(rng.choice(list(COLOURS))), str(rng.choice(SHAPES))
        texture = "plain" if rng.random() < plain else str(rng.choice([t for t in textures if t != "plain"]))
        if earlier:
            like = earlier[int(rng.integers(len(earlier)))]
            shape = like.shape if rng.random() < 0.4 else shape
            colour = like.colour if rng.random() < 0.4 else colour
        if (shape, colour, texture)[:distinct] not in taken:
            break
    rgb = _jittered(rng, COLOURS[colour])
    return SceneLook(shape, colour, texture, str(rng.choice(SIZES)), rgb, _mark_of(rgb))


def draw_radius(rng: Rng, size: str) -> float:
    """A radius of a size, pixels."""
    return float(rng.uniform(15, 20) if size == "small" else rng.uniform(32, 42))


def _suits(program: Program, look: SceneLook, frames: int) -> bool:
    """Whether a motion can be seen on a look in so many frames: a plain disc shows no turning."""
    if not program.least <= frames <= program.most:
        return False
    return not (program.name == "rotate" and look.texture == "plain" and look.shape in ("disc", "ring"))


def _draw_program(rng: Rng, look: SceneLook, frames: int, avoid: set[str], theme: str) -> Program:
    fit = [p for p in PROGRAMS if _suits(p, look, frames)]
    fresh = [p for p in fit if p.name not in avoid or p.name == theme] or fit
    weights = np.array([p.weight * (THEME_FACTOR if p.name == theme else 1) for p in fresh])
    return fresh[int(rng.choice(len(fresh), p=weights / weights.sum()))]


def _inside(path: Path) -> NDArray[np.bool_]:
    reach = path.radius[:, None]
    return path.shown & ((path.centre > -reach) & (path.centre < SIDE + reach)).all(axis=1)


def conflict(path: Path, other: Path, twins: bool) -> float:
    """How badly two paths clash: the share of frames in touch, and much more for twins that ever touch."""
    both = _inside(path) & _inside(other)
    gap = np.hypot(*(path.centre - other.centre).T) - 0.85 * (path.radius + other.radius)
    close = both & (gap < 0)
    share = float(close.mean())
    if twins:
        return 20.0 * float(close.any()) + share
    return share if share > 0.3 else 0.15 * share


def _draw_motion(
    rng: Rng, look: SceneLook, frames: int, avoid: set[str], theme: str, others: list[tuple[Path, bool]]
) -> tuple[str, Path]:
    """A motion's name and path: the least clashing of several draws, of another motion where one never fits."""
    radius = draw_radius(rng, look.size)
    best: tuple[str, Path] | None = None
    least = np.inf
    for attempt in range(TRIES):
        if attempt % TRIES_EACH == 0:
            program = _draw_program(rng, look, frames, avoid, theme)
        path = program.draw(rng, frames, radius)
        cost = sum(conflict(path, other, twins) for other, twins in others)
        if best is None or cost < least:
            best, least = (program.name, path), cost
        if least < 0.05 or (attempt % TRIES_EACH == TRIES_EACH - 1 and least < 1):
            break
    assert best is not None
    return best


def draw_scene(rng: Rng, frames: int, shifted: bool) -> tuple[ObjectSpec, ...]:
    """The objects of a clip of `frames` frames, ids "1", "2", ... in random order of look, motion and depth."""
    count = int(rng.integers(6, 10) if shifted else rng.integers(4, 8))
    sizes = _GROUPS[count][int(rng.integers(len(_GROUPS[count])))]
    textures = TEXTURES + UNSEEN_TEXTURES if shifted else TEXTURES
    looks: list[SceneLook] = []
    for _ in sizes:
        looks.append(draw_look(rng, looks, textures, 0.35 if shifted else 0.45))
    group = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    depth = rng.permutation(count)
    theme = str(rng.choice(THEMES)) if rng.random() < THEME_SHARE else ""
    objects: list[ObjectSpec] = []
    for i, g in enumerate(int(v) for v in group):
        look = looks[g]
        motions = {o.motion for o in objects if o.group == g}
        others = [(o.path, o.group == g) for o in objects]
        motion, path = _draw_motion(rng, look, frames, motions, theme, others)
        words = (look.shape, look.colour, look.texture, look.size)
        objects.append(ObjectSpec(str(i + 1), *words, motion, int(depth[i]), g, look.rgb, look.mark, path))
    return tuple(objects)
