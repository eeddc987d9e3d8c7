"""Caches -> SOLA's own layout: for every track one JSON file of masks and overlaps, and one .npy file of tokens.

    OUT/{gt,grid,gdino}_tracks/DATASET/SPLIT/sam2_masklets/VIDEO/[EXPRESSION/]00000.json
    OUT/{gt,grid,gdino}_tracks/DATASET/SPLIT/sam2_object_tokens/VIDEO/[EXPRESSION/]00000.npy
    OUT/tracksift_videos/DATASET/SPLIT/VIDEO.json       ours: what the layout has no place for, read by `sola_read`

The JSON is `{anno_id, rle[T], prompt_type, precision{}, recall{}, iou{}}`, keys of the last three being object ids;
tokens are float32 [T, D]. Knows caches and this layout. Does not know command lines. T frames, D token width.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cache import CacheFile, open_cache
from core import rle
from core.atomic import atomic_folder
from core.errors import InputError
from core.ids import safe_name
from core.types import Labels, Source
from tracksift.cache_tools.outside import refuse_full_folder

FOLDERS = {Source.GRID: "grid_tracks", Source.GROUNDING_DINO: "gdino_tracks", Source.GROUND_TRUTH: "gt_tracks"}
# What SOLA writes into `prompt_type`; its detector tracks carry the grid's text.
PROMPT_TYPES = {"grid_tracks": "SAM2 AMG MASK", "gdino_tracks": "SAM2 AMG MASK", "gt_tracks": "GT MASK"}
MASKLETS, TOKENS, VIDEOS = "sam2_masklets", "sam2_object_tokens", "tracksift_videos"
INDENT = 4  # SOLA's


def export_sola(
    files: Sequence[tuple[str, str, Path]], target: Path, on_done: Callable[[int, int], None] | None = None
) -> int:
    """Write the tracks of (dataset, split, cache file) below `target`, all or nothing, and return their number.

    Tracks of users and imports, which SOLA has no folder for, go to the grid's: they compete for every expression too.
    Object scores, predicted IoUs, prompts and looks have no place in the layout and are left out.

    Raises:
        InputError: for a folder with something in it, or a detected track that names no expression.
        CacheError, OutputError: for a file that cannot be used, or a place that cannot be written.
    """
    refuse_full_folder(target)
    tracks = 0
    with atomic_folder(target) as root:
        for number, (dataset, split, path) in enumerate(files, start=1):
            tracks += write_video(open_cache(path), root, dataset, split)
            if on_done is not None:
                on_done(number, len(files))
    return tracks


def write_video(cache: CacheFile, root: Path, dataset: str, split: str) -> int:
    """One video's files below `root`; the number of its tracks. Ids are made safe, as everywhere."""
    numbers, labels, tokens = Counter[Path](), cache.labels(), cache.tokens()
    name = safe_name(cache.video.id)
    for n, (masks, source, prompt) in enumerate(zip(cache.masks(), cache.sources(), cache.prompts(), strict=True)):
        folder = FOLDERS.get(source, FOLDERS[Source.GRID])
        below = Path(name)
        if source is Source.GROUNDING_DINO:
            if prompt.expression_id is None:
                raise InputError(f"{cache.path}, track {n}: expected the expression it was detected for, got none")
            below /= safe_name(prompt.expression_id)
        place = Path(folder, safe_name(dataset), safe_name(split))
        number = numbers[place / below]
        numbers[place / below] += 1
        for kind in (MASKLETS, TOKENS):
            (root / place / kind / below).mkdir(parents=True, exist_ok=True)
        text = json.dumps(_masklet(cache, number, masks, folder, _overlaps(labels, n)), indent=INDENT)
        (root / place / MASKLETS / below / f"{number:05d}.json").write_text(text, encoding="utf-8")
        np.save(root / place / TOKENS / below / f"{number:05d}.npy", tokens[n].astype(np.float32))
    _write_facts(cache, root / VIDEOS / safe_name(dataset) / safe_name(split) / f"{name}.json")
    return len(cache)


def _masklet(
    cache: CacheFile, number: int, masks: Sequence[bytes], folder: str, overlaps: dict[str, Any]
) -> dict[str, Any]:
    return {
        "anno_id": number,
        "rle": [rle.to_json(mask, cache.video.size) for mask in masks],
        "prompt_type": PROMPT_TYPES[folder],
        **overlaps,
    }


def _overlaps(labels: Labels | None, track: int) -> dict[str, dict[str, float]]:
    if labels is None:
        return {}
    columns = {"precision": labels.precision, "recall": labels.recall, "iou": labels.iou}
    return {
        key: dict(zip(labels.object_ids, values[track].tolist(), strict=True)) for key, values in columns.items()
    }  # fmt: skip


def _write_facts(cache: CacheFile, path: Path) -> None:
    """The video, and the tracker of its tokens."""
    video = cache.video
    facts = {
        "id": video.id,
        "source": video.source,
        "size": list(video.size),
        "timestamps": video.timestamps.tolist(),
        "end": video.end,
        "fingerprint": video.fingerprint,
        "tracker": cache.provenance.get("tracker"),
        "tracker_sha256": cache.provenance.get("tracker_sha256"),
        "expressions": {safe_name(e): e for e in {p.expression_id for p in cache.prompts()} if e is not None},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts), encoding="utf-8")
