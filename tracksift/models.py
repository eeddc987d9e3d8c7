"""Which weights a name stands for: `miniature` is a place in the repository, anything else is passed on.

Knows where the miniature's weights lie, by path and never by import. Does not know how weights are loaded.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from core.errors import CheckpointError, InputError

WEIGHTS = Path(__file__).resolve().parents[1] / "miniature" / "weights"
MINIATURE = "miniature"
DETECTOR = "detector"  # a folder
RECORD = "detector.json"  # of a detector's training, beside its weights
FUSION = "fusion.json"
"""Name of the weights of fusion that were chosen for the miniature's scorers."""


@dataclass(frozen=True)
class Models:
    """The names of the models of one pipeline, as a person gives them."""

    tracker: str = MINIATURE
    text_encoder: str = MINIATURE
    selector: str = MINIATURE
    detector: str = MINIATURE

    @property
    def tracker_spec(self) -> str:
        """What `proposals.any_tracker.load_tracker` takes."""
        return _resolve(self.tracker, "sam2.safetensors")

    @property
    def text_spec(self) -> str:
        """What `core.text.load_text_encoder` takes."""
        return _resolve(self.text_encoder, "clip")

    @property
    def image_spec(self) -> str | None:
        """What `core.images.load_image_encoder` takes; None where the tracker's caches have no looks."""
        return _resolve(MINIATURE, "clip") if self.has_small_tracker else None

    @property
    def has_small_tracker(self) -> bool:
        """Whether the tracker is any of the miniature's, by name or path: its masks are softer than SAM2's, and the
        default settings and looks are its own.
        """
        return self.tracker == MINIATURE or WEIGHTS in Path(self.tracker).resolve().parents

    @property
    def selector_path(self) -> Path:
        """What `selector.checkpoints.load_selector` takes."""
        return Path(_resolve(self.selector, "selector.safetensors"))

    @property
    def detector_spec(self) -> str:
        """What `proposals.detector.load_detector` takes; CheckpointError for the miniature's before it is released."""
        spec = _resolve(self.detector, DETECTOR)
        if self.detector == MINIATURE and not Path(spec).is_dir():
            raise CheckpointError(
                f"detector 'miniature': expected the folder {DETECTOR!r} among the miniature's weights, got none; "
                "train one (python -m miniature.train_detector) or say --detector, a folder or a hub id"
            )
        return spec

    @property
    def detector_threshold(self) -> float | None:
        """The threshold of boxes that the detector's training chose; None where it left no record of one."""
        folder = Path(_resolve(self.detector, DETECTOR))
        return read_threshold(folder) if (folder / RECORD).is_file() else None

    @property
    def is_miniature(self) -> bool:
        """Whether any part is the miniature's, which is not meant for real video."""
        return self.has_small_tracker or MINIATURE in (self.text_encoder, self.selector)


def fusion_weights() -> Path:
    """Where the weights of fusion lie that were chosen for the miniature's scorers; they may not be there."""
    return WEIGHTS / FUSION


def grounder_folder(name: str) -> Path:
    """What `llm_grounder.checkpoints.load_grounder` takes."""
    return Path(_resolve(name, "grounder"))


def read_threshold(folder: Path) -> float:
    """The threshold in the record beside a detector's weights; InputError where there is none."""
    try:
        return float(json.loads((folder / RECORD).read_text(encoding="utf-8"))["threshold"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / RECORD}: expected a record with a threshold, got: {error!r}") from error


def _resolve(name: str, file: str) -> str:
    return str(WEIGHTS / file) if name == MINIATURE else name
