"""The training itself: model, optimiser, random states and the pool, step by step; saved and resumed whole.

Knows batches, steps and the schedule. Does not know files of the repository, commands or evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from core.atomic import atomic_path
from core.captured_step import CapturedStep
from core.devices import autocast
from core.errors import CheckpointError, InputError
from miniature.sam2_training.batches import Batch, draw, make_batch
from miniature.sam2_training.forward import Prompts
from miniature.sam2_training.losses import Losses, pack, unpack
from miniature.sam2_training.pool import Pool
from miniature.sam2_training.schedule import STAGES, Stage, rate_at
from miniature.sam2_training.steps import Chance, Parts, clip_step, image_step, roll
from miniature.sam2_training.team import Team

CLIP_NORM = 1.0
WEIGHT_DECAY = 0.02
APART = 1_000_003  # between the seeds of processes that train together


@dataclass(frozen=True)
class Settings:
    """Sizes of a training: images a batch, frames of all clips of a batch, pool; and what the data are made to do.

    background: share of point prompts on no object, in images and in clips.   vanish: share of clips in which an
    object is covered.   cutouts: share of cut-out clips among the rendered ones.   rate: factor on the learning rate.
    """

    seed: int = 0
    pool: int = 2048
    first: int = 256
    images: int = 256
    frames: int = 256
    chunk: int = 96
    refresh: int = 4
    background_images: float = 0.25
    background_clips: float = 0.06
    vanish: float = 0.25
    cutouts: float = 0.0
    rate: float = 1.0

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit together."""
        if not 1 <= self.first <= self.pool:
            raise InputError(f"settings: expected a first filling of 1 to {self.pool} clips, got {self.first}")
        longest = max(stage.frames for stage in STAGES)
        if self.frames < longest:
            raise InputError(f"settings: expected at least {longest} frames a batch, got {self.frames}")
        if not 0 <= self.cutouts <= 1:
            raise InputError(f"--cutouts: expected a share in 0..1, got {self.cutouts}")
        if not self.rate > 0:
            raise InputError(f"--rate: expected a factor above 0, got {self.rate}")

    def clips(self, stage: Stage) -> int:
        """Clips of a stage's batch."""
        return self.images if stage.frames == 1 else self.frames // stage.frames


SMOKE = Settings(pool=3, first=3, images=4, frames=16, chunk=6, refresh=0)


class Trainer:
    """A model under training on the device of its parameters. `step` counts optimiser steps, `progress` is 0..1."""

    def __init__(
        self, model: SAM2Base, parts: Parts, settings: Settings, *, capture: bool = False, team: Team | None = None
    ) -> None:
        """capture: replay each stage's step as a CUDA graph.   team: the processes that train together."""
        self.model, self.parts, self.settings, self.capture = model, parts, settings, capture
        self.team = team or Team()
        self._captured: dict[str, CapturedStep] = {}
        self.device = next(model.parameters()).device
        self.step, self.progress, self.rendered = 0, 0.0, 0
        seed = settings.seed + APART * self.team.rank
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator(self.device).manual_seed(seed)
        groups: dict[float, list[Tensor]] = {WEIGHT_DECAY: [], 0.0: []}
        for parameter in model.parameters():
            groups[WEIGHT_DECAY if parameter.ndim > 1 else 0.0].append(parameter)
        self.optimizer = torch.optim.AdamW(
            [{"params": params, "weight_decay": decay} for decay, params in groups.items()],
            betas=(0.9, 0.98),
            fused=self.device.type == "cuda",
        )

    def advance(self, pool: Pool, stage: Stage) -> Losses:
        """One optimiser step of a stage at the present progress; its losses, still on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate * rate_at(self.progress)
        self.model.train()
        losses = self.backward(pool, stage)
        self.team.average([p.grad for p in self.model.parameters() if p.grad is not None])
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return losses

    def backward(self, pool: Pool, stage: Stage) -> Losses:
        """The losses of the next random batch of a stage, and their gradients in the parameters."""
        inputs = flat(self.batch(pool, stage), self.generator)

        def work(*given: Tensor) -> Tensor:
            return pack(self._losses(stage, *unflat(given)))

        if not self.capture:
            values = work(*inputs)
            torch.autograd.backward(values[0])
            return unpack(values.detach())
        if stage.name not in self._captured:
            self.model.train()
            self._captured = {stage.name: CapturedStep(work, list(self.model.parameters()), inputs)}
        return unpack(self._captured[stage.name](inputs))

    def warm_up(self, pool: Pool) -> None:
        """Run every stage once without learning: compilation happens here, and not on the clock."""
        self.model.train()
        for stage in STAGES:
            torch.autograd.backward(self._losses(stage, *unflat(flat(self.batch(pool, stage), self.generator))).total)
            self.optimizer.zero_grad(set_to_none=True)

    def batch(self, pool: Pool, stage: Stage) -> Batch:
        """The next random batch of a stage."""
        s = self.settings
        images = stage.frames == 1
        drawn = draw(self.rng, pool.area[: pool.filled], pool.outlined, s.clips(stage), stage.frames)
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
        if self.team.leads:
            self.rng.bit_generator.state = state["rng"]
            self.generator.set_state(state["generator"])
        else:  # the state holds the leader's dice; the others go on with new ones
            self.rng = np.random.default_rng([self.settings.seed, self.team.rank, self.step])
            self.generator.manual_seed(int(self.rng.integers(2**62)))

    def _losses(self, stage: Stage, batch: Batch, chance: Chance) -> Losses:
        with autocast(self.device):
            if stage.frames == 1:
                return image_step(self.model, batch, self.parts, self.settings.chunk)
            return clip_step(self.model, batch, self.parts, chance)


def flat(batch: Batch, generator: torch.Generator) -> list[Tensor]:
    """A batch and its dice as a list of tensors, the inputs of a captured step."""
    chance = roll(batch.truth, generator)
    prompts = batch.prompts
    return [batch.frames, batch.truth, prompts.masks, prompts.boxes, prompts.points, chance.by_truth, chance.back]


def unflat(tensors: Sequence[Tensor]) -> tuple[Batch, Chance]:
    """What `flat` flattened."""
    frames, truth, masks, boxes, points, by_truth, back = tensors
    return Batch(frames, truth, Prompts(masks, boxes, points)), Chance(by_truth, back)
