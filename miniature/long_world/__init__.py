"""The long world: rendered videos of 120 to 150 seconds at 2 frames a second, with everything that is true of them.

`make_long_clip` is all that others need; `make_story` gives the same without pixels, in milliseconds. Knows how to
draw, ask and tell. Does not know files, splits or models. Everything follows from the seed. LONG_WORLD.md describes it.
"""

from miniature.long_world.picture import paint_story
from miniature.long_world.spec import (
    CLIP,
    FPS,
    Caption,
    Description,
    Event,
    LongClip,
    Moment,
    Question,
    Story,
    TimedQuestion,
)
from miniature.long_world.story import make_story, paint_stream

__all__ = [
    "CLIP",
    "FPS",
    "Caption",
    "Description",
    "Event",
    "LongClip",
    "Moment",
    "Question",
    "Story",
    "TimedQuestion",
    "make_long_clip",
    "make_story",
]


def make_long_clip(
    seed: int, *, shifted: bool = False, seconds: int | None = None, most: int | None = None
) -> LongClip:
    """The long clip of a seed, drawn: 256x256 at 2 frames a second, 240 to 300 frames, about a second of work.

    Arguments and errors are those of `make_story`, whose result is the clip's `story`.
    """
    story = make_story(seed, shifted=shifted, seconds=seconds, most=most)
    return LongClip(story, *paint_story(paint_stream(seed, shifted), story.objects, story.frames, shifted))
