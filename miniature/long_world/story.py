"""Makes the story of a seed: cast, events, paths, and all that is asked and told about them.

Knows the order in which things are drawn, and that each draws from a stream of its own: asking for more questions
changes no path. Does not know pixels.
"""

from __future__ import annotations

import numpy as np

from core.errors import InputError
from miniature.long_world.captions import describe_tracks, draw_captions, draw_expressions
from miniature.long_world.cast import draw_cast, lay_paths
from miniature.long_world.moments import QUIET, draw_moments, rate, summarise
from miniature.long_world.questions import draw_questions, draw_timed
from miniature.long_world.spec import CLIP, FPS, Story
from miniature.long_world.tell import Teller
from miniature.long_world.timeline import draw_events
from miniature.long_world.words import dialect

SHORTEST = 8  # seconds
STREAM = 2  # sets the seeds' streams apart from those of the short world (0)


def make_story(
    seed: int, *, shifted: bool = False, seconds: int | None = None, most: int | None = None, wide: bool = False
) -> Story:
    """The story of a seed: all of a long clip but its pixels, in a few milliseconds.

    seconds: its length, instead of 120 to 136 (shifted 138 to 150).   most: as many moments, questions, timed questions
    and expressions as that at most, instead of 6 to 10, 6 to 10, 2 to 4 and 8 to 12.   wide: in more wordings
    (`words.WIDE`), of ordinary stories alone.

    Raises:
        InputError: for a negative seed, an odd length or one below 8 seconds, `most` below 1, or a shifted story in
            more wordings.
    """
    _check(seed, seconds, most, shifted and wide)
    streams = np.random.SeedSequence([seed, int(shifted), STREAM]).spawn(12)
    rngs = [np.random.default_rng(s) for s in streams]
    low, high = (138, 150) if shifted else (120, 136)
    duration = CLIP * int(rngs[0].integers(low // CLIP, high // CLIP + 1)) if seconds is None else seconds
    drawn, actors = draw_cast(rngs[1], shifted)
    events = draw_events(rngs[2], duration, actors, shifted)
    objects = lay_paths(rngs[3], drawn, events, int(duration * FPS))
    teller = Teller(objects, events, dialect(shifted, wide), duration)
    importance = rate(rngs[9], teller, events, QUIET)
    return Story(
        seed, shifted, duration, objects, events,
        moments=draw_moments(rngs[4], teller, most),
        captions=draw_captions(rngs[5], teller),
        questions=draw_questions(rngs[6], teller, most),
        timed_questions=draw_timed(rngs[7], teller, most),
        descriptions=describe_tracks(rngs[8], teller),
        expressions=draw_expressions(rngs[10], teller, most),
        importance=importance,
        summaries=summarise(importance),
    )  # fmt: skip


def paint_stream(seed: int, shifted: bool) -> np.random.Generator:
    """The random numbers of a clip's background and noise."""
    return np.random.default_rng(np.random.SeedSequence([seed, int(shifted), STREAM]).spawn(12)[11])


def _check(seed: int, seconds: int | None, most: int | None, both: bool) -> None:
    """both: whether a shifted story is wanted in more wordings."""
    if seed < 0:
        raise InputError(f"seed: expected a whole number from 0, got {seed}")
    if seconds is not None and (seconds < SHORTEST or seconds % CLIP):
        raise InputError(f"seconds: expected an even number from {SHORTEST}, got {seconds}")
    if most is not None and most < 1:
        raise InputError(f"most: expected at least 1, got {most}")
    if both:
        raise InputError("wide: expected an ordinary story, got a shifted one, which has words of its own")
