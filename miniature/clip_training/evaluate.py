"""How well the miniature open_clip finds the crop that a caption means.

Knows a folder of open_clip's format and the rendered splits. Does not know training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn import functional as F

from core.images import view_side
from core.open_clip_folder import load_open_clip
from miniature.clip_training.captions import fact_indices, holds, make_captions, rows
from miniature.clip_training.data import to_pixels
from miniature.clip_training.views import ClipViews, best_crops, render_all
from miniature.splits import SPLITS


def evaluate_clip(
    folder: Path, split: str = "valid", clips: int | None = None, device: str | torch.device = "cpu", workers: int = 0
) -> dict[str, float | int]:
    """Text-to-crop retrieval of the model in `folder` on a split of the world (its first `clips`, or all)."""
    model, _ = load_open_clip(folder, device)
    part = SPLITS[split]
    seeds = range(part.first_seed, part.first_seed + (part.count if clips is None else clips))
    side = view_side(int(model.visual.image_size[0]))
    views = list(render_all(seeds, side, 3, workers, shifted=part.shifted))
    return retrieval(folder, views, device)


@torch.no_grad()
def retrieval(folder: Path, views: Sequence[ClipViews], device: str | torch.device) -> dict[str, float | int]:
    """`r1`, `chance`, `n` captions and `gallery` crops over clips' views.

    The gallery holds one crop of every object whose words training uses; the queries are the distinct full captions
    ("the striped red star"). A query is a hit if the best of all crops is what it says; chance is the mean share of
    crops that are.
    """
    model, tokenizer = load_open_clip(folder, device)
    crops, names = best_crops(views)
    facts = torch.tensor([fact_indices(name) for name in names], device=device)
    known = (facts >= 0).all(1)
    pixels = to_pixels(torch.from_numpy(crops).to(device)[known], int(model.visual.image_size[0]), augment=False)
    images = torch.cat([F.normalize(model.encode_image(part), dim=-1) for part in torch.split(pixels, 256)])
    captions = make_captions(tokenizer, torch.device(device))
    queries = rows(torch.unique(facts[known], dim=0), 0)
    texts = torch.cat(
        [F.normalize(model.encode_text(part), dim=-1) for part in torch.split(captions.ids[queries], 256)]
    )
    right = holds(captions.facts[queries], facts[known])  # [G, K]
    best = (images @ texts.T).argmax(0)  # [K]
    hits = right[best, torch.arange(len(queries), device=right.device)]
    return {
        "r1": float(hits.double().mean()),
        "chance": float(right.double().mean()),
        "n": len(queries),
        "gallery": len(images),
    }
