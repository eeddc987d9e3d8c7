"""The grounder's shape as one small frozen settings class.

Knows numbers and what contradicts what. Does not know tensors. Axis letters: P patches, C feature width, D object-token
width.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from core.errors import InputError

CompressorName = Literal["slots", "guided", "t_selector", "average", "none"]
FrameTimes = Literal["none", "tokens", "text", "composed"]
SpanRule = Literal["pointer", "mlp"]


@dataclass(frozen=True)
class GrounderSettings:
    """What stands between features and language model, and behind it.

    feature_width: C.   patches: P.   track_width: D, 0 for a grounder that reads no tracks.   tracks: the most tracks.
    patch_width, patch_layers: width and convolutional blocks of what is trained before the compressor, which reads how
    patches lie beside each other; 0 for features as they are.   patch_past: earlier frames that each block looks at.
    object_width, object_layers: width and convolutional blocks of what reads each track along its own time before it
    becomes tokens.   object_reach: frames before and after that each block looks at.   motion_width: width of blocks
    beside them that read how a track's box and its first `moving` values change; 0 for none.
    compressor, visual_tokens: how P patches become so many tokens (`guided`: slots that the question steers; `none`:
    P).   group: frames that are compressed
    together, 1 each alone (streaming needs it), 0 the whole clip.
    frame_times: how a frame's time is said: not at all, six time tokens, numerals as text, or all digits composed into
    the frame's one marker.   sequence_rows, second_rows: rows of the zero-initialised embeddings of a frame's place in
    the clip and of its second, 0 for none; the first needs the clip's length and is not for streams.
    spans: K span queries, 0 for none.   span_rule: their ends as expectations over frames, or regressed by an MLP.
    boxes: boxes a frame, 0 for none.   frame_heads: relevance and informative.
    """

    feature_width: int
    patches: int
    track_width: int = 0
    tracks: int = 16
    patch_width: int = 0
    patch_layers: int = 0
    patch_past: int = 0
    object_width: int = 128
    object_layers: int = 0
    object_reach: int = 0
    motion_width: int = 0
    moving: int = 0
    compressor: CompressorName = "slots"
    visual_tokens: int = 4
    group: int = 1
    frame_times: FrameTimes = "composed"
    sequence_rows: int = 0
    second_rows: int = 0
    spans: int = 8
    span_rule: SpanRule = "pointer"
    boxes: int = 1
    frame_heads: bool = True

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing or contradict each other."""
        for name, options in (("compressor", CompressorName), ("frame_times", FrameTimes), ("span_rule", SpanRule)):
            if getattr(self, name) not in get_args(options):
                raise InputError(
                    f"grounder settings: expected {name} among {get_args(options)}, got {getattr(self, name)!r}"
                )
        for name, least in (
            ("feature_width", 1), ("patches", 1), ("track_width", 0), ("tracks", 0),
            ("patch_width", 0), ("patch_layers", 0), ("patch_past", 0), ("object_width", 1), ("object_layers", 0),
            ("object_reach", 0), ("motion_width", 0), ("moving", 0), ("visual_tokens", 1), ("group", 0),
            ("sequence_rows", 0), ("second_rows", 0), ("spans", 0), ("boxes", 0),
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise InputError(f"grounder settings: expected {name} of {least} or more, got {getattr(self, name)}")
        if self.compressor in ("t_selector", "average") and self.group == 1 and self.visual_tokens > self.patches:
            raise InputError(
                f"grounder settings: expected visual_tokens of {self.patches} patches at most for {self.compressor}, "
                f"got {self.visual_tokens}"
            )
        if (self.compressor == "none" and self.group != 1) or (self.compressor == "t_selector" and not self.group):
            raise InputError(
                f"grounder settings: expected group {'1' if self.compressor == 'none' else '1 or more'} "
                f"for the compressor {self.compressor}, got {self.group}"
            )
        if self.patch_layers and not self.patch_width:
            raise InputError(f"grounder settings: expected a patch_width for {self.patch_layers} patch_layers, got 0")
        if self.moving > (most := self.track_width if self.motion_width else 0):
            raise InputError(
                f"grounder settings: expected moving of {most} at most for a track_width of {self.track_width} and a "
                f"motion_width of {self.motion_width}, got {self.moving}"
            )
        if self.patch_past and not self.patch_layers:
            raise InputError(f"grounder settings: expected patch_layers for a patch_past of {self.patch_past}, got 0")

    @property
    def visual_width(self) -> int:
        """Width of what is compressed."""
        return self.patch_width or self.feature_width

    @property
    def past(self) -> int:
        """Frames before a frame that its tokens depend on."""
        return self.patch_layers * self.patch_past

    @property
    def tokens_a_group(self) -> int:
        """Visual tokens of a group of frames."""
        return self.patches if self.compressor == "none" else self.visual_tokens


def settings_from_json(values: Any) -> GrounderSettings:
    """Settings from a record; InputError where keys are missing, unknown, or values of another kind."""
    known = {field.name: field for field in fields(GrounderSettings)}
    if not isinstance(values, dict) or set(values) != set(known):
        raise InputError(f"grounder settings: expected exactly {sorted(known)}, got {values!r}")
    for name, field in known.items():
        wanted = {"int": int, "bool": bool}.get(str(field.type), str)
        if type(values[name]) is not wanted:
            raise InputError(f"grounder settings: expected {name} as {wanted.__name__}, got {values[name]!r}")
    return GrounderSettings(**values)
