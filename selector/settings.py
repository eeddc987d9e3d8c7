"""The selector's shape and how it is trained, as small frozen settings.

Knows numbers and what contradicts what. Does not know tensors, nor which settings make a recipe (`selector.recipes`).
"""

from dataclasses import dataclass, fields
from typing import Any

from core.errors import InputError

BOX_WIDTH = 8
"""Box numbers a track and frame (`selector.inputs.track_geometry`)."""
OUTLINE_WIDTH = 11
"""Those of `selector.outline.outline_numbers`."""


@dataclass(frozen=True)
class SolaSettings:
    """Widths of SOLA's module (`selector.sola`); the defaults are its release's. It reads object tokens alone."""

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

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together."""
        if not len(self.motion_widths) == len(self.motion_kernels) == len(self.motion_strides) >= 1:
            raise InputError("selector settings: expected motion widths, kernels and strides of one length")
        if any(kernel % 2 == 0 for kernel in self.motion_kernels) or any(s not in (1, 2) for s in self.motion_strides):
            raise InputError("selector settings: expected odd motion kernels and strides of 1 or 2")
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
        """Numbers a track and frame."""
        return self.token_width

    @property
    def geometry(self) -> int:
        """Numbers of boxes and outlines that are read: none."""
        return 0

    @property
    def look_width(self) -> int:
        """Numbers of a track's look that are read: none."""
        return 0

    @property
    def moment_width(self) -> int:
        """Width of a head that says when an expression holds: there is none."""
        return 0


@dataclass(frozen=True)
class RelationalSettings:
    """Widths of TrackSift's own module (`selector.relational`), which reads tokens, box numbers and looks.

    token_width: 0 for a module that reads no object tokens.   look_width: numbers of a track's look, 0 for none.
    outline: whether it also reads how masks are turned and covered (`selector.outline`).   frame_layers: attention
    layers along a track's time, once a video.   layers: rounds of words, time and other tracks, once an expression.
    moment_width: of the head that says when an expression holds of a track (`selector.moments`), 0 for none.
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
    moment_width: int = 0
    outline: bool = False

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together."""
        for name in ("token_width", "look_width", "moment_width"):
            if (width := getattr(self, name)) < 0:
                raise InputError(f"selector settings: expected a {name} of 0 or more, got {width}")
        if self.embed_width % self.heads:
            raise InputError(f"selector settings: expected embed_width to be a multiple of heads, got {self}")

    @property
    def geometry(self) -> int:
        """Numbers of boxes and outlines that are read, 8 or 19."""
        return BOX_WIDTH + OUTLINE_WIDTH * self.outline

    @property
    def input_width(self) -> int:
        """Numbers a track and frame."""
        return self.token_width + self.geometry + self.look_width


Settings = SolaSettings | RelationalSettings
"""SOLA's module, or TrackSift's own."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a module is trained; the defaults are SOLA's published ones.

    schedule: `cosine` (with `warm_up`, a share of all steps) or `plateau` (halved after `patience` epochs without a
    better validation loss).   batch: expressions a step, `together` of them about one video, which is read once.
    track_dropout: chance that a track is left out of a step.
    word_dropout: chance that a word is left out of a step; an expression keeps at least one.
    mirror_share: chance that a video and what is said of it are mirrored for a step (`selector.mirror`).
    truth_share: share of expressions that also see the ground-truth tracks.
    token_noise, look_noise: deviation of noise on object tokens, and on looks, in units of each channel's deviation.
    presence_weight: of the cross-entropy of "any target is there" with the soft best of an expression's logits.
    moment_weight: of the cross-entropy of when an expression holds, over its tracks' frames, where its spans are known.
    positive_iou: a track that covers a target by more is meant.   least_iou: so is the best track of a target that none
        covers so well, if by more than this; 1 for SOLA's labels, by which nothing is.
    label_ramp: 0 for SOLA's hard labels; else labels rise from 0 to 1 over IoU positive_iou -+ label_ramp.
    relative_rule: whether calibration may choose tracks that come within a share of the best (`Calibration.share`).
    stop_after: epochs without a better score on the validation split after which training ends; 0 never.
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
    least_iou: float = 1.0
    track_dropout: float = 0.0
    truth_share: float = 1.0
    token_noise: float = 0.0
    look_noise: float = 0.0
    word_dropout: float = 0.0
    mirror_share: float = 0.0
    presence_weight: float = 0.0
    moment_weight: float = 0.0
    label_ramp: float = 0.0
    relative_rule: bool = False
    stop_after: int = 0
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
            and 0 <= self.word_dropout < 1
            and 0 <= self.mirror_share <= 1
            and 0 <= self.truth_share <= 1
            and 0 <= self.least_iou <= 1
        ):
            raise InputError(f"training settings: expected a rate above 0, shares in 0..1, got {self}")
        weights = (self.presence_weight, self.moment_weight)
        if min(self.label_ramp, self.stop_after, self.token_noise, self.look_noise, *weights) < 0:
            raise InputError(f"training settings: expected ramp, noise, weights, patience of at least 0, got {self}")


MODULES: dict[str, type[SolaSettings] | type[RelationalSettings]] = {
    "sola": SolaSettings,
    "relational": RelationalSettings,
}
LATER = frozenset({"moment_width", "outline"})
"""Names that older records lack; their defaults leave a module as it was."""


def module_name(settings: Settings) -> str:
    """The name in MODULES of the module that the settings are of."""
    return next(name for name, kind in MODULES.items() if isinstance(settings, kind))


def settings_from_json(module: str, values: dict[str, Any]) -> Settings:
    """Settings of a module as `asdict` and JSON leave them; InputError for unknown modules and wrong names."""
    if module not in MODULES:
        raise InputError(f"selector settings: expected a module of {', '.join(MODULES)}, got {module!r}")
    known = {field.name for field in fields(MODULES[module])}
    if wrong := sorted((set(values) ^ known) - (LATER & known - set(values))):
        raise InputError(f"selector settings: expected exactly the known names, missing or unknown: {wrong}")
    loaded: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return MODULES[module](**loaded)
