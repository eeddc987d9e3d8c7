"""Grounders, image towers and videos that are made up, at real sizes, to measure how fast they are.

Weights and features are random, for speed does not depend on them. Knows shapes. Does not know clocks. Axis letters: B
clips, T frames, P patches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from llm_grounder.backbone import Backbone, make_tokenizer
from llm_grounder.grounder import Grounder
from llm_grounder.settings import GrounderSettings
from llm_grounder.types import Clip, Read, Request, Role, Sample, Targets, Task, Turn


@dataclass(frozen=True)
class BenchmarkSettings:
    """Sizes of the language model (Qwen3-0.6B's), of the image tower (SigLIP's base), and of what is read.

    words: rows of the table.   visual: tokens a frame.   said: tokens of a reply.   streamed: frames of a stream, of
    which the first `window` are not timed, since the window fills up.
    """

    width: int = 1024
    layers: int = 28
    heads: int = 16
    key_heads: int = 8
    head_width: int = 128
    mlp: int = 3072
    words: int = 151_936
    tower_width: int = 768
    tower_layers: int = 12
    side: int = 224
    patch: int = 16
    clips: int = 4
    frames: int = 96
    visual: int = 8
    said: int = 32
    streamed: int = 128
    window: int = 64
    repeats: int = 5

    @property
    def patches(self) -> int:
        """P."""
        return (self.side // self.patch) ** 2


def small(repeats: int) -> BenchmarkSettings:
    """Sizes for trying the benchmark; its figures mean nothing."""
    return BenchmarkSettings(
        width=32, layers=1, heads=2, key_heads=1, head_width=16, mlp=64, words=512, tower_width=32, tower_layers=1,
        side=32, clips=2, frames=4, visual=2, said=2, streamed=4, window=2, repeats=repeats,
    )  # fmt: skip


def full(repeats: int) -> BenchmarkSettings:
    """The sizes that figures are told of."""
    return BenchmarkSettings(repeats=repeats)


SCALES: Final[Mapping[str, Callable[[int], BenchmarkSettings]]] = {"full": full, "small": small}


def make_grounder(settings: BenchmarkSettings, device: torch.device) -> Grounder:
    """A grounder of random weights, the language model in bfloat16 on a CUDA device."""
    from transformers import Qwen3Config, Qwen3ForCausalLM  # slow to import

    config = Qwen3Config(
        vocab_size=settings.words, hidden_size=settings.width, num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads, num_key_value_heads=settings.key_heads, head_dim=settings.head_width,
        intermediate_size=settings.mlp, max_position_embeddings=40_960, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=None, pad_token_id=None, attn_implementation="sdpa",
    )  # fmt: skip
    shape = GrounderSettings(settings.tower_width, settings.patches, visual_tokens=settings.visual)
    lm = Qwen3ForCausalLM(config).to(torch.bfloat16 if device.type == "cuda" else torch.float32)
    tokenizer = make_tokenizer(["what happens when?"], min(settings.words, 320))
    backbone = Backbone(lm, tokenizer, shape.spans, shape.tracks, {"kind": "random"})
    return Grounder(shape, backbone).to(device).eval()


def make_samples(settings: BenchmarkSettings, device: torch.device) -> list[Sample]:
    """B drawn clips of T frames, two a second, each with a question, spans and labels of frames."""
    draw = torch.Generator().manual_seed(0)
    samples = []
    for b in range(settings.clips):
        shown = torch.randn(settings.frames, settings.patches, settings.tower_width, generator=draw)
        clip = Clip(f"c{b}", shown.half().to(device), np.arange(settings.frames) / 2, settings.frames / 2)
        turn = Turn(0.0, Role.USER, "what happens when?")
        targets = Targets(torch.tensor([[0.5, 1.5]]), relevance=torch.zeros(settings.frames))
        samples.append(Sample(clip, Request(Task.MOMENTS, "x"), (turn,), targets, (Read.SPANS,)))
    return samples


def make_tower(settings: BenchmarkSettings, device: torch.device) -> nn.Module:
    """An image tower of random weights, frozen, in bfloat16 on a CUDA device."""
    from transformers import SiglipVisionConfig, SiglipVisionModel  # slow to import

    config = SiglipVisionConfig(
        hidden_size=settings.tower_width, num_hidden_layers=settings.tower_layers,
        num_attention_heads=max(1, settings.tower_width // 64), intermediate_size=4 * settings.tower_width,
        image_size=settings.side, patch_size=settings.patch, attn_implementation="sdpa",
    )  # fmt: skip
    tower: nn.Module = SiglipVisionModel(config).to(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    return tower.eval().requires_grad_(False)


def raw_frames(settings: BenchmarkSettings) -> Tensor:
    """Drawn frames, uint8 [T, side, side, 3]."""
    draw = np.random.default_rng(0)
    shape = (settings.frames, settings.side, settings.side, 3)
    return torch.from_numpy(draw.integers(0, 255, shape, dtype=np.uint8))
