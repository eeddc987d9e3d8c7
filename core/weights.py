"""Weights as safetensors: strict loading, with the first misfit named; no pickle anywhere.

Knows tensors' names and shapes. Does not know models.
"""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from core.errors import CheckpointError


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file on the CPU; CheckpointError where it is missing, cut or foreign."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: expected a safetensors file, got: {error}") from error


def load_strictly(model: nn.Module, path: Path) -> None:
    """Fill `model` from a safetensors file whose names and shapes must match exactly (dtypes may differ)."""
    state = read_weights(path)
    check_state(model.state_dict(), state, path)
    model.load_state_dict(state)


def check_state(expected: Mapping[str, Tensor], state: Mapping[str, Tensor], path: Path) -> None:
    """CheckpointError naming the first tensor of `state` that is missing, foreign or of another shape."""
    for name in sorted(set(expected) - set(state)):
        raise CheckpointError(f"{path}: expected a tensor {name!r}, got none")
    for name in sorted(set(state) - set(expected)):
        raise CheckpointError(f"{path}: expected no tensor {name!r}, got one")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            want, got = list(expected[name].shape), list(tensor.shape)
            raise CheckpointError(f"{path}: expected {name!r} of shape {want}, got {got}")
