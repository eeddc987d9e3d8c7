"""Which of the processes of a training this one is, as whoever started them says.

Knows the variables of torchrun, SLURM and Lightning, which starts the same command again for every further GPU. Does
not know trainings.
"""

from __future__ import annotations

import os


def rank_of(devices: int, nodes: int) -> int:
    """Which of all `devices` * `nodes` processes this is; 0 for the one that starts the others."""
    if devices * nodes == 1:
        return 0
    for name in ("RANK", "SLURM_PROCID"):  # torchrun's, SLURM's
        if name in os.environ:
            return int(os.environ[name])
    return int(os.environ.get("NODE_RANK", "0")) * devices + local_rank_of(devices, nodes)


def local_rank_of(devices: int, nodes: int) -> int:
    """Which of this machine's `devices` processes this is."""
    if devices * nodes == 1:
        return 0
    return int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")))
