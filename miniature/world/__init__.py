"""A rendered world with exact ground truth: clips of moving objects, their visible masks, and expressions about them.

`make_clip` is all that others need. Knows how to draw and describe. Does not know files, splits or trackers.
Everything follows from the seed: the same arguments give the same clip.
"""

import numpy as np

from core.errors import InputError
from miniature.world.facts import Facts
from miniature.world.language import NO_TARGET, describe
from miniature.world.paint import paint
from miniature.world.scene import clip_length, draw_scene
from miniature.world.spec import FPS, SIDE, Clip, ObjectSpec

__all__ = ["FPS", "NO_TARGET", "SIDE", "Clip", "ObjectSpec", "make_clip"]


def make_clip(
    seed: int,
    *,
    shifted: bool = False,
    frames: int | None = None,
    expressions: int | None = None,
    no_target: float = NO_TARGET,
) -> Clip:
    """Draw the clip of a seed: 256x256, 8 fps, `frames` frames or else 24 to 64 (shifted 40 to 64).

    Shifted clips have unseen backgrounds, textures and wordings and more objects. Expressions are true of exactly
    their targets; those that would be doubtful are left out. `expressions`: at most so many, instead of 8 to 12;
    `no_target`: share of them that try to have no target; the picture stays the same.

    Raises:
        InputError: for a negative seed, fewer than one frame, or a share outside 0..1.
    """
    if seed < 0:
        raise InputError(f"seed: expected a whole number from 0, got {seed}")
    if frames is not None and frames < 1:
        raise InputError(f"frames: expected at least 1, got {frames}")
    if not 0 <= no_target <= 1:
        raise InputError(f"no_target: expected a share in 0..1, got {no_target}")
    streams = np.random.SeedSequence([seed, int(shifted), 0]).spawn(4)  # 0: the short world
    length, scene, pixels, words = (np.random.default_rng(s) for s in streams)
    count = clip_length(length, shifted) if frames is None else frames
    objects = draw_scene(scene, count, shifted)
    picture = paint(pixels, objects, count, shifted)
    said = describe(words, Facts(objects, picture), shifted, expressions, no_target)
    return Clip(seed, FPS, picture.frames, picture.masks, objects, said)
