"""What a training leaves behind: weights in float16 with their configuration, and the record of how they came about.

Knows the trainer and its log. Does not know how to train or to measure.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from sam2.modeling.sam2_base import SAM2Base

from core.atomic import atomic_path
from core.hashing import file_sha256
from core.reporting import environment
from miniature.cutouts.photos import read_photos
from miniature.sam2_training.pool import FIRST_SEED, LAST_SEED
from miniature.sam2_training.schedule import STAGES
from miniature.sam2_training.trainer import Trainer

CONFIG = Path(__file__).parents[1] / "weights" / "sam2.yaml"


def write_weights(model: SAM2Base, out: Path) -> Path:
    """`sam2.safetensors` in float16 and its `sam2.yaml`; the path of the first."""
    state = {key: value.detach().half().cpu().contiguous() for key, value in model.state_dict().items()}
    with atomic_path(out / "sam2.yaml") as temporary:
        shutil.copyfile(CONFIG, temporary)
    with atomic_path(out / "sam2.safetensors") as temporary:
        save_file(state, temporary)
    return out / "sam2.safetensors"


def write_record(
    out: Path, trainer: Trainer, *, init: str | None, seconds: float, figures: Mapping[str, float | int]
) -> None:
    """`sam2.json`: what was trained, on what, for how long, how it went and what came of it.

    init: hash of the weights that the training began with.   seconds: since its command began.
    """
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "total" in line]
    processes = trainer.team.size
    cut = int(trainer.rendered * trainer.settings.cutouts) * processes
    # One process takes the seeds in order, several take them from places far apart.
    last = FIRST_SEED + max(trainer.rendered - cut, 1) - 1 if processes == 1 else LAST_SEED
    record = {
        "sha256": file_sha256(out / "sam2.safetensors"),
        "init": init,
        "seed": trainer.settings.seed,
        "minutes": round(seconds / 60, 2),
        "steps": trainer.step,
        "processes": processes,
        **environment(),
        "device": str(trainer.device) if trainer.device.type == "cpu" else torch.cuda.get_device_name(trainer.device),
        "settings": asdict(trainer.settings),
        "stages": [asdict(stage) for stage in STAGES],
        "data": {
            "world": "miniature.world",
            "seeds": [FIRST_SEED, last],
            "clips": trainer.rendered * processes,
            "frames": 24,
            "cutouts": cut,
            "photographs": sorted({photo.clip for photo in read_photos(held_out=False)}) if cut else [],
        },
        "figures": {name: value if math.isfinite(value) else None for name, value in figures.items()},
        "curve": [line for line in lines if "held_out" in line],
        "log": steps[:: max(1, len(steps) // 60)],
    }
    with atomic_path(out / "sam2.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
