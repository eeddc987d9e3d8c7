"""How fast the selector trains and answers, beside SOLA's loop to the letter, at the sizes of real videos.

Knows made-up tracks and expressions. Does not know flags, nor SOLA's loop (`selector.letter`). Weights are random, for
speed does not depend on them. Axis letters: N tracks, T frames, L text tokens, C text width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from core.devices import autocast
from core.reporting import Progress
from core.text import HiddenStates, TextFeatures, masked_mean
from core.types import Expression, Labels, Source, VideoMeta
from selector.calibration import Calibration
from selector.data import build_data
from selector.inputs import TrackValues, VideoTracks
from selector.labelled import LabelledVideo
from selector.learner import SelectorModule
from selector.letter import median_seconds, step, time_letter
from selector.modules import build
from selector.recipes import RELATIONAL, RELATIONAL_TRAINING, SOLA, TUNED_SOLA_TRAINING
from selector.scoring import Memory, Selector
from selector.settings import BOX_WIDTH, RelationalSettings, SolaSettings


@dataclass(frozen=True)
class BenchmarkSettings:
    """Sizes: videos of N tracks and T frames with expressions of L tokens, and how often things are timed.

    letter_steps: steps of SOLA's loop, each one expression.   batch: expressions a step of ours.   bulk: expressions
    answered at once.   text_layers: of the text encoder, RoBERTa-large's 24.
    """

    tracks: int = 64
    frames: int = 200
    videos: int = 16
    expressions: int = 32
    words: int = 12
    batch: int = 512
    repeats: int = 5
    letter_steps: int = 20
    bulk: int = 1000
    text_layers: int = 24
    ours: RelationalSettings = field(default_factory=lambda: RELATIONAL)
    sola: SolaSettings = field(default_factory=lambda: SOLA)


def small(repeats: int) -> BenchmarkSettings:
    """Sizes for trying the benchmark; its figures mean nothing."""
    shape = replace(RELATIONAL, text_width=64, embed_width=32, heads=2)
    sola = replace(SOLA, text_width=64, embed_width=64, motion_widths=(32, 32, 32, 64, 64, 64))
    return BenchmarkSettings(
        tracks=4, frames=16, videos=2, expressions=4, batch=4, repeats=repeats, letter_steps=2, bulk=10, text_layers=1,
        ours=shape, sola=sola,
    )  # fmt: skip


def full(repeats: int) -> BenchmarkSettings:
    """The sizes that figures are told of."""
    return BenchmarkSettings(repeats=repeats)


SCALES: Mapping[str, Callable[[int], BenchmarkSettings]] = {"full": full, "small": small}


@dataclass(frozen=True)
class RandomRoberta:
    """A RoBERTa of random weights behind the protocol of text encoders; every text has L tokens."""

    states: HiddenStates
    words: int
    device: torch.device
    name: str = "random RoBERTa"
    sha256: str = "0" * 64

    @property
    def width(self) -> int:
        """C."""
        return self.states.width

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextFeatures:
        """States of as many tokens for every text, drawn by its length."""
        ids = torch.tensor([[4 + (len(t) * 7 + i) % 90 for i in range(self.words)] for t in texts], device=self.device)
        mask = torch.ones_like(ids, dtype=torch.bool)
        states = self.states(ids, mask).float()
        return TextFeatures(states, mask, masked_mean(states, mask))


@dataclass(frozen=True)
class _Remembered:
    """One text's features again and again: what is left when the text encoder is set apart."""

    features: TextFeatures
    name: str = "remembered"
    sha256: str = "0" * 64

    @property
    def width(self) -> int:
        return self.features.tokens.shape[-1]

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        f, count = self.features, len(texts)
        return TextFeatures(f.tokens.expand(count, -1, -1), f.mask.expand(count, -1), f.pooled.expand(count, -1))


def time_selector(settings: BenchmarkSettings, device: torch.device, progress: Progress) -> dict[str, float]:
    """All figures: samples a second of the three trainings with their ratios, milliseconds of answers (medians).

    progress: called with (done, total) parts.
    """
    torch.manual_seed(0)
    encoder = random_roberta(settings, device)
    videos = make_videos(settings)
    parts: tuple[Callable[[], Mapping[str, float]], ...] = (
        lambda: {"letter_samples_s": time_letter(settings.sola, videos[0], encoder, device, settings.letter_steps)},
        lambda: {"sola_samples_s": time_batches(settings, settings.sola, videos, encoder, device)},
        lambda: {"ours_samples_s": time_batches(settings, settings.ours, videos, encoder, device)},
        lambda: time_answers(settings, videos[0], encoder, device),
    )
    figures: dict[str, float] = {}
    for done, part in enumerate(parts, start=1):
        figures |= part()
        progress(done, len(parts))
    for name in ("sola", "ours"):
        figures[f"{name}_times"] = figures[f"{name}_samples_s"] / figures["letter_samples_s"]
    return figures


def random_roberta(settings: BenchmarkSettings, device: torch.device) -> RandomRoberta:
    """RoBERTa of the width that the modules read (RoBERTa-large's 1,024 by default), frozen."""
    from transformers import RobertaConfig, RobertaModel  # slow to import

    width = settings.ours.text_width
    config = RobertaConfig(
        vocab_size=50_265 if width == 1024 else 200, hidden_size=width, num_hidden_layers=settings.text_layers,
        num_attention_heads=max(1, width // 64), intermediate_size=4 * width, max_position_embeddings=514,
    )  # fmt: skip
    model = RobertaModel(config, add_pooling_layer=False).to(device).eval().requires_grad_(False)
    return RandomRoberta(HiddenStates(model, device), settings.words, device)


def make_videos(settings: BenchmarkSettings) -> list[LabelledVideo]:
    """Videos of drawn tracks; each expression means one of them."""
    rng = np.random.default_rng(0)
    shape = (settings.tracks, settings.frames, settings.ours.token_width + settings.ours.geometry)
    objects = tuple(str(i) for i in range(settings.tracks))
    iou = np.eye(settings.tracks, dtype=np.float32) * 0.9
    times, made = np.arange(settings.frames) / 8, []
    for v in range(settings.videos):
        values = rng.random(shape, dtype=np.float32).astype(np.float16)
        values[..., settings.ours.token_width + BOX_WIDTH - 1] = 1  # a mask in every frame
        sources, prompts = (Source.GRID,) * settings.tracks, (None,) * settings.tracks
        meta = VideoMeta(f"v{v}", "", (1, 1), times, len(times) / 8, "")
        tracks = VideoTracks(meta, TrackValues(values), sources, prompts, f"cache of v{v}", "0" * 64)
        named = range(v * settings.expressions, (v + 1) * settings.expressions)
        asked = tuple(Expression(str(i), "x" * (i + 1), (objects[i % len(objects)],)) for i in named)
        made.append(LabelledVideo(tracks, Labels(objects, iou, iou, iou), asked))
    return made


def time_batches(
    settings: BenchmarkSettings, shape: SolaSettings | RelationalSettings, videos: list[LabelledVideo],
    encoder: RandomRoberta, device: torch.device,
) -> float:  # fmt: skip
    """Expressions a second of our training steps; the median epoch, texts encoded and tracks read before."""
    recipe = RELATIONAL_TRAINING if isinstance(shape, RelationalSettings) else TUNED_SOLA_TRAINING
    width = shape.input_width
    narrow = [replace(v, tracks=replace(v.tracks, parts=TrackValues(v.tracks.values[..., :width]))) for v in videos]
    data = build_data(narrow, encoder, device)
    module = SelectorModule(build(shape).to(device).train(), data, data, recipe)
    optimiser = torch.optim.AdamW(module.model.parameters(), lr=recipe.learning_rate)
    together = min(recipe.together, settings.expressions)

    def epoch() -> None:
        for index in data.epoch(settings.batch, np.random.default_rng(0), together):
            batch = data.batch(index, truth_share=recipe.truth_share)
            with autocast(device):
                loss, _ = module.losses(batch, module.noise)
            step(loss, module.model, optimiser)

    return len(data) / median_seconds(epoch, device, settings.repeats)


def time_answers(
    settings: BenchmarkSettings, video: LabelledVideo, encoder: RandomRoberta, device: torch.device
) -> dict[str, float]:
    """Milliseconds of one new expression about a video in memory, text encoder apart and included, and of many."""
    model = build(settings.ours).to(device).eval().requires_grad_(False)
    selector = Selector(model, Calibration(), "0" * 64, "0" * 64, "", "0" * 64, {})
    apart, memory = _Remembered(encoder.encode(["a text"])), _memory()
    one, many = ([Expression(str(i), "a text") for i in range(count)] for count in (1, settings.bulk))

    def first() -> None:
        selector.score_tracks(video.tracks, one, apart)

    def again() -> None:
        selector.score_tracks(video.tracks, one, apart, memory=memory)

    def with_text() -> None:
        selector.score_tracks(video.tracks, one, encoder, memory=memory)

    def bulk() -> None:
        selector.score_tracks(video.tracks, many, apart, memory=memory)

    often = 4 * settings.repeats
    return {
        "first_ms": 1e3 * median_seconds(first, device, settings.repeats),
        "answer_ms": 1e3 * median_seconds(again, device, often),
        "answer_with_text_ms": 1e3 * median_seconds(with_text, device, often),
        "bulk_ms": 1e3 * median_seconds(bulk, device, settings.repeats),
        "video_mb": sum(x.numel() * x.element_size() for x in _tensors(memory)) / 1e6,
    }


def _memory() -> Memory:
    return {}


def _tensors(memory: Memory) -> list[Tensor]:
    """All tensors of the videos read."""
    found = []
    for state in memory.values():
        found += state.tensors()
    return found
