"""Which weights a name stands for: `miniature` is a place in the repository, anything else is passed on.

Knows where the miniature's weights lie, by path and never by import. Does not know how weights are loaded.
"""

from dataclasses import dataclass
from pathlib import Path

from core.errors import CheckpointError

WEIGHTS = Path(__file__).resolve().parents[1] / "miniature" / "weights"
MINIATURE = "miniature"
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
        return _resolve(MINIATURE, "clip") if self.tracker == MINIATURE else None

    @property
    def selector_path(self) -> Path:
        """What `selector.checkpoints.load_selector` takes."""
        return Path(_resolve(self.selector, "selector.safetensors"))

    @property
    def detector_spec(self) -> str:
        """What `proposals.detector.load_detector` takes."""
        return _resolve(self.detector, "detector")

    @property
    def is_miniature(self) -> bool:
        """Whether any part is the miniature's, which is not meant for real video."""
        return MINIATURE in (self.tracker, self.text_encoder, self.selector)


def has_grounder() -> bool:
    """Whether the miniature's grounder is there."""
    return (WEIGHTS / "grounder").is_dir()


def fusion_weights() -> Path:
    """Where the weights of fusion lie that were chosen for the miniature's scorers; they may not be there."""
    return WEIGHTS / FUSION


def grounder_folder(name: str) -> Path:
    """What `llm_grounder.checkpoints.load_grounder` takes; CheckpointError for the miniature's before its release."""
    folder = Path(_resolve(name, "grounder"))
    if name == MINIATURE and not has_grounder():
        raise CheckpointError(
            f"--grounder {name}: expected the miniature's grounder in {folder}, got none: its weights are not released "
            "yet; train one (`tracksift train-grounder`, `python -m miniature.train_grounder`) and name its folder"
        )
    return folder


def _resolve(name: str, file: str) -> str:
    return str(WEIGHTS / file) if name == MINIATURE else name
