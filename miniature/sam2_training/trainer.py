"""The training itself: model, optimiser, random states and the pool, step by step; saved and resumed whole.

Knows batches, steps and the schedule. Does not know files of the repository, commands or evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from core.atomic import atomic_path
from core.devices import autocast
from core.errors import CheckpointError, InputError
from miniature.sam2_training.batches import GROUPS, Batch, draw, make_batch
from miniature.sam2_training.losses import Losses
from miniature.sam2_training.pool import Pool
from miniature.sam2_training.schedule import rate_at
from miniature.sam2_training.steps import FARTHEST, Parts, clip_step, image_step

CLIP_NORM = 1.0
WEIGHT_DECAY = 0.02


@dataclass(frozen=True)
class Settings:
    """Sizes of a training: clips a batch, frames a clip, images a batch, pool; and what the data are made to do.

    background: share of point prompts on no object, in images and in clips.   vanish: share of clips in which an
    object is covered.
    """

    seed: int = 0
    pool: int = 2048
    first: int = 256
    images: int = 256
    clips: int = 32
    frames: int = 8
    refresh: int = 4
    background_images: float = 0.25
    background_clips: float = 0.06
    vanish: float = 0.25

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit together."""
        if not 2 <= self.frames <= 24:
            raise InputError(f"settings: expected 2 to 24 frames a clip, got {self.frames}")
        if not 1 <= self.first <= self.pool:
            raise InputError(f"settings: expected a first filling of 1 to {self.pool} clips, got {self.first}")
        if self.images % self.clips:
            raise InputError(f"settings: expected images in multiples of {self.clips} clips, got {self.images}")


SMOKE = Settings(pool=3, first=3, images=4, clips=2, frames=3, refresh=0)


class Trainer:
    """A model under training on the device of its parameters. `step` counts optimiser steps, `progress` is 0..1."""

    def __init__(self, model: SAM2Base, parts: Parts, settings: Settings) -> None:
        self.model, self.parts, self.settings = model, parts, settings
        self.device = next(model.parameters()).device
        self.step, self.progress, self.rendered = 0, 0.0, 0
        self.rng = np.random.default_rng(settings.seed)
        self.generator = torch.Generator(self.device).manual_seed(settings.seed)
        groups: dict[float, list[Tensor]] = {WEIGHT_DECAY: [], 0.0: []}
        for parameter in model.parameters():
            groups[WEIGHT_DECAY if parameter.ndim > 1 else 0.0].append(parameter)
        self.optimizer = torch.optim.AdamW(
            [{"params": params, "weight_decay": decay} for decay, params in groups.items()],
            betas=(0.9, 0.98),
            fused=self.device.type == "cuda",
        )

    def advance(self, pool: Pool, stage: str) -> Losses:
        """One optimiser step of a stage at the present progress; its losses, still on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.progress)
        self.model.train()
        losses = self._losses(pool, stage)
        torch.autograd.backward(losses.total)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return losses

    def warm_up(self, pool: Pool) -> None:
        """Run both stages once, forwards and backwards, without learning: compilation and kernel choice happen here."""
        for stage in ("images", "clips"):
            torch.autograd.backward(self._losses(pool, stage).total)
        self.optimizer.zero_grad(set_to_none=True)

    def batch(self, pool: Pool, stage: str) -> Batch:
        """The next random batch of a stage."""
        s = self.settings
        images = stage == "images"
        drawn = draw(self.rng, pool.area[: pool.filled], s.images if images else s.clips, 1 if images else s.frames)
        share = s.background_images if images else s.background_clips
        return make_batch(pool, drawn, self.generator, background=share, vanish=0.0 if images else s.vanish)

    def save(self, path: Path) -> None:
        """Everything that goes on, atomically."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "settings": asdict(self.settings),
            "step": self.step,
            "progress": self.progress,
            "rendered": self.rendered,
            "rng": self.rng.bit_generator.state,
            "generator": self.generator.get_state(),
        }
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def restore(self, path: Path) -> None:
        """Go on from a saved state.

        Raises:
            CheckpointError: for a file that is not such a state, or was saved under other settings.
        """
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, ValueError, OSError) as error:
            raise CheckpointError(f"training state {path}: expected a complete file, got a damaged one") from error
        if not isinstance(state, Mapping) or state.get("settings") != asdict(self.settings):
            raise CheckpointError(
                f"training state {path}: expected one saved under {asdict(self.settings)}, got "
                f"{state.get('settings') if isinstance(state, Mapping) else type(state).__name__}"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.progress, self.rendered = state["step"], state["progress"], state["rendered"]
        self.rng.bit_generator.state = state["rng"]
        self.generator.set_state(state["generator"])

    def _losses(self, pool: Pool, stage: str) -> Losses:
        batch = self.batch(pool, stage)
        with autocast(self.device):
            if stage == "images":
                return image_step(self.model, batch, self.parts, GROUPS * self.settings.clips)
            back = int(self.rng.integers(FARTHEST + 1))
            return clip_step(self.model, batch, self.parts, self.generator, back=back)
