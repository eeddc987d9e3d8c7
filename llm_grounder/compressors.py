"""How the patches of a group of frames become few tokens: slots, T-Selector, averages, or all of them.

Slots are VTG-LLM's: a softmax over the patches for each slot; those that are guided look for what the question names.
The T-Selector is Elysium's, with a gradient: a kept patch counts once going forward, and its score gets the gradient
of its log-probability. Knows tensors. Does not know frames' times or language models. Axis letters: G groups, F
patches of a group (frames x P), C width, K tokens a group.
"""

from __future__ import annotations

import math
from typing import Protocol, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import InputError
from core.reporting import print_table
from llm_grounder.settings import CompressorName, GrounderSettings
from llm_grounder.times import TIME_LENGTH

SHARP = 2.0  # logits of 256 patches that are spread by 1 would choose nothing
FOUND = 8.0  # brings sums of exponentials to the spread of normalised features


class Compressor(Protocol):
    """Patches of groups become tokens of groups."""

    def __call__(self, patches: Tensor, real: Tensor) -> Tensor:
        """[G, K, C] of patches [G, F, C] of which `real` [G, F] bool says which are there: the last may be short."""


class Slots(nn.Module):
    """K weighted means of the patches, the weights a softmax over patches of a learned direction each."""

    def __init__(self, width: int, tokens: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.randn(width, tokens) / math.sqrt(width))

    def forward(self, patches: Tensor, real: Tensor) -> Tensor:
        """See `Compressor`."""
        logits = (patches @ self.directions).masked_fill(~real[..., None], -torch.inf)
        return logits.softmax(1).transpose(1, 2) @ patches


class GuidedSlots(nn.Module):
    """Slots whose directions the question moves, as InstructBLIP's queries read the instruction.

    To each mean comes the logarithm of the sum over its patches' exponentials, which says whether anything was found.
    """

    def __init__(self, width: int, tokens: int, guide: int) -> None:
        """guide: E, width of what a question says to each slot."""
        super().__init__()
        self.own = nn.Parameter(torch.randn(width, tokens) / math.sqrt(width))
        self.steer = nn.Linear(guide, width, bias=False)
        nn.init.normal_(self.steer.weight, std=(guide * width) ** -0.5)

    def directions(self, guides: Tensor) -> Tensor:
        """[U, C, K] of U questions' guides [U, K, E]."""
        return torch.as_tensor(SHARP * (self.own + self.steer(guides).transpose(1, 2)))

    def forward(self, patches: Tensor, real: Tensor, directions: Tensor) -> Tensor:
        """[.., G, K, C + 1] of patches [.., G, F, C] with directions [.., G, C, K], or with 1 for G for all groups."""
        if directions.shape[-3] == 1:
            logits = (patches.flatten(-3, -2) @ directions.squeeze(-3)).view(*patches.shape[:-1], -1)
        else:
            logits = patches @ directions
        logits = logits.float().masked_fill(~real[..., None], -torch.inf)
        found = logits.logsumexp(-2)[..., None]  # [.., G, K, 1]
        means = logits.softmax(-2).transpose(-1, -2).to(patches.dtype) @ patches
        return torch.cat([means, (found / FOUND).to(means.dtype)], dim=-1)


class TSelector(nn.Module):
    """The K patches of the highest scores, in their own order. Scores: a Linear of each patch, mixed over places.

    At first nearly a fixed stride, as Elysium's; the mixing starts as the identity so that every weight has a gradient.
    """

    def __init__(self, width: int, patches: int, tokens: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.score = nn.Linear(width, 1, bias=False)  # `mix` has one, and a softmax sees none that all share
        nn.init.normal_(self.score.weight, std=1e-3)
        self.mix = nn.Linear(patches, patches)
        with torch.no_grad():
            self.mix.weight.copy_(torch.eye(patches))
            self.mix.bias.zero_()
            self.mix.bias[torch.linspace(0, patches - 1, tokens).round().long()] = 0.02

    def forward(self, patches: Tensor, real: Tensor) -> Tensor:
        """See `Compressor`."""
        scores = self.score(patches).squeeze(-1).masked_fill(~real, 0)
        chances = self.mix(scores).masked_fill(~real, -1e4).log_softmax(-1)
        kept = chances.topk(self.tokens, dim=-1).indices.sort(-1).values  # [G, K]
        chance = chances.gather(1, kept)[..., None]
        taken = patches.gather(1, kept[..., None].expand(-1, -1, patches.shape[-1]))
        counted: Tensor = taken * (1 + chance - chance.detach())
        return counted


class Average(nn.Module):
    """Means over the cells of a coarser grid, and over the frames of a group; no weights."""

    def __init__(self, patches: int, tokens: int) -> None:
        super().__init__()
        self.side, self.out = math.isqrt(patches), math.isqrt(tokens)
        if tokens != 1 and (self.side**2 != patches or self.out**2 != tokens):
            raise InputError(
                f"grounder settings: expected square grids of patches and visual_tokens for average, "
                f"got {patches} and {tokens}"
            )
        self.patches = patches

    def forward(self, patches: Tensor, real: Tensor) -> Tensor:
        """See `Compressor`."""
        groups, many, width = patches.shape
        together = many // self.patches  # not -1, which no groups at all (words before the first frame) leave open
        frames = (patches * real[..., None]).view(groups, together, self.patches, width).sum(1)
        frames = frames / real.view(groups, together, self.patches).sum(1)[..., None]
        if self.out == 1:
            return frames.mean(1, keepdim=True)
        grid = frames.transpose(1, 2).reshape(groups, width, self.side, self.side)
        return F.adaptive_avg_pool2d(grid, self.out).flatten(2).transpose(1, 2)


class Everything(nn.Module):
    """All patches as they are."""

    def forward(self, patches: Tensor, real: Tensor) -> Tensor:
        """See `Compressor`."""
        return patches


def make_compressor(settings: GrounderSettings) -> nn.Module:
    """The compressor of the settings, a `Compressor` or `GuidedSlots`."""
    if settings.compressor == "slots":
        return Slots(settings.visual_width, settings.visual_tokens)
    if settings.compressor == "guided":
        return GuidedSlots(settings.visual_width, settings.visual_tokens, settings.visual_width)
    if settings.compressor == "t_selector":
        return TSelector(settings.visual_width, settings.group * settings.patches, settings.visual_tokens)
    if settings.compressor == "average":
        return Average(settings.patches, settings.visual_tokens)
    return Everything()


def group_frames(patches: Tensor, group: int) -> tuple[Tensor, Tensor]:
    """Frames [T, P, C] as groups: patches [G, F, C], the last group filled up with zeros, and `real` [G, F] bool."""
    frames, each, width = patches.shape
    group = group or frames
    count = math.ceil(frames / group)
    filled = F.pad(patches, (0, 0, 0, 0, 0, count * group - frames))
    real = torch.arange(count * group, device=patches.device) < frames
    return filled.view(count, group * each, width), real[:, None].expand(-1, each).reshape(count, group * each)


def count_tokens(settings: GrounderSettings, frames: int) -> int:
    """Tokens that a clip of so many frames takes in the sequence: visual ones, markers and times; no tracks, no words.

    Times as numerals count as time tokens do, since tokenizers differ.
    """
    groups = math.ceil(frames / (settings.group or frames))
    times = TIME_LENGTH if settings.frame_times in ("tokens", "text") else 0
    return groups * settings.tokens_a_group + frames * (1 + times)


def compare_tokens(
    settings: GrounderSettings, frames: int, parameters: int, layers: int, width: int
) -> dict[CompressorName, tuple[int, float]]:
    """Of each compressor with these settings: tokens of a clip, and 10^9 multiplications and additions to read them.

    Cost of a decoder's forward pass: 2 a parameter and token, and 4 x width a layer and pair of tokens.
    """
    found: dict[CompressorName, tuple[int, float]] = {}
    for name in get_args(CompressorName):
        each = settings.patches if name == "none" else settings.visual_tokens
        groups = frames if name == "none" else math.ceil(frames / (settings.group or frames))
        base = count_tokens(settings, frames) - settings.tokens_a_group * math.ceil(frames / (settings.group or frames))
        tokens = base + groups * each
        found[name] = (tokens, (2 * parameters * tokens + 4 * width * layers * tokens**2) / 1e9)
    return found


def print_tokens(settings: GrounderSettings, frames: int, parameters: int, layers: int, width: int) -> None:
    """`compare_tokens` as a table on standard output."""
    rows = compare_tokens(settings, frames, parameters, layers, width)
    print_table(
        f"tokens of a clip of {frames} frames with {settings.patches} patches each",
        ("compressor", "tokens", "GFLOP to read"),
        [(name, tokens, cost) for name, (tokens, cost) in rows.items()],
    )
