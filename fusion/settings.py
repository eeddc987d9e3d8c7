"""The numbers of fusion's modes: small dataclasses that refuse what makes no sense, and their JSON form.

Knows names and ranges. Does not know tracks, moments or how the numbers are used (`fusion.modes`) or found
(`fusion.fitting`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from core.atomic import atomic_path
from core.errors import InputError
from core.hashing import json_sha256
from core.validators import check_least, check_probability

MODES: Final = ("tracks", "gated", "dtos", "reranked")
WEIGHTS_FORMAT: Final = "tracksift-fusion/1"


@dataclass(frozen=True)
class FusionSettings:
    """The rule that picks tracks; thresholds and overlaps in 0..1.

    threshold: a track is selected when its probability is greater than this.
    no_target_threshold: where no track is selected, the answer is "no target" when its probability (1 - presence)
        is at least this, and otherwise the best track.
    gate: where the probability of no target is at least this, no track is selected, whatever its own; 1 for never.
    same_iou: a selected track whose masks overlap a better one's by more is the same object, and left out; at 1 never.
    most: at most so many tracks, the best (1 for the tracking of one object); 0 for any number.
    """

    threshold: float = 0.5
    no_target_threshold: float = 0.5
    same_iou: float = 1.0
    most: int = 0
    gate: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values outside 0..1, and a negative number of tracks."""
        check_probability("fusion threshold", self.threshold)
        check_probability("fusion no-target threshold", self.no_target_threshold)
        check_probability("fusion same IoU", self.same_iou)
        check_probability("fusion gate", self.gate)
        check_least("fusion most", self.most, 0, "tracks")

    def shut(self, presence: float) -> bool:
        """Whether the gate keeps every track out, given the probability that any target is there."""
        return self.gate < 1 and 1 - presence >= self.gate


@dataclass(frozen=True)
class MomentSettings:
    """Which of a grounder's spans count, and how frames are taken from them.

    spans: at most so many, the best by score.   least: only spans of at least this score, 0..1; one without a score
    counts as 1.   pad: seconds by which each grows at both ends.   frames: key frames that are shared out among them.
    """

    spans: int = 5
    least: float = 0.0
    pad: float = 0.0
    frames: int = 7

    def __post_init__(self) -> None:
        """Refuse no spans or frames, and numbers out of range."""
        check_least("fusion spans", self.spans, 1)
        check_probability("fusion least span score", self.least)
        check_least("fusion pad", self.pad, 0, "seconds")
        check_least("fusion frames", self.frames, 1)


@dataclass(frozen=True)
class GrounderSettings:
    """The grounder's shares, 0..1: of the tracks' scores, and of the presence of any target.

    top: how many of the best tracks it has a say in.
    """

    tracks: float = 0.5
    presence: float = 0.0
    top: int = 5

    def __post_init__(self) -> None:
        """Refuse shares outside 0..1 and no tracks."""
        check_probability("fusion grounder's share of tracks", self.tracks)
        check_probability("fusion grounder's share of presence", self.presence)
        check_least("fusion top", self.top, 1, "tracks")


@dataclass(frozen=True)
class Weights:
    """All numbers of one mode. `fitted`: JSON-able facts of the fit (scorers, caches, score); {} by hand."""

    mode: str = "tracks"
    rule: FusionSettings = field(default_factory=FusionSettings)
    moments: MomentSettings = field(default_factory=MomentSettings)
    grounder: GrounderSettings = field(default_factory=GrounderSettings)
    fitted: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse an unknown mode."""
        if self.mode not in MODES:
            raise InputError(f"fusion mode: expected one of {', '.join(MODES)}, got {self.mode!r}")

    def numbers(self) -> dict[str, dict[str, float]]:
        """The numbers by part and name; without a gate where it is never shut, as before there was one."""
        numbers = {part: asdict(getattr(self, part)) for part in _PARTS}
        if self.rule.gate >= 1:
            del numbers["rule"]["gate"]
        return numbers

    @property
    def sha256(self) -> str:
        """Hash of mode and numbers."""
        return json_sha256({"mode": self.mode, **self.numbers()})


_PARTS: Final[Mapping[str, type[FusionSettings] | type[MomentSettings] | type[GrounderSettings]]] = {
    "rule": FusionSettings,
    "moments": MomentSettings,
    "grounder": GrounderSettings,
}


def write_weights(path: Path, weights: Weights) -> None:
    """Write weights as JSON, whole or not at all; OutputError where `path` cannot be written."""
    document = {"format": WEIGHTS_FORMAT, "mode": weights.mode, **weights.numbers()}
    document |= {"fitted": dict(weights.fitted), "sha256": weights.sha256}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_weights(path: Path) -> Weights:
    """The weights of a file of `write_weights`.

    Raises:
        InputError: when it is missing, no JSON of this format, has unknown or missing names, numbers out of range, or
            numbers that are not those of its hash.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"fusion weights {path}: expected a JSON file, got {error}") from error
    wanted = {"format", "mode", "fitted", "sha256", *_PARTS}
    if not isinstance(document, dict) or document.get("format") != WEIGHTS_FORMAT or set(document) != wanted:
        raise InputError(f"fusion weights {path}: expected format {WEIGHTS_FORMAT!r} with {', '.join(sorted(wanted))}")
    parts = {name: _part(name, kind, document[name], path) for name, kind in _PARTS.items()}
    if not isinstance(document["fitted"], dict):
        raise InputError(f"fusion weights {path}: fitted: expected an object, got {type(document['fitted']).__name__}")
    weights = Weights(str(document["mode"]), **parts, fitted=document["fitted"])
    if weights.sha256 != document["sha256"]:
        raise InputError(f"fusion weights {path}: expected the numbers that its hash names, got others")
    return weights


def _part(name: str, kind: type, given: object, path: Path) -> Any:
    """One dataclass of a file; numbers alone, each of its own type. A gate may be missing."""
    types = {f.name: float if f.type == "float" else int for f in fields(kind)}
    if not isinstance(given, dict) or not types.keys() - {"gate"} <= given.keys() <= types.keys():
        raise InputError(f"fusion weights {path}: {name}: expected {', '.join(types)}, got {str(given)[:80]}")
    for key, value in given.items():
        if type(value) not in {int, types[key]}:
            raise InputError(f"fusion weights {path}: {name}.{key}: expected a number, got {value!r}")
    try:
        return kind(**given)
    except InputError as error:
        raise InputError(f"fusion weights {path}: {error}") from error
