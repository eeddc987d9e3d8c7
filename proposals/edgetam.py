"""EdgeTAM by hub id or local folder, in transformers' format: a configuration, and weights whose every key is checked.

Knows transformers' class and its files. Does not know how objects are tracked, videos or prompts. Frames are resized as
for SAM2 (bicubic) and normalised by ImageNet's statistics; transformers' own processor resizes bilinearly.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import EdgeTamVideoConfig, EdgeTamVideoModel, EdgeTamVisionConfig

from core.devices import pick_device
from core.errors import CheckpointError
from core.hashing import file_sha256, json_sha256
from core.hub import first_line, hub_folder
from proposals.checkpoints import LoadedTracker
from proposals.detector import check_loading, quiet
from proposals.edgetam_image import EdgeTamImage
from proposals.edgetam_tracker import EdgeTamTracker
from proposals.settings import Resources
from proposals.tracker import Tracker

FILES = ("config.json", "model.safetensors")
KIND = "edgetam_video"
EXAMPLE = "yonigozlan/EdgeTAM-hf"


@dataclass(frozen=True)
class LoadedEdgeTam(LoadedTracker):
    """An EdgeTAM; `model` is its image side (`EdgeTamImage`), `sha256` names weights and configuration."""

    def ready(self, resources: Resources) -> Tracker[Any]:
        """The engine on this model; made once for its batch size, and kept.

        Raises:
            CheckpointError: for a model that remembers in another way than EdgeTAM.
            InputError: for compilation, which it does not know.
        """
        key = (resources.objects, resources.compiled, False, False)
        if key not in self._ready:
            self._ready[key] = EdgeTamTracker(self.model.video_model, resources)
        return self._ready[key]


def load_edgetam(spec: str, device: str = "cpu") -> LoadedEdgeTam:
    """An EdgeTAM by hub id or by a folder with `config.json` and `model.safetensors`; weights widened to float32.

    Raises:
        CheckpointError: for a folder that lacks a file, weights of other keys or shapes, or another model's.
        InputError: for a device that this machine does not have.
    """
    place = pick_device(device)
    folder = _locate(spec)
    values = _configuration(spec, folder / FILES[0])
    try:
        with quiet(), without_defaults():
            model, report = EdgeTamVideoModel.from_pretrained(
                folder, config=EdgeTamVideoConfig(**values), dtype=torch.float32, use_safetensors=True,
                local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True,
            )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"tracker {spec!r}: expected an EdgeTAM that transformers reads, got: {first_line(error)}"
        ) from error
    check_loading(spec, report, part="tracker")
    model = model.to(place).eval().requires_grad_(False)
    return LoadedEdgeTam(
        model=EdgeTamImage(model),
        name=folder.name if Path(spec).is_dir() else spec,
        sha256=json_sha256({name: file_sha256(folder / name) for name in FILES}),
        image_size=int(model.image_size),
        token_width=int(model.hidden_dim),
    )


@contextmanager
def without_defaults() -> Iterator[None]:
    """Vision configurations are not compared with the default one, which transformers 5.17 fetches from the hub.

    It compares them whenever it prints one, and it prints one to check a field: none could be made without a network.
    """
    held = getattr(EdgeTamVisionConfig, "has_no_defaults_at_init", False)  # later versions do not have it
    EdgeTamVisionConfig.has_no_defaults_at_init = True
    try:
        yield
    finally:
        EdgeTamVisionConfig.has_no_defaults_at_init = held


def _locate(spec: str) -> Path:
    """The folder of a spec; a hub's goes through its local copy."""
    folder = Path(spec)
    if folder.is_dir():
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            raise CheckpointError(f"tracker {spec!r}: expected {' and '.join(FILES)}, got no {missing[0]}")
        return folder
    return hub_folder("tracker", spec, FILES, f"an EdgeTAM such as {EXAMPLE}")


def _configuration(spec: str, path: Path) -> dict[str, Any]:
    """The values of a configuration file; another class's is refused before its weights are read."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kind = values.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path}: expected a JSON object, got: {error}") from error
    if kind != KIND:
        raise CheckpointError(f"tracker {spec!r}: expected a configuration of model_type {KIND}, got {kind!r}")
    return values
