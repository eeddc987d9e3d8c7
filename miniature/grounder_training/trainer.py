"""The training itself: grounder, its running average, optimiser and draws, step by step; saved and resumed whole.

At first the front ends alone learn what patches and tracks show, in steps that cost little; then the whole grounder
learns, whose steps take a few films and ask several things of each, since seeing is what costs most. Knows films,
lessons, the grounder and its losses. Does not know commands or figures.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.atomic import atomic_path
from core.devices import autocast
from core.errors import CheckpointError
from llm_grounder.backbone import make_tokenizer, tiny_backbone
from llm_grounder.checkpoints import load_grounder
from llm_grounder.grounder import WEIGHTS, Grounder
from llm_grounder.optimiser import TrainingSettings, make_optimizer
from llm_grounder.types import Task
from miniature import training_steps
from miniature.grounder_training.desk import Desk
from miniature.grounder_training.films import FIRST_SEED, Film, Studio
from miniature.grounder_training.lessons import texts_of
from miniature.grounder_training.settings import Settings
from miniature.grounder_training.showing import STRETCH, Showing
from miniature.long_world import make_story
from miniature.training_steps import follow, rate_at

CLIP_NORM = 1.0
WRITERS = 4  # processes, each of which writes a few steps a second
TEXTS = 120  # stories whose words make the vocabulary


class Trainer:
    """A grounder under training. Whoever makes one closes it.

    `step` counts optimiser steps, `looked` those of the front end alone among them, `progress` is 0..1, `drawn` the
    films seen, `asked` the samples of each task, `spent` seconds: of steps, of waiting for their samples, of handing
    their work to the device.   `started`: hash of the weights that were begun with, "" for none; `unmoved`: whether
    these read no motion, which is learnt then with the heads.
    """

    capture = False  # sequences differ in length, so that no step is like another

    def __init__(self, settings: Settings, device: torch.device, writers: int | None = None) -> None:
        """Random weights from the seed.   writers: processes that write samples; by default some for a GPU alone."""
        torch.manual_seed(settings.seed)
        self.settings, self.device = settings, device
        self.grounder = make_grounder(settings).to(device)
        self.average = deepcopy(self.grounder).eval().requires_grad_(False)
        self.step, self.looked, self.progress, self.drawn = 0, 0, 0.0, 0
        self.asked: Counter[str] = Counter()
        self.spent = dict.fromkeys(("step", "samples", "launch"), 0.0)
        self._before: float | None = None
        self.started, self.unmoved = "", False
        recipe = TrainingSettings(
            rate=settings.rate, head_rate=settings.rate, weight_decay=settings.weight_decay, seed=settings.seed
        )
        self.showing = Showing(settings, self.grounder).to(device)
        self.optimizer = make_optimizer(self.grounder, recipe, fused=device.type == "cuda")
        self.optimizer.add_param_group({"params": list(self.showing.parameters()), "weight_decay": 0.0})
        self._learnt = list(self.grounder.parameters())
        self._kept = [parameter.detach() for parameter in self.average.parameters()]
        # Of the front ends alone; copies of all weights, of which most wait, would cost more than their steps.
        seeing = [f"inputs.{name}" for name in self.showing.seen]
        self._seeing = self._pairs(*seeing)
        self._saying = self._pairs("naming.says") if "tracks" in self.showing.seen else []
        self._moving = self._pairs("inputs.tracks.motion") if settings.grounder.moving else []
        processes = (WRITERS if device.type == "cuda" else 0) if writers is None else writers
        self._desk = Desk(settings, self.grounder, make_grounder, processes)

    @property
    def looking(self) -> bool:
        """Whether the front ends learn alone, or heads for those that were begun with, which have done so."""
        return self.progress < self._look_share

    @property
    def _look_share(self) -> float:
        return self.settings.catch_up_share if self.started else self.settings.look_share

    def advance(self, studio: Studio) -> dict[str, Tensor]:
        """One optimiser step on random films; the losses by name, still on the device."""
        begun = time.perf_counter()
        self.spent["step"] += begun - (begun if self._before is None else self._before)
        self._before = begun
        if not self.step and (self.unmoved or not self.started):
            self._fit(studio.films)
        return self._look(studio) if self.looking else self._learn(studio)

    def _look(self, studio: Studio) -> dict[str, Tensor]:
        """A step of the front ends alone: what the patches and tracks of many films show."""
        begun, settings = time.perf_counter(), self.settings
        rng = np.random.default_rng([settings.seed, self.step])
        count = min(settings.look_films, len(studio.films))
        films = [studio.films[int(at)] for at in rng.choice(len(studio.films), count, replace=False)]
        self._set_rate(rate_at(settings, self.looked, self.progress / self._look_share))
        with autocast(self.device):
            losses = self.showing.losses(films, rng, count * STRETCH)
            total = torch.stack(list(losses.values())).sum()
        total.backward()  # type: ignore[no-untyped-call]
        seeing = self._seeing if not self.started else self._moving if self.unmoved else []
        pairs = [*seeing, *self._saying]
        learnt = {id(parameter) for parameter, _ in pairs}
        for parameter in self._learnt:
            if id(parameter) not in learnt:
                parameter.grad = None
        self._finish_step([own for own, _ in pairs], [kept for _, kept in pairs], self.looked)
        self.looked += 1
        self.spent["launch"] += time.perf_counter() - begun
        return {name: value.detach() for name, value in losses.items()} | {"total": total.detach()}

    def _learn(self, studio: Studio) -> dict[str, Tensor]:
        """A step of the whole grounder."""
        begun = time.perf_counter()
        step = self._desk.take(self.step, lambda number: self.choose(studio.films, number))
        ready = time.perf_counter()
        learnt = self.step - self.looked
        self._set_rate(rate_at(self.settings, learnt, self.progress))
        with autocast(self.device):
            losses = self.grounder.losses(step.samples, {**WEIGHTS, "text": self.settings.text_weight}, laid=step.laid)
            rng = np.random.default_rng([self.settings.seed, self.step, 2])
            shown = self.showing.losses(step.films, rng, self.settings.patch_frames)
            losses["shown"] = torch.stack(list(shown.values())).sum()
        total: Any = losses["total"] + self.settings.patch_weight * losses["shown"]
        total.backward()
        self._finish_step(self._learnt, self._kept, learnt)
        self.asked.update(sample.request.task.value for sample in step.samples)
        self.spent["samples"] += ready - begun
        self.spent["launch"] += time.perf_counter() - ready
        return {name: value.detach() for name, value in losses.items()}

    def _pairs(self, *names: str) -> list[tuple[nn.Parameter, Tensor]]:
        """The parameters of some modules of the grounder, each with its average's."""
        own, kept = (
            [parameter for name in names for parameter in model.get_submodule(name).parameters()]
            for model in (self.grounder, self.average)
        )
        return [(parameter, other.detach()) for parameter, other in zip(own, kept, strict=True)]

    def _set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _finish_step(self, learnt: Sequence[nn.Parameter], kept: Sequence[Tensor], number: int) -> None:
        """From gradients to weights and their average."""
        torch.nn.utils.clip_grad_norm_([*learnt, *self.showing.parameters()], CLIP_NORM, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        follow(list(kept), [p.detach() for p in learnt], self.settings.average, number)
        self.step += 1

    def pace(self, steps: int) -> dict[str, float]:
        """Milliseconds a step of each of `spent` over the last `steps`, which it forgets.

        Where samples and launch make up the step, the host is what is waited for; else the device.
        """
        told = {name: round(1000 * seconds / steps, 1) for name, seconds in self.spent.items()}
        self.spent = dict.fromkeys(self.spent, 0.0)
        return told

    def close(self) -> None:
        """End the processes that write samples."""
        self._desk.close()

    def choose(self, films: Sequence[Film], number: int) -> list[Film]:
        """The films of a step, all short or all long; they follow from the seed, its number and the films."""
        settings, rng = self.settings, np.random.default_rng([self.settings.seed, number])
        short = [film for film in films if film.duration == settings.short]
        long = [film for film in films if film.duration != settings.short]
        count = settings.films
        if short and (not long or rng.random() < settings.short_share * (1 - self.progress)):
            count *= max(1, int((long or films)[0].duration // short[0].duration))
            films = short
        else:
            films = long
        return [films[int(at)] for at in rng.choice(len(films), min(count, len(films)), replace=False)]

    @torch.no_grad()
    def _fit(self, films: Sequence[Film]) -> None:
        """Tracks' values are taken as multiples of their spread in the first films."""
        shown = [film.masklets for film in films if film.masklets is not None]
        if "tracks" in self.showing.seen and shown:
            values, boxes = [each.values for each in shown], [each.boxes for each in shown]
            for model in (self.grounder, self.average):
                tracks = model.inputs.tracks
                new = tracks.motion if self.unmoved else tracks
                assert new is not None  # what is unmoved is to move
                new.fit(values, boxes)

    def warm_up(self, studio: Studio) -> None:
        """Nothing takes long at first."""

    def save(self, path: Path) -> None:
        """Everything that goes on, atomically."""
        state = {
            "model": self.grounder.state_dict(),
            "average": self.average.state_dict(),
            "showing": self.showing.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "settings": asdict(self.settings),
            "step": self.step,
            "looked": self.looked,
            "started": self.started,
            "unmoved": self.unmoved,
            "progress": self.progress,
            "drawn": self.drawn,
            "asked": dict(self.asked),
        }
        with atomic_path(path) as temporary:
            torch.save(_plain(state), temporary)

    def start(self, folder: Path) -> None:
        """Take the first weights from a grounder's folder, which need not read motion (`llm_grounder.masklets.Motion`).

        Raises:
            CheckpointError: where it cannot be read, or holds a grounder of other settings or words.
        """
        found = self._trained(folder)
        wanted = self.settings.grounder
        sizes = found.settings in (wanted, replace(wanted, motion_width=0, moving=0))
        if not sizes or found.backbone.facts["shape"] != self.grounder.backbone.facts["shape"]:
            raise CheckpointError(f"--start {folder}: expected a grounder of the same size and words, got another")
        self.unmoved = found.settings != wanted
        for model in (self.grounder, self.average):
            model.load_state_dict(found.state_dict(), strict=not self.unmoved)

    def borrow(self, folder: Path, parts: Sequence[str]) -> None:
        """Take the first weights of some parts from a grounder's folder; all others stay random.

        parts: how their names begin.

        Raises:
            CheckpointError: where it cannot be read, has other words, or a part of another shape or none.
        """
        theirs = self._trained(folder).state_dict()
        for model in (self.grounder, self.average):
            own = model.state_dict()
            taken = {name: theirs.get(name) for name in own if name.startswith(tuple(parts))}
            other = [name for name, value in taken.items() if value is None or value.shape != own[name].shape]
            if other:
                shape = list(own[other[0]].shape)
                raise CheckpointError(f"--start {folder}: expected {other[0]} of shape {shape}, got another")
            model.load_state_dict(own | taken)

    def _trained(self, folder: Path) -> Grounder:
        """A folder's grounder, whose hash is noted; CheckpointError where it cannot be read or has other words."""
        found, record = load_grounder(folder, self.device)
        if found.backbone.tokenizer.get_vocab() != self.grounder.backbone.tokenizer.get_vocab():
            raise CheckpointError(f"--start {folder}: expected a grounder of the same size and words, got another")
        self.started = str(record["weights_sha256"])
        return found

    def restore(self, path: Path) -> None:
        """Go on from a saved state.

        Raises:
            CheckpointError: for a file that is not such a state, or was saved under other settings.
        """
        state = read_state(path)
        if state.get("settings") != _plain(asdict(self.settings)):
            raise CheckpointError(
                f"training state {path}: expected one saved under {asdict(self.settings)}, got {state.get('settings')}"
            )
        self.grounder.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.showing.load_state_dict(state["showing"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.looked = state["step"], state["looked"]
        self.started, self.unmoved = state["started"], state["unmoved"]
        self.progress, self.drawn = state["progress"], state["drawn"]
        self.asked = Counter(state["asked"])


def make_grounder(settings: Settings) -> Grounder:
    """A grounder with random weights, over a vocabulary of the training stories' words."""
    stories = [make_story(FIRST_SEED + i, most=settings.most) for i in range(TEXTS)]
    tokenizer = make_tokenizer(texts_of(stories), settings.shape.vocabulary)
    chosen = settings.grounder
    return Grounder(chosen, tiny_backbone(tokenizer, settings.shape, spans=chosen.spans, tracks=chosen.tracks))


def read_state(path: Path) -> dict[str, Any]:
    """A saved state; CheckpointError for a file that is damaged or something else."""
    return training_steps.read_state(path, "a grounder", {"asked", "looked", "unmoved"})


def _plain(value: Any) -> Any:
    """Values of plain kinds alone, as a safe file holds them: names of tasks become texts."""
    if isinstance(value, Mapping):
        return {str(key) if isinstance(key, Task) else key: _plain(inner) for key, inner in value.items()}
    return value
