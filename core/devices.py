"""Where tensors live: the device a person asks for by name, and the number format that suits it.

Knows torch devices. Does not know models.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from core.errors import InputError


def pick_device(name: str = "auto") -> torch.device:
    """The device called `auto` (the first CUDA device, else the CPU), `cpu`, `cuda` or `cuda:N`.

    Raises:
        InputError: for another name, or a CUDA device that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    match = re.fullmatch(r"cuda(?::(\d+))?", name)
    if match is None:
        raise InputError(f"device: expected auto, cpu, cuda or cuda:N, got {name!r}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = int(match[1] or 0)
    if index >= count:
        raise InputError(f"device: expected a CUDA device for {name!r}, got {count} of them on this machine")
    return torch.device("cuda", index)


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 autocast on CUDA; on a CPU nothing changes, since bfloat16 is slower there."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


@contextmanager
def tensor_float_32(device: torch.device) -> Iterator[None]:
    """Float32 matrix products in TensorFloat-32 (10 bits of mantissa) on CUDA while this lasts; a CPU stays exact.

    It holds for the whole process, other threads included.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def describe_device(device: torch.device) -> str:
    """`cpu`, or `cuda (NVIDIA H200)`."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type
