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


SCALE = ".scale"
"""After a tensor's name: one number a row, by which its whole numbers are multiplied."""


def to_bytes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors in a quarter of the bytes: matrices as whole numbers in -127..127 with a scale a row (float16),
    which are off by half a step at most; other floating tensors as float16.
    """
    out: dict[str, Tensor] = {}
    for name, value in state.items():
        if value.ndim < 2 or not value.is_floating_point():
            out[name] = value.half() if value.is_floating_point() else value
            continue
        rows = value.float().flatten(1)
        scale = (rows.abs().amax(1) / 127).clamp(min=1e-7).half()
        out[name] = (rows / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8).view(value.shape)
        out[name + SCALE] = scale
    return out


def from_bytes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `to_bytes` made of tensors, in float32; tensors without a scale as they are."""
    out: dict[str, Tensor] = {}
    for name, value in state.items():
        scale = state.get(name + SCALE)
        if scale is not None and value.dtype == torch.int8:
            out[name] = value.float() * scale.float().view(-1, *[1] * (value.ndim - 1))
        elif not (name.endswith(SCALE) and name.removesuffix(SCALE) in state):
            out[name] = value
    return out


def load_strictly(model: nn.Module, path: Path) -> None:
    """Fill `model` from a file whose names and shapes must match exactly (dtypes may differ; `to_bytes` may have been
    applied).

    Raises:
        CheckpointError: as `read_weights` and `check_state`.
    """
    state = from_bytes(read_weights(path))
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
