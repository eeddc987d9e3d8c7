"""The selector's shape and its training recipe, as two small frozen settings with their presets.

Knows numbers and what contradicts what. Does not know tensors.
"""

from dataclasses import dataclass, fields
from typing import Any

from core.errors import InputError

GEOMETRY_WIDTH = 8
LATER = frozenset({"look_width"})  # settings that the first released records do not name


@dataclass(frozen=True)
class SelectorSettings:
    """Widths and options of the module; the defaults are SOLA's.

    geometry: eight box numbers a frame join the object tokens.   look_width: so many numbers of what a track looks like
    join them in every frame, 0 for none.   normalise: all are first scaled by the training data's mean and deviation
    per channel.   text_layers: transformer layers of the selector's own over the frozen text states.   feed_forward:
    width of a two-layer network after each alignment layer, 0 for none.
    """

    token_width: int = 256
    text_width: int = 1024
    embed_width: int = 1024
    heads: int = 8
    motion_widths: tuple[int, ...] = (512, 512, 512, 1024, 1024, 1024)
    motion_kernels: tuple[int, ...] = (3, 3, 3, 3, 3, 1)
    motion_strides: tuple[int, ...] = (2, 2, 2, 1, 1, 1)
    layers: int = 2
    negatives: int = 32
    groups: int = 8
    dropout: float = 0.1
    motion_dropout: float = 0.2
    geometry: bool = False
    normalise: bool = False
    text_layers: int = 0
    feed_forward: int = 0
    look_width: int = 0

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together."""
        if not len(self.motion_widths) == len(self.motion_kernels) == len(self.motion_strides) >= 1:
            raise InputError("selector settings: expected motion widths, kernels and strides of one length")
        if any(kernel % 2 == 0 for kernel in self.motion_kernels) or any(s not in (1, 2) for s in self.motion_strides):
            raise InputError("selector settings: expected odd motion kernels and strides of 1 or 2")
        if self.look_width < 0:
            raise InputError(f"selector settings: expected a look_width of 0 or more, got {self.look_width}")
        if self.motion_widths[-1] != self.embed_width:
            raise InputError(
                f"selector settings: expected the last motion width to be the embedding's {self.embed_width}, "
                f"got {self.motion_widths[-1]}"
            )
        for name, divisor in (("heads", self.heads), ("groups", self.groups), ("the two halves of a position", 2)):
            if self.embed_width % divisor:
                raise InputError(f"selector settings: expected embed_width to be a multiple of {name}, got {self}")
        if any(width % self.groups for width in self.motion_widths):
            raise InputError(f"selector settings: expected motion widths in multiples of groups, got {self}")

    @property
    def input_width(self) -> int:
        """Channels of the first convolution."""
        return self.token_width + (GEOMETRY_WIDTH if self.geometry else 0) + self.look_width


@dataclass(frozen=True)
class RelationalSettings:
    """Widths of TrackSift's own module (`selector.relational`), which always reads geometry and scales its input.

    look_width: numbers of a track's look, 0 for none.   frame_layers: attention layers along a track's time, once a
    video.   layers: rounds of words, time and other tracks, once an expression.
    """

    token_width: int = 256
    text_width: int = 1024
    look_width: int = 0
    embed_width: int = 256
    heads: int = 8
    text_layers: int = 2
    frame_layers: int = 2
    layers: int = 4
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together."""
        if self.look_width < 0:
            raise InputError(f"selector settings: expected a look_width of 0 or more, got {self.look_width}")
        if self.embed_width % self.heads:
            raise InputError(f"selector settings: expected embed_width to be a multiple of heads, got {self}")

    @property
    def geometry(self) -> bool:
        """Whether box numbers are read: always."""
        return True

    @property
    def normalise(self) -> bool:
        """Whether the input is scaled by the training data's moments: always."""
        return True

    @property
    def input_width(self) -> int:
        """Numbers a track and frame."""
        return self.token_width + GEOMETRY_WIDTH + self.look_width


Settings = SelectorSettings | RelationalSettings
"""SOLA's module, or TrackSift's own."""


@dataclass(frozen=True)
class TrainingSettings:
    """A training recipe; the defaults are SOLA's except for the batch and the schedule (see `SOLA_TRAINING`).

    schedule: `cosine` (with `warm_up`, a share of all steps) or `plateau` (halved after `patience` epochs without a
    better validation loss).   batch: expressions a step, `together` of them about one video, which is read once.
    track_dropout: chance that a track is left out of a step.
    truth_share: share of expressions that also see the ground-truth tracks.
    token_noise: deviation of noise on the object tokens, in units of each channel's deviation.
    """

    epochs: int = 15
    batch: int = 1
    together: int = 1
    learning_rate: float = 5e-6
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    schedule: str = "plateau"
    warm_up: float = 0.0
    patience: int = 5
    positive_weight: float = 1.5
    alignment_weight: float = 0.3
    positive_iou: float = 0.7
    track_dropout: float = 0.0
    truth_share: float = 1.0
    token_noise: float = 0.0
    seed: int = 42

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if self.epochs < 1 or self.batch < 1 or self.together < 1:
            raise InputError(f"training settings: expected epochs, batch and together of at least 1, got {self}")
        if self.schedule not in ("cosine", "plateau"):
            raise InputError(f"training settings: expected the schedule cosine or plateau, got {self.schedule!r}")
        if not (
            self.learning_rate > 0
            and 0 <= self.warm_up < 1
            and 0 <= self.track_dropout < 1
            and 0 <= self.truth_share <= 1
        ):
            raise InputError(f"training settings: expected a rate above 0, shares in 0..1, got {self}")


SOLA = SelectorSettings()
MINIATURE = SelectorSettings(
    token_width=128,
    text_width=128,
    embed_width=256,
    motion_widths=(128, 256, 256, 256),
    motion_kernels=(3, 3, 3, 1),
    motion_strides=(2, 2, 2, 1),
    layers=3,
    motion_dropout=0.1,
    geometry=True,
    normalise=True,
    text_layers=2,
    feed_forward=512,
    look_width=128,
)
RELATIONAL = RelationalSettings(
    token_width=128, text_width=128, look_width=128, embed_width=192, heads=6, text_layers=2, frame_layers=2, layers=4
)
SOLA_TRAINING = TrainingSettings()
# The alignment losses are off: in a probe (ground-truth boxes, 1000 clips, width 64, 4 epochs, one seed each) the best
# track was a target in 0.88 / 0.42 / 0.48 of attribute / motion / relation expressions without them, 0.77 / 0.41 / 0.38
# with them. The rest of the recipe is not measured yet, and nothing of it on a tracker's own tokens.
MINIATURE_TRAINING = TrainingSettings(
    epochs=24,
    batch=128,
    learning_rate=6e-4,
    weight_decay=0.02,
    schedule="cosine",
    warm_up=0.05,
    alignment_weight=0.0,
    track_dropout=0.1,
    truth_share=0.3,
    token_noise=0.05,
    seed=0,
)
RELATIONAL_TRAINING = TrainingSettings(
    epochs=60,
    batch=512,
    together=16,
    learning_rate=8e-4,
    weight_decay=0.05,
    schedule="cosine",
    warm_up=0.03,
    alignment_weight=0.0,
    truth_share=0.0,
    token_noise=0.1,
    seed=0,
)
PRESETS: dict[str, tuple[Settings, TrainingSettings]] = {
    "sola": (SOLA, SOLA_TRAINING),
    "miniature": (MINIATURE, MINIATURE_TRAINING),
    "relational": (RELATIONAL, RELATIONAL_TRAINING),
}


def settings_from_json(values: dict[str, Any]) -> Settings:
    """Settings as `asdict` and JSON leave them; InputError for unknown or missing names.

    Which module they are of shows in their names. A name of LATER may be missing: an older record means its default.
    """
    if "frame_layers" in values:
        known = {field.name for field in fields(RelationalSettings)}
        if wrong := sorted(set(values) ^ known):
            raise InputError(f"selector settings: expected exactly the known names, missing or unknown: {wrong}")
        return RelationalSettings(**values)
    expected = {field.name for field in fields(SelectorSettings)}
    wrong = sorted((set(values) - expected) | (expected - LATER - set(values)))
    if wrong:
        raise InputError(f"selector settings: expected exactly the known names, missing or unknown: {wrong}")
    loaded: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return SelectorSettings(**loaded)
