"""The training itself: grounder, its running average, optimiser and draws, step by step; saved and resumed whole.

Knows films, lessons, the grounder and its losses. Does not know commands or figures. A step takes a few films and asks
several things of each, since seeing is what costs most.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.atomic import atomic_path
from core.devices import autocast
from core.errors import CheckpointError
from llm_grounder.backbone import make_tokenizer, tiny_backbone
from llm_grounder.grounder import Grounder
from llm_grounder.optimiser import TrainingSettings, make_optimizer
from llm_grounder.sequence import Batch, Layout
from llm_grounder.types import Sample, Task
from miniature import training_steps
from miniature.grounder_training.films import FIRST_SEED, Film, Studio
from miniature.grounder_training.lessons import clip_of, draw, texts_of
from miniature.grounder_training.patch_lessons import PatchLessons, patch_truth
from miniature.grounder_training.settings import Settings
from miniature.long_world import make_story
from miniature.training_steps import follow, rate_at
from tracksift.clips import see
from tracksift.grounding import lesson

CLIP_NORM = 1.0
STRETCH = 64  # frames of a film in which the front end learns what patches show, at most
TEXTS = 120  # stories whose words make the vocabulary


@dataclass(frozen=True, eq=False)
class _Step:
    """What a step learns from, and `Grounder.lay_out` of the samples."""

    films: list[Film]
    samples: list[Sample]
    laid: tuple[list[Layout], Batch]


class Trainer:
    """A grounder under training. `step` counts optimiser steps, `progress` is 0..1, `drawn` the films seen, `asked` the
    samples of each task, `spent` seconds: of steps, of waiting for their samples, of handing their work to the device.
    """

    capture = False  # sequences differ in length, so that no step is like another

    def __init__(self, settings: Settings, device: torch.device) -> None:
        """Random weights from the seed."""
        torch.manual_seed(settings.seed)
        self.settings, self.device = settings, device
        self.grounder = make_grounder(settings).to(device)
        self.average = deepcopy(self.grounder).eval().requires_grad_(False)
        self.step, self.progress, self.drawn = 0, 0.0, 0
        self.asked: Counter[str] = Counter()
        self.spent = dict.fromkeys(("step", "samples", "launch"), 0.0)
        self._before: float | None = None
        recipe = TrainingSettings(
            rate=settings.rate, head_rate=settings.rate, weight_decay=settings.weight_decay, seed=settings.seed
        )
        self.patch_lessons = PatchLessons(settings.grounder.visual_width).to(device)
        self.optimizer = make_optimizer(self.grounder, recipe, fused=device.type == "cuda")
        self.optimizer.add_param_group({"params": list(self.patch_lessons.parameters()), "weight_decay": 0.0})
        self._learnt = list(self.grounder.parameters())
        self._ahead = ThreadPoolExecutor(1)
        self._next: Future[_Step] | None = None
        self._kept = [parameter.detach() for parameter in self.average.parameters()]

    def advance(self, studio: Studio) -> dict[str, Tensor]:
        """One optimiser step on random films; the losses by name, still on the device.

        On a GPU the next step's samples are made meanwhile, while this one waits for the device.
        """
        begun = time.perf_counter()
        step = self._next.result() if self._next is not None else self._prepare(studio.films)
        ready = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.settings, self.step, self.progress)
        self.step += 1
        self._next = self._ahead.submit(self._prepare, list(studio.films)) if self.device.type == "cuda" else None
        with autocast(self.device):
            losses = self.grounder.losses(step.samples, laid=step.laid)
            losses["patches"] = self._patch_loss(step.films, np.random.default_rng([self.settings.seed, self.step, 2]))
        total: Any = losses["total"] + self.settings.patch_weight * losses["patches"]
        total.backward()
        torch.nn.utils.clip_grad_norm_([*self._learnt, *self.patch_lessons.parameters()], CLIP_NORM, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.asked.update(sample.request.task.value for sample in step.samples)
        follow(self._kept, [p.detach() for p in self._learnt], self.settings.average, self.step)
        self.spent["samples"] += ready - begun
        self.spent["launch"] += time.perf_counter() - ready
        self.spent["step"] += begun - (begun if self._before is None else self._before)
        self._before = begun
        return {name: value.detach() for name, value in losses.items()}

    def pace(self, steps: int) -> dict[str, float]:
        """Milliseconds a step of each of `spent` over the last `steps`, which it forgets.

        Where samples and launch make up the step, the host is what is waited for; else the device.
        """
        told = {name: round(1000 * seconds / steps, 1) for name, seconds in self.spent.items()}
        self.spent = dict.fromkeys(self.spent, 0.0)
        return told

    def settle(self) -> None:
        """Wait for the samples that are being made: tokenizers do not serve two threads."""
        if self._next is not None:
            self._next.result()

    def _prepare(self, films: Sequence[Film]) -> _Step:
        """Films, samples and tokens of the next step."""
        chosen = self.choose(films)
        samples = self.samples(chosen)
        return _Step(chosen, samples, self.grounder.lay_out(samples))

    def choose(self, films: Sequence[Film]) -> list[Film]:
        """The films of the next step, all short or all long; they follow from the seed, the step and the films."""
        settings, rng = self.settings, np.random.default_rng([self.settings.seed, self.step])
        short = [film for film in films if film.story.duration == settings.short]
        long = [film for film in films if film.story.duration != settings.short]
        count = settings.films
        if short and (not long or rng.random() < settings.short_share * (1 - self.progress)):
            count *= max(1, (long or films)[0].story.duration // short[0].story.duration)
            films = short
        else:
            films = long
        return [films[int(at)] for at in rng.choice(len(films), min(count, len(films)), replace=False)]

    def samples(self, films: Sequence[Film]) -> list[Sample]:
        """The samples of the next step about its films."""
        settings = self.settings
        rng, out = np.random.default_rng([settings.seed, self.step, 1]), []
        for film in films:
            clip = clip_of(film, motion=settings.motion)
            for _ in range(settings.asks):
                example = draw(rng, film.story, film.boxes, settings.mixture)
                out.append(lesson(clip, example.request, example.truth, settings.manner, rng))
        return out

    def _patch_loss(self, films: Sequence[Film], rng: np.random.Generator) -> Tensor:
        """Of a stretch of frames of a few of the step's films."""
        settings = self.settings
        length = min(STRETCH, *(film.story.frames for film in films))
        seen, truth = [], []
        for film in films[: max(1, settings.patch_frames // length)]:
            start = int(rng.integers(film.story.frames - length + 1))
            frames = slice(start, start + length)
            # In float32, since autocast to bfloat16 knows no float16.
            seen.append(see(film.patches[frames].float(), settings.motion))
            truth.append(patch_truth(film, frames, settings.grid))
        patches = self.grounder.inputs.patches(torch.stack(seen))
        return torch.as_tensor(self.patch_lessons(patches.flatten(0, 1), torch.cat(truth)))

    def warm_up(self, studio: Studio) -> None:
        """Nothing takes long at first."""

    def save(self, path: Path) -> None:
        """Everything that goes on, atomically."""
        state = {
            "model": self.grounder.state_dict(),
            "average": self.average.state_dict(),
            "patch_lessons": self.patch_lessons.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "settings": asdict(self.settings),
            "step": self.step,
            "progress": self.progress,
            "drawn": self.drawn,
            "asked": dict(self.asked),
        }
        with atomic_path(path) as temporary:
            torch.save(_plain(state), temporary)

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
        self.patch_lessons.load_state_dict(state["patch_lessons"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.progress, self.drawn = state["step"], state["progress"], state["drawn"]
        self.asked = Counter(state["asked"])


def make_grounder(settings: Settings) -> Grounder:
    """A grounder with random weights, over a vocabulary of the training stories' words."""
    stories = [make_story(FIRST_SEED + i, most=settings.most) for i in range(TEXTS)]
    tokenizer = make_tokenizer(texts_of(stories), settings.shape.vocabulary)
    chosen = settings.grounder
    return Grounder(chosen, tiny_backbone(tokenizer, settings.shape, spans=chosen.spans, tracks=chosen.tracks))


def read_state(path: Path) -> dict[str, Any]:
    """A saved state; CheckpointError for a file that is damaged or something else."""
    return training_steps.read_state(path, "a grounder", {"asked"})


def _plain(value: Any) -> Any:
    """Values of plain kinds alone, as a safe file holds them: names of tasks become texts."""
    if isinstance(value, Mapping):
        return {str(key) if isinstance(key, Task) else key: _plain(inner) for key, inner in value.items()}
    return value
