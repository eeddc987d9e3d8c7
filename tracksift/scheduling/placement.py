"""Which worker works on which GPU of this machine, when workers may share one.

Knows counts and shares. Does not know what a GPU holds, nor Ray, which places its actors itself.
"""

from __future__ import annotations

import math

from core.errors import InputError


def check_share(share: float | None) -> None:
    """Refuse a share of a GPU that is not above 0 and at most 1; InputError."""
    if share is not None and not 0 < share <= 1:
        raise InputError(f"--gpu-share: expected a share of one GPU above 0 and at most 1, got {share}")


def place_workers(workers: int, device: str, share: float | None, gpus: int) -> list[str]:
    """The device of each of `workers` workers, evenly over the GPUs.

    device: auto, cpu, cuda or cuda:N.   share: of a GPU for each worker; None for as many as are asked for.
    gpus: on this machine.   `cpu` and a named GPU are taken as they are; without any GPU `auto` stays `auto`.

    Raises:
        InputError: for a share out of range or without a GPU, and more workers than the shares leave room for.
    """
    check_share(share)
    named = device not in ("auto", "cuda")
    have = 0 if device == "cpu" else 1 if named else gpus
    if share is None:
        return [device if named or gpus == 0 else f"cuda:{i % gpus}" for i in range(workers)]
    if have == 0:
        raise InputError(f"--gpu-share: expected a GPU to share, got none for --device {device}")
    room = have * math.floor(1 / share + 1e-9)  # 1 / 0.1 is a hair below 10 in some roundings
    if workers > room:
        raise InputError(
            f"--workers: expected at most {room} on {have} GPU{'s' if have > 1 else ''} at --gpu-share {share}, "
            f"got {workers}"
        )
    return [device if named else f"cuda:{i % gpus}" for i in range(workers)]
