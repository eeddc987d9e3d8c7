"""SAM2 trackers from a hub id or from local files: a YAML of classes, and weights whose every key is checked.

Knows the `sam2` package's configurations and checkpoints. Does not know videos, prompts or tracks.

Post-processing of the package (hole filling, stability fall-back, binarised memories) stays off, so that one model
gives the same masks whoever runs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sam2
import torch
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from sam2.build_sam import HF_MODEL_ID_TO_FILENAMES
from sam2.modeling.sam2_base import SAM2Base
from yaml import YAMLError  # type: ignore[import-untyped]

from core.devices import pick_device
from core.errors import CheckpointError
from core.hashing import file_sha256
from core.hub import first_line, hub_folder
from core.weights import check_state, read_weights
from proposals.crowd import CrowdTracker
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import Resources
from proposals.tracker import Tracker

ALLOWED_TARGETS = ("sam2.", "torch.")


@dataclass(frozen=True)
class LoadedTracker:
    """A SAM2 in evaluation mode on its device, and the facts that name it in provenance.

    sha256: of the weight file's bytes.   image_size: pixels of the square input.   token_width: D of object pointers.
    resources: how it works unless a call says otherwise.
    """

    model: SAM2Base
    name: str
    sha256: str
    image_size: int
    token_width: int
    resources: Resources = field(default_factory=Resources)
    _ready: dict[tuple[int, bool, bool, bool], Tracker[Any]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def ready(self, resources: Resources) -> Tracker[Any]:
        """The engine on this model; made once for its batch size and compilation, and kept.

        Raises:
            CheckpointError: for a model that is built otherwise than in every released SAM2.
        """
        key = (resources.objects, resources.compiled, resources.shared, resources.replayed)
        if key not in self._ready:
            self._ready[key] = (CrowdTracker if resources.shared else Sam2Tracker)(self.model, resources)
        return self._ready[key]


def build_sam2(config: Path) -> SAM2Base:
    """A SAM2 with random weights, from a YAML of `_target_`s (under `model:` or at the root), in training mode.

    Raises:
        CheckpointError: for a missing or malformed file, a `_target_` that is no module class of `sam2` or
            `torch`, or arguments that those classes refuse.
    """
    if not config.is_file():
        raise CheckpointError(f"SAM2 configuration: expected a YAML file, got nothing at {config}")
    try:
        loaded = OmegaConf.load(config)
        OmegaConf.resolve(loaded)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise CheckpointError(f"SAM2 configuration {config}: expected YAML, got {type(error).__name__}") from error
    if not isinstance(loaded, DictConfig):
        raise CheckpointError(f"SAM2 configuration {config}: expected a mapping, got a list")
    root = loaded.get("model", loaded)
    if "_target_" not in root:
        raise CheckpointError(f"SAM2 configuration {config}: expected a `_target_`, got keys {sorted(map(str, root))}")
    for target in _targets(OmegaConf.to_container(root)):
        _check_target(config, target)
    try:
        model = instantiate(root, _recursive_=True)
    except InstantiationException as error:
        reason = first_line(error)
        raise CheckpointError(f"SAM2 configuration {config}: the classes refused their arguments: {reason}") from error
    if not isinstance(model, SAM2Base):
        raise CheckpointError(f"SAM2 configuration {config}: expected a SAM2Base, got {type(model).__name__}")
    return model


def load_sam2(spec: str, device: str = "cpu") -> LoadedTracker:
    """A tracker by hub id (`facebook/sam2.1-hiera-large`) or by a local .pt or .safetensors with its .yaml beside it,
    which a file under a released name (`sam2.1_hiera_large.pt`) does not need.

    Half-precision weights are widened to float32.

    Raises:
        CheckpointError: for weights that are missing, unreadable, of other keys or shapes, or hold code.
        InputError: for a device that this machine does not have.
    """
    place = pick_device(device)
    config, weights, name = _locate(spec)
    model = build_sam2(config)
    state = read_weights(weights)
    check_state(model, state, weights)
    model.load_state_dict({key: value.float() for key, value in state.items()})
    model = model.to(place).eval().requires_grad_(False)
    return LoadedTracker(
        model=model,
        name=name,
        sha256=file_sha256(weights),
        image_size=int(model.image_size),
        token_width=int(model.hidden_dim),
    )


def _locate(spec: str) -> tuple[Path, Path, str]:
    """Configuration, weights and name for a spec."""
    if spec in HF_MODEL_ID_TO_FILENAMES:
        config_name, weights_name = HF_MODEL_ID_TO_FILENAMES[spec]
        config = Path(sam2.__path__[0]) / config_name
        return config, hub_folder("tracker", spec, [weights_name]) / weights_name, spec
    path = Path(spec)
    if path.suffix not in (".pt", ".safetensors"):
        known = ", ".join(sorted(HF_MODEL_ID_TO_FILENAMES))
        raise CheckpointError(f"tracker {spec!r}: expected a .pt or .safetensors file, or one of {known}")
    if not path.is_file():
        raise CheckpointError(f"tracker {spec!r}: expected a weight file, got nothing there")
    beside = path.with_suffix(".yaml")
    released = {Path(weights).stem: config for config, weights in HF_MODEL_ID_TO_FILENAMES.values()}
    if not beside.exists() and path.stem in released:  # a released file, by the name under which it is released
        return Path(sam2.__path__[0]) / released[path.stem], path, path.stem
    return beside, path, path.stem


def _targets(node: object) -> Iterator[object]:
    """Every `_target_` below a node."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _check_target(config: Path, target: object) -> None:
    """Refuse a `_target_` that is not a module class: a function (`torch.load`) could run a stranger's code."""
    if not isinstance(target, str) or not target.startswith(ALLOWED_TARGETS):
        raise CheckpointError(f"SAM2 configuration {config}: expected targets of sam2 or torch, got {target!r}")
    try:
        found = get_class(target)
    except (ImportError, AttributeError, ValueError) as error:
        raise CheckpointError(f"SAM2 configuration {config}: expected a class, got {target!r}") from error
    if not issubclass(found, torch.nn.Module):
        raise CheckpointError(f"SAM2 configuration {config}: expected a torch module class, got {target!r}")
