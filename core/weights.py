"""Weight files: tensors read without running code, and refused in one sentence where they are not a model's own.

Knows .safetensors, .pt files of tensors alone, names and shapes. Does not know models.
"""

import pickle
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from core.errors import CheckpointError

SHOWN = 3
"""So many names stand in a sentence."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a .pt file (`model` inside, or the state itself), on the CPU.

    Raises:
        CheckpointError: for a file that is missing, damaged, or a pickle of anything but tensors, which is not run.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"weights {path}: expected tensors alone, got a damaged file or a pickle that would run code; "
            "save the state_dict as .safetensors"
        ) from error
    except OSError as error:
        raise CheckpointError(
            f"weights {path}: expected a {path.suffix} file, got {error.strerror or error}"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(f"weights {path}: expected a complete {path.suffix} file, got a damaged one") from error
    state = loaded.get("model", loaded) if isinstance(loaded, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"weights {path}: expected a mapping of names to tensors, got something else")
    return dict(state)


def load_strictly(model: nn.Module, path: Path) -> None:
    """Fill `model` from a file whose names and shapes must match exactly (dtypes may differ).

    Raises:
        CheckpointError: as `read_weights` and `check_state`.
    """
    state = read_weights(path)
    check_state(model, state, path)
    model.load_state_dict(state)


def check_state(model: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """CheckpointError naming the first few tensors of `state` that `model` lacks, misses or has in another shape."""
    wanted = {name: list(value.shape) for name, value in model.state_dict().items()}
    found = {name: list(value.shape) for name, value in state.items()}
    wrong = [
        f"{name} {found[name]} instead of {shape}" for name, shape in wanted.items() if found.get(name, shape) != shape
    ]
    if complaint := misfits(wanted.keys() - found.keys(), found.keys() - wanted.keys(), wrong):
        raise CheckpointError(f"weights {path}: expected the {len(wanted)} tensors of its model, got {complaint}")


def misfits(missing: Iterable[str], unexpected: Iterable[str], wrong: Iterable[str]) -> str:
    """What does not fit, as a part of a sentence with the first few names of each kind; "" where everything does."""
    kinds = {"missing": sorted(missing), "unexpected": sorted(unexpected), "of another shape": sorted(wrong)}
    return "; ".join(f"{len(names)} {word} ({first_few(names)})" for word, names in kinds.items() if names)


def first_few(names: Sequence[str]) -> str:
    """The first few of a list, for a sentence."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
