"""Sizes and rates of a training of the miniature grounder, and the three that are used.

Knows the grounder's own settings, its language model's shape and the manner of asking. Does not know films or steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llm_grounder.backbone import TinyShape
from llm_grounder.settings import GrounderSettings
from llm_grounder.types import Task
from miniature.grounder_training.lessons import MIXTURE
from miniature.long_world.spec import CLIP
from tracksift.clips import NUMBERS
from tracksift.grounding import Manner

PATCH_WIDTH, LOOK_WIDTH = 192, 128  # of the miniature's image tower
SMOOTH = 7.0  # seconds, chosen on ten films of valid, where 5 to 8 were as good
WEIGH = 0.5  # chosen on 60 films each of valid and shifted_dev, beside .25 and none
TRACK_WIDTH = NUMBERS + LOOK_WIDTH


@dataclass(frozen=True)
class Settings:
    """Sizes and rates of a training.

    grid, tiles: how films are seen.   pool, first: films, and those drawn before the first step.   films, asks: of a
    step, and requests a film.   refresh: films taken a step at most, once the pool is full.
    passed: films of the sequence that are passed over at first, since the start has seen them.   seconds, most: of a
    story, and of its moments, questions and expressions.   short, short_share: seconds of every second story, and the
    share of steps at first that take these, several times as many; it falls to nothing at the end.   look_share,
    look_films: of the training, in which the front ends alone learn what patches and tracks show, and films a step
    then.   catch_up_share: the same of a training that goes on from other weights, in which heads alone learn what its
    front ends show already.   patch_frames, patch_weight: frames a step from which they go on learning that, and what
    that weighs.
    text_weight: of the loss of words, which those of moments and boxes would drown.   trackless_share: of the steps,
    which show no tracks.   lost_words: share of the words of requests that are left out or others (`wording.reword`).
    wide: stories are asked about in more wordings (`long_world.words.WIDE`).
    average: of the weights kept.   manner: of asking and answering.   mixture: of tasks.
    """

    seed: int = 0
    grounder: GrounderSettings = field(
        default_factory=lambda: GrounderSettings(
            feature_width=2 * PATCH_WIDTH,
            patches=64,
            track_width=TRACK_WIDTH,
            tracks=24,
            patch_width=96,
            patch_layers=2,
            patch_past=4,
            object_width=128,
            object_layers=3,
            object_reach=4,
            motion_width=64,
            moving=NUMBERS,
            compressor="guided",
            visual_tokens=2,
            spans=10,
        )
    )
    shape: TinyShape = field(default_factory=TinyShape)
    grid: int = 8
    tiles: int = 2
    motion: bool = True
    pool: int = 2560
    first: int = 128
    films: int = 12
    asks: int = 6
    refresh: int = 1
    passed: int = 0
    seconds: int | None = None
    most: int | None = 40
    short: int | None = 40
    short_share: float = 0.9
    look_share: float = 0.1
    look_films: int = 24
    catch_up_share: float = 0.04
    patch_frames: int = 256
    patch_weight: float = 0.5
    text_weight: float = 4.0
    trackless_share: float = 0.15
    lost_words: float = 0.0
    wide: bool = False
    rate: float = 1e-3
    warm_up: int = 300
    weight_decay: float = 0.05
    average: float = 0.998
    manner: Manner = field(default_factory=lambda: Manner(events=True, step=float(CLIP), smooth=SMOOTH, weigh=WEIGH))
    mixture: Mapping[Task, float] = field(default_factory=lambda: dict(MIXTURE))

    @property
    def most_tracks(self) -> int:
        """The most tracks of a film, 0 for a grounder that reads none."""
        return self.grounder.tracks if self.grounder.track_width else 0


FULL = Settings()
"""About ten minutes of one GPU. Its pool takes 20 GB of the GPU's memory."""
SMOKE = Settings(
    grounder=GrounderSettings(
        feature_width=2 * PATCH_WIDTH, patches=16, track_width=TRACK_WIDTH, patch_width=32, patch_layers=1,
        patch_past=2, object_width=32, object_layers=1, object_reach=2, motion_width=16, moving=NUMBERS,
        compressor="guided", visual_tokens=4, spans=4,
    ),
    shape=TinyShape(64, 2, 2, 128, 400), grid=4, tiles=1, pool=3, first=3, films=2, asks=2, refresh=0, seconds=24,
    most=8, short=16, patch_frames=16, warm_up=10,
)  # fmt: skip
"""To see that everything runs."""
SMALL = Settings(
    grounder=GrounderSettings(
        feature_width=2 * PATCH_WIDTH, patches=16, track_width=TRACK_WIDTH, patch_width=32, patch_layers=1,
        patch_past=2, object_width=64, object_layers=2, object_reach=4, motion_width=32, moving=NUMBERS,
        compressor="guided", visual_tokens=2, spans=4,
    ),
    shape=TinyShape(64, 2, 4, 160, 400), grid=4, tiles=1, pool=96, first=32, films=3, refresh=0, seconds=24, most=12,
    short=None, patch_frames=96, warm_up=30, rate=3e-3, average=0.98,
)  # fmt: skip
"""Short stories and a small model: something is learnt in minutes on a CPU."""
