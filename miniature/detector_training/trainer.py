"""The training itself: model, its running average, optimiser and random states, step by step; saved and resumed whole.

Knows batches, the forward pass, the losses and the rate. Does not know files of the repository, commands or figures.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.atomic import atomic_path
from core.captured_step import CapturedStep, captured_or_warned
from core.devices import autocast
from core.errors import CheckpointError
from miniature import training_steps
from miniature.detector_training import losses
from miniature.detector_training.batches import GROUPS, Batch, draw_batch
from miniature.detector_training.forward import Outputs, forward, make_geometry
from miniature.detector_training.model import FULL, WIDTH, Size, average_of, make_model
from miniature.detector_training.phrases import LENGTH, WORDS, make_bank
from miniature.detector_training.pool import Pool
from miniature.detector_training.vocabulary import END, PAD, START, STOP, make_vocabulary
from miniature.training_steps import follow, rate_at
from miniature.world.spec import SIDE

CLIP_NORM = 1.0
SORTS = tuple(len(words) for words in WORDS)
NAMES = 2.0
"""Weight of naming. Without it the words of all phrases became one vector within some hundred steps, since whatever
tells objects from the background is the same for all of them, and every object was then found for any phrase."""
TERMS = ("total", "proposals", "queries", "jittered", "names", "class", "distance", "overlap")
"""What a step tells: the loss, its four sources, and the last layer's three terms before weighing."""


@dataclass(frozen=True)
class Settings:
    """Sizes and rates of a training. pool, first: scenes, and those drawn before the first step.   refresh: scenes
    taken a step, once the pool is full.   wordings: of each look.   average: of the weights that are kept.
    """

    seed: int = 0
    size: Size = FULL
    pool: int = 8192
    first: int = 512
    frames: int = 96
    refresh: int = 4
    wordings: int = 32
    rate: float = 8e-4
    warm_up: int = 300
    weight_decay: float = 0.01
    average: float = 0.998


SMOKE = Settings(size=Size(16, 2, 10), pool=3, first=3, frames=2, refresh=0, wordings=1)


class Trainer:
    """A model under training. `step` counts optimiser steps, `progress` is 0..1, `drawn` the scenes seen."""

    def __init__(self, settings: Settings, device: torch.device, *, capture: bool = False) -> None:
        """capture: replay the step as one CUDA graph."""
        torch.manual_seed(settings.seed)
        self.settings, self.device, self.capture = settings, device, capture
        self.model = make_model(settings.size).to(device)
        self.average = average_of(self.model)
        self.names = nn.Parameter(0.3 * torch.randn(sum(SORTS), WIDTH).to(device))
        self.step, self.progress, self.drawn = 0, 0.0, 0
        self.generator = torch.Generator(device).manual_seed(settings.seed)
        self.bank = make_bank(make_vocabulary(), settings.wordings, settings.seed, device)
        self._geometry = make_geometry(self.model, SIDE, LENGTH)
        self._captured: CapturedStep | None = None
        self._parameters = [*self.model.parameters(), self.names]
        self._learnt, self._kept = _floats(self.model), _floats(self.average)
        named = list(self.model.named_parameters())
        offsets = [p for name, p in named if "sampling_offsets" in name]
        flat = [p for name, p in named if p.ndim < 2 and "sampling_offsets" not in name]
        rest = [p for name, p in named if p.ndim > 1 and "sampling_offsets" not in name]
        flat.append(self.names)
        decay = settings.weight_decay
        groups = [
            {"params": rest, "weight_decay": decay, "share": 1.0},
            {"params": flat, "weight_decay": 0.0, "share": 1.0},
            {"params": offsets, "weight_decay": 0.0, "share": 0.2},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-6, betas=(0.9, 0.98), fused=device.type == "cuda")

    def advance(self, pool: Pool) -> Tensor:
        """One optimiser step on the pool's next random batch; what it tells (TERMS), still on the device."""
        batch = draw_batch(pool, self.bank, self.settings.frames, self.generator)
        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * rate_at(self.settings, self.step, self.progress)
        told = self._backward(batch)
        torch.nn.utils.clip_grad_norm_(self._parameters, CLIP_NORM, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        follow(self._kept, self._learnt, self.settings.average, self.step)
        return told

    def warm_up(self, pool: Pool) -> None:
        """Capture the step, without learning: what takes long at first happens here, and not on the clock.

        Where it cannot be captured, a warning says so, and it is launched kernel by kernel from then on.
        """
        state = {key: value.clone() for key, value in self.model.state_dict().items()}
        batch = draw_batch(pool, self.bank, self.settings.frames, self.generator)
        if not self.capture:
            self._backward(batch)
        elif captured_or_warned(lambda: self._backward(batch), "training: the step") is None:
            self.capture, self._captured = False, None
        self.model.load_state_dict(state)  # batch norms have followed the warm-up's batches
        self.optimizer.zero_grad(set_to_none=True)

    def save(self, path: Path) -> None:
        """Everything that goes on, atomically."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "names": self.names.detach(),
            "optimizer": self.optimizer.state_dict(),
            "settings": asdict(self.settings),
            "step": self.step,
            "progress": self.progress,
            "drawn": self.drawn,
            "generator": self.generator.get_state(),
        }
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def restore(self, path: Path) -> None:
        """Go on from a saved state.

        Raises:
            CheckpointError: for a file that is not such a state, or was saved under other settings.
        """
        state = read_state(path)
        if state.get("settings") != asdict(self.settings):
            raise CheckpointError(
                f"training state {path}: expected one saved under {asdict(self.settings)}, got {state.get('settings')}"
            )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        with torch.no_grad():
            self.names.copy_(state["names"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.progress, self.drawn = state["step"], state["progress"], state["drawn"]
        self.generator.set_state(state["generator"])

    def _backward(self, batch: Batch) -> Tensor:
        if not self.capture:
            told = self._work(*batch.tensors())
            torch.autograd.backward(told[0])
            return told.detach()
        if self._captured is None:
            self._captured = CapturedStep(self._work, self._parameters, batch.tensors())
        return self._captured(batch.tensors())

    def _work(self, *tensors: Tensor) -> Tensor:
        batch = Batch(*tensors)
        with autocast(self.device):
            outputs = forward(
                self.model, self._geometry, batch.pixels, batch.ids, batch.attend, batch.positions, batch.old,
                batch.noisy, GROUPS,
            )  # fmt: skip
        tokens = batch.ids != PAD
        said = losses.Said(tokens & (batch.ids != START) & (batch.ids != END) & (batch.ids != STOP), tokens)
        boxes, match, queries = batch.boxes, batch.match, self.settings.size.queries
        taken, owner = losses.own(outputs.encoder_boxes, boxes, batch.visible)
        proposals = losses.proposal_loss(
            outputs.encoder_logits, outputs.encoder_boxes, boxes, taken, owner, match, said
        )
        own = torch.stack([
            losses.query_loss(logits[:, :queries], found[:, :queries], boxes, match, said)
            for logits, found in zip(outputs.logits, outputs.boxes, strict=True)
        ])  # fmt: skip
        jittered = torch.stack([
            losses.jitter_loss(logits[:, queries:], found[:, queries:], boxes, batch.visible, match, said)
            for logits, found in zip(outputs.logits, outputs.boxes, strict=True)
        ])  # fmt: skip
        names = self._name(outputs, batch, said.words, taken, owner)
        parts = torch.stack([losses.weigh(proposals), losses.weigh(own).sum(), losses.weigh(jittered).sum(), names])
        return torch.cat([parts.sum()[None], parts.detach(), own[-1].detach()])

    def _name(self, outputs: Outputs, batch: Batch, words: Tensor, taken: Tensor, owner: Tensor) -> Tensor:
        """What proposals, jittered boxes of every layer and the phrase's words say of looks, against the truth."""
        looks = batch.facts.gather(1, owner[..., None].expand(-1, -1, len(SORTS)))
        proposed = losses.naming_loss(outputs.proposed, self.names, SORTS, looks, taken)
        objects = outputs.states[:, :, self.settings.size.queries :]
        pictured = losses.naming_loss(
            objects, self.names, SORTS, batch.facts.repeat(1, GROUPS, 1), batch.visible.repeat(1, GROUPS)
        )
        read = losses.naming_loss(outputs.text, self.names, SORTS, batch.asked[:, None], words)
        return NAMES * (proposed + pictured + read)


def _floats(model: nn.Module) -> list[Tensor]:
    """Parameters and the batch norms' statistics, shared ones once."""
    return [t.detach() for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()]


def read_state(path: Path) -> dict[str, Any]:
    """A saved state; CheckpointError for a file that is damaged or something else."""
    return training_steps.read_state(path, "a detector", {"average", "names"})
