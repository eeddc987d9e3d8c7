"""A small split of short clips without annotations, for measurements of generation itself.

Knows the rendered world and MeViS's layout. Does not know what is measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from core.atomic import atomic_folder
from miniature.world import make_clip

SPLIT = "clips"


def write_clips(data: Path, seeds: Sequence[int], frames: int) -> None:
    """Render `frames` frames of each seed into `data/clips`, which is replaced.

    Raises:
        OutputError: when the place cannot be written.
    """
    videos = {}
    with atomic_folder(data / SPLIT) as folder:
        for seed in seeds:
            clip, name = make_clip(seed, frames=frames), f"clip{seed}"
            place = folder / "JPEGImages" / name
            place.mkdir(parents=True)
            for t, frame in enumerate(clip.frames):
                Image.fromarray(frame).save(place / f"{t:05d}.jpg", quality=95)
            names = [f"{t:05d}" for t in range(len(clip.frames))]
            videos[name] = {"frames": names, "expressions": {}, "fps": float(clip.fps)}
        (folder / "meta_expressions.json").write_text(json.dumps({"videos": videos}), encoding="utf-8")
