"""What decides which tracks a video gets. Changing any of these makes a cache stale.

Knows numbers and their ranges. Does not know how the work is done; `Resources` holds what changes only its speed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from core.errors import InputError
from core.types import Source
from core.validators import check_least, check_probability

Order = Literal["time", "area"]
# Imported tracks are not proposed: they come with their masks.
KNOWN_SOURCES = (Source.GRID, Source.GROUND_TRUTH, Source.GROUNDING_DINO, Source.USER)


@dataclass(frozen=True)
class GridSettings:
    """Automatic masks on key frames: every `bin_size` frames, or the first and the middle one for 0.

    The thresholds are those of SAM2's automatic mask generator, with its defaults. part_overlap: a mask with more than
    this share inside a larger one is a part of it, and dropped (SOLA). max_area: a mask over more than this share of
    the frame is scenery, and dropped before parts are looked for.
    """

    bin_size: int = 0
    points_per_side: int = 32
    pred_iou_thresh: float = 0.8
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    part_overlap: float = 0.7
    max_area: float = 0.95

    def __post_init__(self) -> None:
        """Refuse negative counts and shares outside 0..1."""
        check_least("grid bin_size", self.bin_size, 0, "frames")
        check_least("grid points_per_side", self.points_per_side, 1)
        for name in ("pred_iou_thresh", "stability_score_thresh", "box_nms_thresh", "part_overlap", "max_area"):
            check_probability(f"grid {name}", getattr(self, name))


@dataclass(frozen=True)
class ProposalSettings:
    """Sources of prompts and rules for tracks.

    order: `time` for one sweep forward, in which a key frame's unexplained prompts become tracks, and one backward;
    `area` for SOLA's, the largest prompt of all key frames first, both ways before the next.   together: prompts of a
    frame that `area` accepts at once, which do not explain each other (SOLA: 4).
    explained_iou: a prompt that overlaps an earlier track at its frame by more than this IoU is not tracked.
    duplicate_iou: a track that overlaps a better one by more than this mean IoU is dropped.
    max_tracks: the most grid tracks a video keeps.   largest_share: ground truth is prompted where an object shows
    at least this share of its largest visible area, at as few frames as possible.
    """

    sources: tuple[Source, ...] = (Source.GRID,)
    grid: GridSettings = field(default_factory=GridSettings)
    explained_iou: float = 0.7
    duplicate_iou: float = 0.7
    max_tracks: int = 64
    largest_share: float = 0.9
    order: Order = "time"
    together: int = 4

    def __post_init__(self) -> None:
        """Refuse unknown or no sources and numbers out of range."""
        if not self.sources or not set(self.sources) <= set(KNOWN_SOURCES):
            known = ", ".join(KNOWN_SOURCES)
            raise InputError(f"sources: expected some of {known}, got {', '.join(self.sources) or 'none'}")
        check_least("max_tracks", self.max_tracks, 1)
        read_order(self.order)
        check_least("together", self.together, 1, "prompts")
        for name in ("explained_iou", "duplicate_iou", "largest_share"):
            check_probability(name, getattr(self, name))


def settings_of(facts: object) -> ProposalSettings | None:
    """The settings that `asdict` made `facts` of, JSON between; None where they are of another version, or none."""
    if not isinstance(facts, dict) or facts.keys() != {f.name for f in fields(ProposalSettings)}:
        return None
    try:
        grid = GridSettings(**facts["grid"])
        return ProposalSettings(**facts | {"sources": tuple(map(Source, facts["sources"])), "grid": grid})
    except (TypeError, ValueError, InputError):
        return None


def key_frames(bin_size: int, frames: int) -> tuple[int, ...]:
    """Every `bin_size`-th frame of a video of `frames` frames, rising; for 0 the first and the middle one."""
    return tuple(range(0, frames, bin_size)) if bin_size else tuple(sorted({0, frames // 2}))


def read_order(name: str) -> Order:
    """The order of a name; InputError for another."""
    for order in get_args(Order):
        if name == order:
            return order  # type: ignore[no-any-return]
    raise InputError(f"order: expected one of {', '.join(get_args(Order))}, got {name!r}")


@dataclass(frozen=True)
class Resources:
    """How the work is done; none of it changes the tracks beyond rounding.

    encoder_batch: frames an encoder pass.   objects: the most of a tracking step (fewer where memory runs out); with 1,
    and nothing compiled, all is computed in the package's order.
    points: grid points a decoder pass.   feature_bytes: of frame features kept on the device.   host_bytes: of those
    that wait in page-locked host memory, where the device is a GPU.   compiled: compile the model's parts, which takes
    a minute or two once a process and pays for long or many videos.   shared: threads with a video each step together.
    replayed: small batches as CUDA graphs, on a GPU.
    """

    encoder_batch: int = 8
    objects: int = 64
    points: int = 64
    feature_bytes: int = 16 * 2**30
    host_bytes: int = 16 * 2**30
    compiled: bool = False
    shared: bool = False
    replayed: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers below 1, and a negative host_bytes."""
        for name in ("encoder_batch", "objects", "points", "feature_bytes"):
            check_least(f"resources {name}", getattr(self, name), 1)
        check_least("resources host_bytes", self.host_bytes, 0)


EXACT = Resources(encoder_batch=1, objects=1)
"""As the package's predictor computes, object by object and frame by frame (`tests/proposals/test_parity.py`)."""
