"""A tiny grounder with random weights, and made-up clips and samples for it."""

import math
from dataclasses import replace

import numpy as np
import torch

from llm_grounder.backbone import TinyShape, make_tokenizer, tiny_backbone
from llm_grounder.grounder import Grounder
from llm_grounder.settings import GrounderSettings
from llm_grounder.types import Clip, Read, Region, Request, Role, Sample, Targets, Task, Turn

SETTINGS = GrounderSettings(
    feature_width=12, patches=4, track_width=6, tracks=4, visual_tokens=2, second_rows=20, spans=3, boxes=2
)
TEXTS = ("the red star spins", "a blue ring circles", "from 12.5 to 40.0 seconds")


def tiny_grounder(seed=0, texts=TEXTS, shape=None, **changes):
    torch.manual_seed(seed)
    settings = replace(SETTINGS, **changes)
    tokenizer = make_tokenizer(texts, 300)
    backbone = tiny_backbone(
        tokenizer, shape or TinyShape(32, 2, 4, 64, 300), spans=settings.spans, tracks=settings.tracks
    )
    return Grounder(settings, backbone).eval()


def make_clip(frames=6, tracks=2, seed=0, rate=1.0, settings=SETTINGS):
    random = torch.Generator().manual_seed(seed)
    corner = torch.rand(tracks, frames, 2, generator=random) * 0.5
    boxes = torch.cat([corner, corner + 0.3], -1)
    if tracks:
        boxes[0, 0] = torch.nan
    return Clip(
        f"clip{seed}",
        torch.randn(frames, settings.patches, settings.feature_width, generator=random),
        np.arange(frames) / rate,
        frames / rate,
        torch.randn(tracks, frames, settings.track_width, generator=random),
        boxes,
    )


def make_sample(frames=6, tracks=2, seed=0, learn=True, settings=SETTINGS):
    """A sample with every turn, target and read-out; for `learn` False, what inference has of it."""
    clip = make_clip(frames, tracks, seed, settings=settings)
    region = Region(0.0, (0.1, 0.2, 0.5, 0.6))
    turns = (
        Turn(0.0, Role.USER, "the red star spins", region=region),
        Turn(math.inf, Role.ASSISTANT, "<TIME_ONE> yes"),
    )
    reads = (Read.SPANS, Read.TRACKS) if tracks else (Read.SPANS,)
    request = Request(Task.MOMENTS, "the red star spins")
    if not learn:
        return Sample(clip, request, turns[:1], reads=reads)
    targets = Targets(
        spans=torch.tensor([[1.0, 3.0], [4.0, 5.0]]), relevance=torch.linspace(0, 1, frames),
        informative=torch.linspace(1, 0, frames), boxes=torch.tensor([0.1, 0.1, 0.5, 0.5]).expand(frames, 1, 4),
        boxed=torch.arange(frames) % 2 == 0, tracks=(torch.arange(tracks) == 0).float(),
        now=(torch.arange(tracks * frames) % 3 == 0).float().view(tracks, frames),
    )  # fmt: skip
    return Sample(clip, request, turns, targets, reads)
