"""What each object of a story shows in each frame: its look, and what it does.

Knows stories. Does not know films, patches or tracks. Axis letters: O objects, T frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from miniature.long_world import Story
from miniature.long_world.tell import act_key
from miniature.long_world.words import ACTS
from miniature.world.spec import COLOURS, SHAPES, SIZES, TEXTURES

NOTHING: Final = -1
STEADY: Final = 1.0  # pixels of change in a radius, up to which descriptions say a size
NONE: Final = "none"
KINDS: Final = {
    "colour": tuple(COLOURS), "shape": SHAPES, "texture": TEXTURES, "act": (NONE, *ACTS), "size": (NONE, *SIZES),
}  # fmt: skip
"""What can be seen of an object. Whoever grows or shrinks is of no size."""


@dataclass(frozen=True, eq=False)
class Shown:
    """values: int8 [O, T, kinds], the number of each object's value of each of KINDS, NOTHING for one that is unknown.

    depth: [O], the lower the nearer.
    """

    values: NDArray[np.int8]
    depth: NDArray[np.int64]


def shown_of(story: Story) -> Shown:
    """What the objects of a story show."""
    out = np.full((len(story.objects), story.frames, len(KINDS)), NOTHING, dtype=np.int8)
    for o, thing in enumerate(story.objects):
        look = (thing.colour, thing.shape, thing.texture)
        for k, (values, value) in enumerate(zip(KINDS.values(), look, strict=False)):
            out[o, :, k] = list(values).index(value) if value in values else NOTHING
        steady = float(np.ptp(thing.path.radius)) <= STEADY
        out[o, :, 3], out[o, :, 4] = 0, KINDS["size"].index(thing.size) if steady else 0
        for event in story.events:
            if event.object_id == thing.id:
                out[o, event.frames, 3] = KINDS["act"].index(act_key(event))
    return Shown(out, np.array([thing.depth for thing in story.objects], dtype=np.int64))
