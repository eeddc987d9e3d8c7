"""The grounder on the rendered long world, as it will be trained: frozen features of pictures, sentences, windows."""

import numpy as np
import torch

from core.images import load_image_encoder
from llm_grounder.backbone import TinyShape
from llm_grounder.settings import GrounderSettings
from llm_grounder.types import Clip, Read, Request, Role, Sample, Targets, Task, Turn
from miniature.long_world import make_long_clip
from tests.llm_grounder.tiny_grounder import tiny_grounder

SEEDS = range(100_000, 100_004)
SETTINGS = GrounderSettings(feature_width=384, patches=16, visual_tokens=4, spans=4, boxes=0)


def _samples():
    encoder = load_image_encoder("miniature/weights/clip", "cpu")
    for seed in SEEDS:
        film = make_long_clip(seed, seconds=24, most=6)
        frames = film.frames[::2]
        patches = torch.from_numpy(encoder.encode_frames(frames, 4)[1])
        moved = torch.diff(patches, dim=0, prepend=patches[:1])
        clip = Clip(str(seed), torch.cat([patches, moved], -1), film.times[::2], float(film.story.duration))
        for moment in film.story.moments[:2]:
            windows = torch.from_numpy(moment.windows).float()
            inside = [any(a <= t < b for a, b in moment.windows) for t in clip.times]
            yield Sample(
                clip, Request(Task.MOMENTS, moment.text), (Turn(0.0, Role.USER, moment.text),),
                Targets(spans=windows, relevance=torch.tensor(inside).float()), (Read.SPANS,),
            )  # fmt: skip


def _overlap(span, window):
    inside = max(0.0, min(span.end, window[1]) - max(span.start, window[0]))
    return inside / (max(span.end, window[1]) - min(span.start, window[0]))


def test_four_stories_are_learnt_by_heart():
    samples = list(_samples())
    grounder = tiny_grounder(
        texts=[sample.request.text for sample in samples], shape=TinyShape(64, 2, 4, 128, 300), **SETTINGS.__dict__
    ).train()
    optimiser = torch.optim.AdamW(grounder.parameters(), 2e-3)
    first = None
    for _ in range(60):
        losses = grounder.losses(samples)
        first = first or {name: value.item() for name, value in losses.items()}
        if losses["spans.l1"] < 0.003 and losses["spans.score"] < 0.02 and losses["spans.pointer"] < 0.02:
            break
        optimiser.zero_grad()
        losses["total"].backward()
        torch.nn.utils.clip_grad_norm_(grounder.parameters(), 1.0)
        optimiser.step()
    assert first["spans.l1"] > 0.1
    assert losses["spans.l1"] < 0.003
    assert losses["spans.giou"] < 0.03
    assert losses["frames.relevance"] < 0.5 * first["frames.relevance"]
    grounder.eval()
    for sample, reply in zip(samples, grounder.outputs(samples), strict=True):
        best = reply.spans[0]
        assert max(_overlap(best, window) for window in sample.targets.spans.tolist()) > 0.9
        others = [span.score for span in reply.spans[len(sample.targets.spans) :]]
        assert best.score > 0.8 > 0.3 > np.max(others)
